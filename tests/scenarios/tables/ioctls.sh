# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="size, logical block size, read-only state and slaves of the device are those of the devices below"
LONG_MACHINES=uml-smp

test() {
	make_null_blk main 2 blocksize=4096
	make_null_blk spare 1
	make_remap r0 4096 "$main" "$spare" 0 1024
	expect_equal "$(blockdev --getsize64 /dev/mapper/r0)" 2097152 "size"
	expect_equal "$(blockdev --getss /dev/mapper/r0)" 4096 "logical block size"
	expect_equal "$(status_word r0 4)" 8 "remap block size"
	expect_equal "$(blockdev --getro /dev/mapper/r0)" 0 "read-only"
	expect_equal "$(cat "$(sysfs_of /dev/mapper/r0)/slaves"/*/dev | sort)" \
		"$(cat "$(sysfs_of "$main")/dev" "$(sysfs_of "$spare")/dev" | sort)" "devices below"
	# 512-byte sectors in the middle of a logical block cannot be read.
	expect_equal "$(block_io read /dev/mapper/r0 1 1)" EINVAL "a read of half a block"
	remove_mapped r0

	make_null_blk other 2
	make_null_blk large 1 blocksize=4096
	make_remap r0 4096 "$other" "$large" 0 1024
	expect_equal "$(blockdev --getss /dev/mapper/r0)" 4096 "logical block size with a larger one on the spare"
	block_io fill /dev/mapper/r0 1
	message r0 remap 0 64
	block_io check /dev/mapper/r0 1
}
