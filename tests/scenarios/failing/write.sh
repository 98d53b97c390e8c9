# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="a write that main fails succeeds on the spare and survives a reload; each block is counted once"
MACHINES="uml debian"
LONG_MACHINES=uml-smp

# expect_written <turn> <start> <sectors> <blocks>: writes, and expects success and so many automatic remaps.
expect_written() {
	local before
	before=$(counter r0 auto_remaps)
	expect_equal "$(block_io write /dev/mapper/r0 "$2" "$3" "$1")" ok "write $1"
	block_io check /dev/mapper/r0 "$1" "$2" "$3"
	expect_equal "$(($(counter r0 auto_remaps) - before))" "$4" "blocks that write $1 has moved"
}

test() {
	local sector
	make_null_blk main 2
	make_null_blk spare 1
	make_remap r0 4096 "$main" "$spare" 0 1600
	block_io fill /dev/mapper/r0 1
	# Sectors 80 to 87 are a block, and so on. First, a whole block with one bad sector.
	null_blk_set main badblocks=+83-83
	expect_written 2 80 8 1
	expect_match "$(message r0 verify 83)" '^sector 80 -> spare [0-9]+$' "where the block is"
	expect_state r0 "1 0 0 0 ok"
	# The block has moved already.
	expect_written 3 80 8 0
	expect_written 3 83 1 0
	# Two sectors of a block, one of them bad; the other sectors keep what they hold.
	null_blk_set main badblocks=+161-161
	expect_written 4 161 2 1
	block_io check /dev/mapper/r0 1 160 1
	block_io check /dev/mapper/r0 1 163 5
	# Several blocks, one of them bad.
	null_blk_set main badblocks=+252-252
	expect_written 5 236 40 1
	block_io check /dev/mapper/r0 1 232 4
	block_io check /dev/mapper/r0 1 276 4
	expect_match "$(message r0 verify 240)" 'not remapped' "a block without bad sectors"
	# Several blocks, three of them bad, and bad sectors on either side of a boundary.
	null_blk_set main badblocks=+335-336
	null_blk_set main badblocks=+352-352
	expect_written 6 320 64 3
	# A megabyte, with bad blocks in the middle and at both ends.
	null_blk_set main badblocks=+2048-2048
	null_blk_set main badblocks=+2500-2501
	null_blk_set main badblocks=+4095-4095
	expect_written 7 2048 2048 3
	expect_equal "$(counter r0 auto_remaps) $(counter r0 manual_remaps)" "9 0" "automatic and other remaps"
	expect_state r0 "9 0 0 0 ok"
	expect_match "$(counter r0 write_errors)" '^[1-9]' write_errors

	# Blocks that an error has moved are remapped like any others.
	expect_errno EEXIST message r0 remap 80
	local list
	list=$(message r0 list)
	remove_mapped r0
	make_remap r0 4096 "$main" "$spare" 0 1600
	expect_equal "$(message r0 list)" "$list" "list after a reload"
	block_io check /dev/mapper/r0 1 0 80
	block_io check /dev/mapper/r0 3 80 8
	block_io check /dev/mapper/r0 4 161 2
	block_io check /dev/mapper/r0 5 236 40
	block_io check /dev/mapper/r0 6 320 64
	block_io check /dev/mapper/r0 1 384 1664
	block_io check /dev/mapper/r0 7 2048 2048
	expect_equal "$(counter r0 auto_remaps)" 0 "automatic remaps of a new table"
	# A block stays on the spare while main is bad; once main works, all blocks move back.
	expect_errno EIO message r0 unremap 80
	for sector in 83-83 161-161 252-252 335-336 352-352 2048-2048 2500-2501 4095-4095; do
		null_blk_set main badblocks="-$sector"
	done
	message r0 clear
	expect_state r0 "0 0 0 0 ok"
	block_io check /dev/mapper/r0 7 2048 2048
	block_io check /dev/mapper/r0 3 80 8
	block_io check "$main" 7 2048 2048
}
