# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="sector 0, the last sector and a partial last block are remapped, written and moved back, with block sizes of 1, 8, 16 and 2048 sectors"
LONG_MACHINES="uml-smp debian"

# edges <block size>: tests a target whose last block is cut short by half, where the block size allows it.
edges() {
	local block=$1 sectors=$((3 * $1 + ($1 + 1) / 2)) last_block
	local last=$((sectors - 1))
	last_block=$((last / block * block))
	# The first slot is behind two pages of metadata, each with two places.
	local first=$(((32 + block - 1) / block * block))
	make_remap r0 "$sectors" "$main" "$spare" 8 $(((first + 4 * block + 39) / 8 * 8)) \
		main_start 5 block_size "$block" format
	block_io fill "$main" behind $((5 + sectors)) 64
	block_io fill /dev/mapper/r0 first
	expect_reply "sector 0 -> spare $((8 + first))" r0 remap 0
	expect_reply "sector $last_block -> spare $((8 + first + block))" r0 remap "$last"
	block_io check /dev/mapper/r0 first
	block_io fill /dev/mapper/r0 second
	block_io check /dev/mapper/r0 second
	block_io check "$main" behind $((5 + sectors)) 64
	expect_reply "unremapped 1" r0 unremap 0
	expect_reply "unremapped 1" r0 unremap "$last"
	block_io check /dev/mapper/r0 second
	# Sectors of main behind the target have not been written.
	block_io check "$main" behind $((5 + sectors)) 64
	expect_equal "$(block_io read /dev/mapper/r0 "$last" 1)" ok "read of the last sector"
	expect_equal "$(block_io write /dev/mapper/r0 "$sectors" 1 x)" ENOSPC "write behind the end"
	remove_mapped r0
}

test() {
	make_null_blk main 6
	make_null_blk spare 6
	local block
	for block in 1 8 16 2048; do
		edges "$block"
	done
}
