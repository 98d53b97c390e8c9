# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="remaps and their data survive suspend and resume"
LONG_MACHINES="uml-smp debian"

test() {
	make_null_blk main 2
	make_null_blk spare 1
	make_remap r0 4096 "$main" "$spare" 0 1024
	block_io fill /dev/mapper/r0 1
	message r0 remap 100 500
	block_io fill /dev/mapper/r0 2
	local before
	before=$(message r0 list)
	dmsetup suspend r0
	expect_equal "$(message r0 list)" "$before" "list while suspended"
	log_mark
	expect_errno EAGAIN message r0 remap 0
	expect_log 'sector 0' 'suspended'
	expect_errno EAGAIN message r0 unremap 104
	dmsetup resume r0
	expect_equal "$(message r0 list)" "$before" "list after resume"
	block_io check /dev/mapper/r0 2
	expect_reply "unremapped 63" r0 unremap 0 4096
	block_io check /dev/mapper/r0 2
}
