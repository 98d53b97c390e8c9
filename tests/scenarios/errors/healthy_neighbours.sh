# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="with error_policy off, an error of main or spare fails only the I/O to the bad sector, and counts for the device that failed"
LONG_MACHINES="uml-smp debian"

test() {
	make_null_blk main 2
	make_null_blk spare 1
	make_remap r0 4096 "$main" "$spare" 0 1024 error_policy off
	block_io fill /dev/mapper/r0 1
	expect_reply 'sector 80 -> spare 32' r0 remap 80
	null_blk_set main badblocks=+8-8
	null_blk_set spare badblocks=+35-35
	message r0 stats reset
	expect_equal "$(block_io read /dev/mapper/r0 8 1)" EIO "read of a bad sector of main"
	expect_equal "$(block_io read /dev/mapper/r0 9 1)" ok "read of its neighbour"
	expect_equal "$(block_io write /dev/mapper/r0 8 1 x)" EIO "write of a bad sector of main"
	expect_equal "$(block_io read /dev/mapper/r0 83 1)" EIO "read of a bad sector of the spare"
	expect_equal "$(counter r0 read_errors) $(counter r0 write_errors) $(counter r0 spare_errors)" "1 1 1" "errors"
	expect_equal "$(counter r0 auto_remaps)" 0 "automatic remaps with error_policy off"
	# Bad sectors in the old place of a remapped block do not matter.
	null_blk_set main badblocks=+80-87
	expect_equal "$(block_io read /dev/mapper/r0 80 3)" ok "read of a remapped block"
	expect_equal "$(block_io read /dev/mapper/r0 72 24)" EIO "read that spans main, the bad spare block and main"
	null_blk_set spare badblocks=-35-35
	null_blk_set main badblocks=-8-8
	block_io check /dev/mapper/r0 1
}
