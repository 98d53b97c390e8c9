# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="dmsetup table prints arguments that recreate the table"
LONG_MACHINES="uml-smp debian"

# again <sectors> ...: expects that dmsetup table prints the arguments of a table, with device numbers, and that
# these make the same table.
again() {
	local line printed numbered
	blkdiscard -z "$spare"
	line=$(remap_line "$@")
	numbered=${line/"$main"/"$(<"$(sysfs_of "$main")/dev")"}
	numbered=${numbered/"$spare"/"$(<"$(sysfs_of "$spare")/dev")"}
	make_mapped r0 "$line"
	printed=$(dmsetup table r0)
	expect_equal "$printed" "$numbered" "the table of '$line'"
	remove_mapped r0
	make_mapped r0 "$printed"
	expect_equal "$(dmsetup table r0)" "$printed" "the table of that table"
	remove_mapped r0
}

test() {
	make_null_blk main 4
	make_null_blk spare 1
	again 4096 "$main" "$spare" 0 1024
	again 4096 "$main" "$spare" 77 1024 main_start 5
	again 4096 "$main" "$spare" 0 1024 block_size 8
	again 4096 "$main" "$spare" 0 1024 block_size 64 volatile
	again 4096 "$main" "$spare" 0 1024 error_policy record
	again 4096 "$main" "$spare" 0 1024 main_start 8 block_size 16 volatile error_policy off
	# The option format is not printed once the area is formatted.
	make_remap r0 4096 "$main" "$spare" 0 1024 format block_size 16
	expect_match "$(dmsetup table r0)" '^0 4096 remap [0-9]+:[0-9]+ [0-9]+:[0-9]+ 0 1024 2 block_size 16$' table
	load_remap r0 4096 "$main" "$spare" 0 1024 format
	expect_match "$(dmsetup table --inactive r0)" ' 0 1024 1 format$' "a table that is not active yet"
	remove_mapped r0
	# Options in another order, and with their default values.
	make_remap r0 4096 "$main" "$spare" 0 1024 format error_policy relocate main_start 0 volatile
	expect_match "$(dmsetup table r0)" '^0 4096 remap [0-9]+:[0-9]+ [0-9]+:[0-9]+ 0 1024 1 volatile$' table
}
