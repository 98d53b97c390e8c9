# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="a long write over small blocks with one bad sector writes less than three times its length to main"
LONG_MACHINES="uml-smp debian"

test() {
	local before written
	make_null_blk main 2
	make_null_blk spare 1
	make_remap r0 4096 "$main" "$spare" 0 1600 block_size 1
	block_io fill /dev/mapper/r0 1
	null_blk_set main badblocks=+1200-1200
	before=$(disk_stat "$main" 7)
	expect_equal "$(block_io write /dev/mapper/r0 1000 1000 2)" ok "write with a bad sector"
	written=$(($(disk_stat "$main" 7) - before))
	# These are: the write, the run of 256 sectors that fails, its sectors one by one, and the runs after it.
	((written < 3000)) || fail "$written sectors were written for 1000"
	expect_equal "$(status_word r0 1 | cut -d/ -f1)" 1 "remapped blocks"
	block_io check /dev/mapper/r0 1 0 1000
	block_io check /dev/mapper/r0 2 1000 1000
	block_io check /dev/mapper/r0 1 2000 2096
}
