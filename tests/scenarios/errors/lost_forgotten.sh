# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="a block that moves back and is remapped again has none of its former unread sectors"
LONG_MACHINES=uml-smp

test() {
	make_null_blk main 2
	make_null_blk spare 1
	block_io fill "$main" 1
	make_remap r0 4096 "$main" "$spare" 0 72
	null_blk_set main badblocks=+82-83
	message r0 remap 80
	expect_missing r0 2 0 "after remap"
	# With unread sectors, while main is bad there, and then with contents in all of the slot.
	block_io fill /dev/mapper/r0 2 81 1
	message r0 unremap 80
	null_blk_set main badblocks=-82-83
	expect_missing r0 0 0 "after unremap"
	message r0 remap 80
	expect_missing r0 0 0 "after the next remap"
	block_io check /dev/mapper/r0 1 80 1
	block_io check /dev/mapper/r0 2 81 1
	block_io check /dev/mapper/r0 1 82 70
	block_io fill /dev/mapper/r0 2 80 72
	message r0 unremap 80
	message r0 remap 80
	expect_missing r0 0 0 "after another remap"
	block_io check /dev/mapper/r0 2 80 72
	message r0 unremap 80
	# Another block in the same slot.
	message r0 remap 160
	block_io check /dev/mapper/r0 1 160 72
	expect_equal "$(message r0 list)" $'160 32 -\nend' list
}
