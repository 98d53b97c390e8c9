# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="two targets of one table cannot share a spare area; adjacent spare areas are accepted"
LONG_MACHINES=uml-smp

test() {
	make_null_blk main 4
	make_null_blk spare 1
	expect_errno EBUSY make_mapped both \
		"0 2048 remap $main $spare 0 512" \
		"2048 2048 remap $main $spare 256 512 2 main_start 2048"
	expect_errno EBUSY make_mapped both \
		"0 2048 remap $main $spare 0 512" \
		"2048 2048 remap $spare $main 4096 512"
	make_mapped both \
		"0 2048 remap $main $spare 0 512" \
		"2048 2048 remap $main $spare 512 512 2 main_start 2048"
	# The same table can replace itself.
	dmsetup table both | dmsetup load both
	dmsetup suspend both
	dmsetup resume both
}
