# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="a lost sector takes its logical block of main with it and nothing else, also next to a boundary of blocks"
LONG_MACHINES=uml-smp

test() {
	# Main has logical blocks of 4 KiB; one of the four in a remap block is unreadable.
	make_null_blk main 2 blocksize=4096
	make_null_blk spare 1 blocksize=4096
	block_io fill "$main" 1
	null_blk_set main badblocks=+40-40
	make_remap r0 4096 "$main" "$spare" 0 1024 block_size 32
	expect_reply 'sector 32 -> spare 32' r0 remap 40
	expect_equal "$(status_word r0 2)" 8 "lost sectors"
	expect_equal "$(block_io read /dev/mapper/r0 40 8)" EIO "the lost block"
	block_io check /dev/mapper/r0 1 0 40
	block_io check /dev/mapper/r0 1 48 4048
	block_io fill /dev/mapper/r0 2 40 8
	block_io check /dev/mapper/r0 2 40 8
	expect_equal "$(status_word r0 2)" 0 "lost sectors"
	remove_mapped r0

	# Main has logical blocks of a sector and two holes, in a last block that the end of the target cuts short.
	make_null_blk disk 2
	make_null_blk other 1
	make_mapped holed "0 100 linear $disk 0" "100 1 error" "101 2 linear $disk 101" "103 1 error" "104 1000 linear $disk 104"
	block_io fill "$disk" 3
	make_remap r0 104 /dev/mapper/holed "$other" 0 1024 block_size 16
	expect_reply 'sector 96 -> spare 32' r0 remap 96
	expect_equal "$(status_word r0 2)" 2 "lost sectors"
	block_io check /dev/mapper/r0 3 0 100
	block_io check /dev/mapper/r0 3 101 2
	local sector
	for sector in 100 103; do
		expect_equal "$(block_io read /dev/mapper/r0 $sector 1)" EIO "sector $sector"
	done
	block_io fill /dev/mapper/r0 4 96 8
	block_io check /dev/mapper/r0 4 96 8
	expect_equal "$(status_word r0 2)" 0 "lost sectors"
}
