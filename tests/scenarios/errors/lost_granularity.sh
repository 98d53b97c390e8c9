# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="an unread sector takes its logical block of main with it, a lost one that of the spare, and nothing else, also next to a boundary of blocks"
LONG_MACHINES=uml-smp

test() {
	# Main has logical blocks of 4 KiB; one of the four in a remap block is unreadable.
	make_null_blk main 2 blocksize=4096
	make_null_blk spare 1 blocksize=4096
	block_io fill "$main" 1
	null_blk_set main badblocks=+40-40
	make_remap r0 4096 "$main" "$spare" 0 1024 block_size 32
	expect_reply 'sector 32 -> spare 32' r0 remap 40
	expect_missing r0 8 0 "after remap"
	expect_equal "$(block_io read /dev/mapper/r0 40 8)" EIO "the unread block"
	block_io check /dev/mapper/r0 1 0 40
	block_io check /dev/mapper/r0 1 48 4048
	block_io fill /dev/mapper/r0 2 40 8
	block_io check /dev/mapper/r0 2 40 8
	expect_missing r0 0 0 "after a write"
	# A write to one of two logical blocks of the spare that are bad: the other one is lost.
	null_blk_set spare badblocks=+42-42
	null_blk_set spare badblocks=+53-53
	block_io fill /dev/mapper/r0 3 40 8
	expect_missing r0 0 8 "after a write that fails on the spare"
	expect_equal "$(block_io read /dev/mapper/r0 48 8)" EIO "the lost block"
	block_io check /dev/mapper/r0 1 32 8
	block_io check /dev/mapper/r0 3 40 8
	block_io check /dev/mapper/r0 1 56 8
	block_io fill /dev/mapper/r0 3 48 8
	expect_missing r0 0 0 "after a write of the lost block"
	remove_mapped r0

	# Main has logical blocks of a sector and two holes, in a last block that the end of the target cuts short.
	make_null_blk disk 2
	make_null_blk other 1
	make_mapped holed "0 100 linear $disk 0" "100 1 error" "101 2 linear $disk 101" "103 1 error" "104 1000 linear $disk 104"
	block_io fill "$disk" 3
	make_remap r0 104 /dev/mapper/holed "$other" 0 1024 block_size 16
	expect_reply 'sector 96 -> spare 32' r0 remap 96
	expect_missing r0 2 0 "after remap of the last block"
	block_io check /dev/mapper/r0 3 0 100
	block_io check /dev/mapper/r0 3 101 2
	local sector
	for sector in 100 103; do
		expect_equal "$(block_io read /dev/mapper/r0 $sector 1)" EIO "sector $sector"
	done
	block_io fill /dev/mapper/r0 4 96 8
	block_io check /dev/mapper/r0 4 96 8
	expect_missing r0 0 0 "after a write of the last block"
}
