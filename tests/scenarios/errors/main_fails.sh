# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="when main fails during unremap, the block stays on the spare with its data, and unremap fails with EIO"
LONG_MACHINES="uml-smp debian"

test() {
	make_null_blk main 2
	make_null_blk spare 1
	make_remap r0 4096 "$main" "$spare" 0 1024
	block_io fill /dev/mapper/r0 1
	message r0 remap 80 24
	null_blk_set main badblocks=+90-90
	log_mark
	expect_errno EIO message r0 unremap 88
	expect_log 'sector 88' 'the devices refused'
	expect_match "$(message r0 verify 88)" '-> spare' "where the block is"
	block_io check /dev/mapper/r0 1
	block_io fill /dev/mapper/r0 2
	block_io check /dev/mapper/r0 2
	# A block that cannot be written to main does not keep its neighbours on the spare.
	expect_errno EIO message r0 clear
	expect_match "$(message r0 verify 88)" '-> spare' "where the block is after clear"
	message r0 unremap 80 || true
	message r0 unremap 96 || true
	expect_match "$(message r0 list)" $'^88 [0-9]+ -\nend$' "list"
	block_io check /dev/mapper/r0 2
	expect_match "$(counter r0 write_errors)" '^[1-9]' write_errors
	null_blk_set main badblocks=-90-90
	expect_reply 'unremapped 1' r0 unremap 88
	block_io check /dev/mapper/r0 2
}
