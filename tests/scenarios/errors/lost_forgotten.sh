# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="a block that moves back and is remapped again has none of its former lost sectors"
LONG_MACHINES=uml-smp

test() {
	make_null_blk main 2
	make_null_blk spare 1
	block_io fill "$main" 1
	make_remap r0 4096 "$main" "$spare" 0 72
	null_blk_set main badblocks=+82-83
	message r0 remap 80
	null_blk_set main badblocks=-82-83
	block_io fill /dev/mapper/r0 2 80 72
	message r0 unremap 80
	message r0 remap 80
	expect_equal "$(status_word r0 2)" 0 "lost sectors"
	block_io check /dev/mapper/r0 2 80 72
	message r0 unremap 80
	# Another block in the same slot.
	message r0 remap 160
	block_io check /dev/mapper/r0 1 160 72
	expect_equal "$(message r0 list)" $'160 32 -\nend' list
}
