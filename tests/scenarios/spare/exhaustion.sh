# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="without a free spare block remap fails with ENOSPC, remapped blocks keep working, and the health is spare_low before it is spare_full"
LONG_MACHINES="uml-smp debian"

test() {
	make_null_blk main 2
	make_null_blk spare 1
	make_remap r0 4096 "$main" "$spare" 0 224 # 20 blocks
	block_io fill /dev/mapper/r0 1
	expect_equal "$(health r0)" ok "health of an empty table"
	expect_reply 'remapped 18 already 0' r0 remap 0 144
	expect_equal "$(health r0)" ok "health with a tenth free"
	message r0 remap 144 >/dev/null
	expect_equal "$(health r0)" spare_low "health with less than a tenth free"
	message r0 remap 152 >/dev/null
	expect_equal "$(health r0)" spare_full "health with nothing free"
	expect_equal "$(status_word r0 1)" 20/20 "remapped blocks"

	log_mark
	expect_errno ENOSPC message r0 remap 160
	expect_log 'sector 160' 'no spare block left'
	expect_errno EEXIST message r0 remap 8
	expect_errno ENOSPC message r0 remap 152 16
	expect_equal "$(status_word r0 1)" 20/20 "remapped blocks after refused remaps"
	expect_reply 'sector 160 not remapped' r0 verify 160
	block_io check /dev/mapper/r0 1
	block_io fill /dev/mapper/r0 2
	block_io check /dev/mapper/r0 2

	# Freed spare blocks are used again; a range uses all that are left, and reports how many blocks it moved.
	expect_reply 'unremapped 2' r0 unremap 0 16
	expect_equal "$(health r0)" ok "health with two blocks free"
	log_mark
	expect_errno ENOSPC message r0 remap 400 40
	expect_log 'sector 416' 'no spare block left' '2 blocks were moved'
	expect_match "$(message r0 verify 408)" '^sector 408 -> spare [0-9]+$' "a block that was moved"
	expect_reply 'sector 416 not remapped' r0 verify 416
	expect_equal "$(health r0)" spare_full health
	block_io check /dev/mapper/r0 2
	expect_reply 'cleared 20' r0 clear
	expect_equal "$(health r0)" ok "health after clear"
	block_io check /dev/mapper/r0 2
}
