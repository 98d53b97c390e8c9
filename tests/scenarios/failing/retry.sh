# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="the message retry reads pending blocks again, and clears those that can be read, and brings unread sectors back"
LONG_MACHINES="uml-smp debian"

test() {
	local bad
	make_null_blk main 2
	make_null_blk spare 1
	make_remap r0 4096 "$main" "$spare" 0 1600
	block_io fill /dev/mapper/r0 1
	expect_reply 'cleared 0 pending 0 unread 0' r0 retry
	for bad in 83 163 243 2047; do
		null_blk_set main badblocks="+$bad-$bad"
		expect_equal "$(block_io read /dev/mapper/r0 $bad 1)" EIO "read of $bad"
	done
	reaches_state r0 "0 0 0 4 degraded"
	expect_reply 'cleared 0 pending 4 unread 0' r0 retry
	expect_state r0 "0 0 0 4 degraded" "after a retry without success"
	null_blk_set main badblocks=-163-163
	null_blk_set main badblocks=-2047-2047
	expect_reply 'cleared 2 pending 2 unread 0' r0 retry
	expect_state r0 "0 0 0 2 degraded" "after a retry"
	# A cleared block is like any other: a write stays on main.
	expect_equal "$(block_io write /dev/mapper/r0 160 8 2)" ok "write of a cleared block"
	expect_match "$(message r0 verify 160)" 'not remapped' "a cleared block"
	# A block that is still pending is relocated. Then there is nothing to retry.
	expect_equal "$(block_io write /dev/mapper/r0 83 1 2)" ok "write of a pending block"
	expect_state r0 "1 0 0 1 degraded" "after a write"
	message r0 remap 240
	expect_state r0 "2 1 0 0 degraded" "after a remap of a pending block"
	expect_reply 'cleared 0 pending 0 unread 1' r0 retry
	expect_state r0 "2 1 0 0 degraded" "after a retry that main refuses"
	expect_refused_at_once r0 "$main" 243
	null_blk_set main badblocks=-243-243
	expect_refused_at_once r0 "$main" 243
	expect_reply 'cleared 0 pending 0 unread 0' r0 retry
	expect_state r0 "2 0 0 0 ok" "after a retry that main answers"
	block_io check /dev/mapper/r0 1 240 8
	expect_errno EINVAL message r0 retry 5
	block_io check /dev/mapper/r0 2 160 8
	block_io check /dev/mapper/r0 1 88 72
	block_io check /dev/mapper/r0 1 2040 7
}
