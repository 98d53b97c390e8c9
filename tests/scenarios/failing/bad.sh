# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="the message bad remaps blocks without reading main: all their sectors are unread until they are written or brought back, also after a reload"
LONG_MACHINES="uml-smp debian"

test() {
	local reads
	make_null_blk main 2
	make_null_blk spare 1
	make_remap r0 4096 "$main" "$spare" 0 224 # 20 blocks
	block_io fill /dev/mapper/r0 1
	# Main is good, but is not read.
	reads=$(disk_stat "$main" 1)
	expect_reply 'sector 80 -> spare 32' r0 bad 83
	expect_equal "$(disk_stat "$main" 1)" "$reads" "reads of main"
	expect_state r0 "1 8 0 0 degraded"
	expect_refused_at_once r0 "$main" 80 87
	expect_equal "$(counter r0 auto_remaps) $(counter r0 manual_remaps)" "0 1" "automatic and other remaps"
	expect_equal "$(block_io unreadable /dev/mapper/r0 72 24)" "80 81 82 83 84 85 86 87" "unread sectors"
	expect_errno EEXIST message r0 bad 80
	expect_errno EEXIST message r0 remap 80
	# A range with a block that has moved already.
	expect_reply 'remapped 3 already 1' r0 bad 76 24
	expect_state r0 "4 32 0 0 degraded"
	message r0 remap 160
	expect_reply 'remapped 1 already 1' r0 bad 160 16
	block_io check /dev/mapper/r0 1 160 8
	expect_equal "$(block_io read /dev/mapper/r0 168 1)" EIO "a block of the message bad"

	# Bad sectors make no difference.
	null_blk_set main badblocks=+400-415
	expect_reply 'remapped 2 already 0' r0 bad 400 16
	expect_state r0 "8 56 0 0 degraded"
	# Sectors that are written are readable again, one by one.
	expect_equal "$(block_io write /dev/mapper/r0 402 3 2)" ok "write"
	expect_state r0 "8 53 0 0 degraded"
	expect_equal "$(block_io unreadable /dev/mapper/r0 400 8)" "400 401 405 406 407" "unread sectors"
	block_io check /dev/mapper/r0 2 402 3
	# Main has unread sectors as they always were.
	expect_reply 'unremapped 1' r0 unremap 80
	block_io check /dev/mapper/r0 1 80 8
	expect_state r0 "7 45 0 0 degraded" "after unremap"
	message r0 bad 80
	remove_mapped r0
	make_remap r0 4096 "$main" "$spare" 0 224
	expect_state r0 "8 53 0 0 degraded" "in the next table"
	expect_refused_at_once r0 "$main" 80 88 400
	expect_equal "$(block_io unreadable /dev/mapper/r0 400 8)" "400 401 405 406 407" "unread sectors in the next table"
	block_io check /dev/mapper/r0 2 402 3

	# A range ends where no spare block is left.
	log_mark
	expect_errno ENOSPC message r0 bad 800 160
	expect_log 'sector 896' 'no spare block left'
	expect_state r0 "20 149 0 0 spare_full"
	expect_errno ENOSPC message r0 bad 2000
	block_io check /dev/mapper/r0 1 896 3200

	expect_errno EINVAL message r0 bad
	expect_errno EINVAL message r0 bad 4096
	expect_errno EINVAL message r0 bad 0 0
	expect_errno EINVAL message r0 bad x
	expect_errno EINVAL message r0 bad 1 2 3
	# What main can read comes back, and all of it when main is repaired.
	expect_reply 'cleared 0 pending 0 unread 13' r0 retry
	expect_state r0 "20 13 0 0 spare_full" "after retry"
	expect_equal "$(block_io unreadable /dev/mapper/r0 396 24)" "400 401 405 406 407 408 409 410 411 412 413 414 415" \
		"sectors that are unread after retry"
	block_io check /dev/mapper/r0 1 0 400
	block_io check /dev/mapper/r0 2 402 3
	block_io check /dev/mapper/r0 1 416 3680
	null_blk_set main badblocks=-400-415
	expect_reply 'cleared 0 pending 0 unread 0' r0 retry
	expect_state r0 "20 0 0 0 spare_full" "after retry of a good disk"
	block_io check /dev/mapper/r0 1 0 402
	block_io check /dev/mapper/r0 2 402 3
	block_io check /dev/mapper/r0 1 405 3691
	# All sectors can be written.
	block_io fill /dev/mapper/r0 3
	expect_state r0 "20 0 0 0 spare_full" "after everything was written"
	expect_reply 'cleared 20' r0 clear
	block_io check "$main" 3 0 4096
	remove_mapped r0
	dmsetup create r0 --readonly --table "0 4096 remap $main $spare 0 224"
	defer remove_mapped r0
	expect_errno EROFS message r0 bad 0
	expect_equal "$(message r0 list)" end list
}
