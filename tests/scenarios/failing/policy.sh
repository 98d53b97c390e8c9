# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="error_policy record and off return errors and move nothing; the policy message changes the policy, and the table line shows it"
LONG_MACHINES="uml-smp debian"

test() {
	local main_number spare_number
	make_null_blk main 2
	make_null_blk spare 1
	main_number=$(stat -c '%Hr:%Lr' "$main")
	spare_number=$(stat -c '%Hr:%Lr' "$spare")
	make_remap r0 4096 "$main" "$spare" 0 1600 error_policy record
	expect_equal "$(dmsetup table r0)" "0 4096 remap $main_number $spare_number 0 1600 2 error_policy record" "table"
	block_io fill /dev/mapper/r0 1
	null_blk_set main badblocks=+83-83
	expect_equal "$(block_io write /dev/mapper/r0 80 8 2)" EIO "write with error_policy record"
	expect_state r0 "0 0 0 1 degraded" "after a write"
	expect_equal "$(counter r0 auto_remaps)" 0 "automatic remaps"
	null_blk_set main badblocks=+163-163
	expect_equal "$(block_io read /dev/mapper/r0 163 1)" EIO "read with error_policy record"
	reaches_state r0 "0 0 0 2 degraded" "after a read"
	expect_equal "$(block_io write /dev/mapper/r0 163 1 2)" EIO "write of a pending block with error_policy record"
	expect_state r0 "0 0 0 2 degraded" "after a write of a pending block"

	# Pending blocks are relocated once the policy is relocate.
	expect_equal "$(message r0 policy relocate)" '' "reply to policy"
	expect_equal "$(dmsetup table r0)" "0 4096 remap $main_number $spare_number 0 1600" "table"
	expect_state r0 "0 0 0 2 degraded" "after policy relocate"
	expect_equal "$(block_io write /dev/mapper/r0 80 8 3)" ok "write with policy relocate"
	expect_equal "$(block_io write /dev/mapper/r0 163 1 3)" ok "write with policy relocate"
	expect_state r0 "2 0 0 0 ok" "after the writes"
	expect_equal "$(counter r0 auto_remaps)" 2 "automatic remaps"
	block_io check /dev/mapper/r0 3 80 8
	block_io check /dev/mapper/r0 3 163 1

	message r0 policy off
	expect_equal "$(dmsetup table r0)" "0 4096 remap $main_number $spare_number 0 1600 2 error_policy off" "table"
	null_blk_set main badblocks=+243-243
	expect_equal "$(block_io read /dev/mapper/r0 243 1)" EIO "read with policy off"
	expect_equal "$(block_io write /dev/mapper/r0 243 1 4)" EIO "write with policy off"
	expect_equal "$(block_io read /dev/mapper/r0 200 80)" EIO "long read with policy off"
	# The policy concerns writes: a failed read makes its block pending.
	reaches_state r0 "2 0 0 1 degraded" "with policy off"
	expect_equal "$(counter r0 auto_remaps)" 2 "automatic remaps"
	# Messages move blocks, and moved blocks work, under any policy.
	expect_match "$(message r0 remap 240)" '^sector 240 -> spare' remap
	expect_equal "$(block_io write /dev/mapper/r0 240 8 4)" ok "write of a moved block with policy off"
	block_io check /dev/mapper/r0 4 240 8
	message r0 policy record
	expect_match "$(dmsetup table r0)" ' 2 error_policy record$' "table"

	# The printed line makes the same table again.
	local line
	line=$(dmsetup table r0)
	remove_mapped r0
	make_mapped r0 "$line"
	expect_equal "$(dmsetup table r0)" "$line" "line of a new table"
	null_blk_set main badblocks=+323-323
	expect_equal "$(block_io write /dev/mapper/r0 323 1 5)" EIO "write in a new table"

	log_mark
	expect_errno EINVAL message r0 policy sometimes
	expect_log sometimes
	expect_errno EINVAL message r0 policy
	expect_errno EINVAL message r0 policy off off
	expect_match "$(dmsetup table r0)" ' 2 error_policy record$' "table after bad messages"
	block_io check /dev/mapper/r0 4 240 8
	block_io check /dev/mapper/r0 3 80 8
}
