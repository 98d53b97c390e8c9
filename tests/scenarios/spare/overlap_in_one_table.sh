# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="two targets of one table cannot share a spare area"

test() {
	make_null_blk main 4
	make_null_blk spare 1
	expect_errno EBUSY make_mapped both \
		"0 2048 remap $main $spare 0 512" \
		"2048 2048 remap $main $spare 256 512 2 main_start 2048"
}
