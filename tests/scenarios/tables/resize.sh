# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="a longer table replaces a shorter one on a live device, its new sectors can be written and remapped, and a shorter one replaces it"
MACHINES="uml uml-debug debian"
LONG_MACHINES=uml-smp

test() {
	make_null_blk main 4
	make_null_blk spare 1
	make_remap r0 4000 "$main" "$spare" 0 1088
	block_io fill /dev/mapper/r0 1
	expect_errno EINVAL message r0 remap 4096
	load_remap r0 8192 "$main" "$spare" 0 1088
	dmsetup suspend r0
	dmsetup resume r0
	expect_equal "$(sectors_of /dev/mapper/r0)" 8192 size
	block_io check /dev/mapper/r0 1 0 4000
	expect_reply 'sector 4096 -> spare 32' r0 remap 4096
	message r0 clear
	python3 -S "$tests/random_walk.py" r0 8 128 "$(scaled 200)" "$SEED" "$main" 0 "$spare"
	message r0 clear
	# A shorter table.
	load_remap r0 2048 "$main" "$spare" 0 1088
	dmsetup suspend r0
	dmsetup resume r0
	expect_equal "$(sectors_of /dev/mapper/r0)" 2048 size
	expect_errno EINVAL message r0 verify 2048
	expect_errno EINVAL message r0 remap 2047 2
	expect_equal "$(block_io write /dev/mapper/r0 2048 1 x)" ENOSPC "write behind the new end"
}
