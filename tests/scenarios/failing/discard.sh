# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="a discard of bad, pending and unread blocks, successful or not, moves no block and brings no lost data back"
LONG_MACHINES="uml-smp debian"

test() {
	make_null_blk main 2 discard=1
	make_null_blk spare 1 discard=1
	make_remap r0 4096 "$main" "$spare" 0 1600
	block_io fill /dev/mapper/r0 1
	null_blk_set main badblocks=+83-84
	# Sector 84 is unread, and stays unread after a discard.
	expect_equal "$(block_io write /dev/mapper/r0 83 1 2)" ok write
	expect_state r0 "1 1 0 0 degraded"
	expect_match "$(block_io discard /dev/mapper/r0 80 8)" '^(ok|EIO)$' "discard of a block with an unread sector"
	expect_equal "$(block_io read /dev/mapper/r0 84 1)" EIO "the unread sector"
	expect_state r0 "1 1 0 0 degraded" "after the discard"
	expect_equal "$(block_io write /dev/mapper/r0 80 8 3)" ok "write of the whole block"
	expect_state r0 "1 0 0 0 ok"
	# A block with all sectors unread is discarded, then written in part.
	message r0 bad 160
	expect_match "$(block_io discard /dev/mapper/r0 152 24)" '^(ok|EIO)$' "discard of a block of the message bad"
	expect_equal "$(block_io write /dev/mapper/r0 162 2 3)" ok "write of a part"
	expect_equal "$(block_io unreadable /dev/mapper/r0 160 8)" "160 161 164 165 166 167" "unread sectors"
	block_io check /dev/mapper/r0 3 162 2
	# A discard of a pending block, and of a bad one.
	null_blk_set main badblocks=+243-243
	expect_equal "$(block_io read /dev/mapper/r0 243 1)" EIO "read of a bad sector"
	block_io discard /dev/mapper/r0 240 8 >/dev/null
	expect_match "$(message r0 verify 240)" 'not remapped' "a pending block after a discard"
	null_blk_set main badblocks=+323-323
	block_io discard /dev/mapper/r0 320 8 >/dev/null
	expect_match "$(message r0 verify 320)" 'not remapped' "a bad block after a discard"
	expect_equal "$(block_io write /dev/mapper/r0 240 8 4) $(block_io write /dev/mapper/r0 320 8 4)" "ok ok" "writes of both"
	block_io check /dev/mapper/r0 4 240 8
	block_io check /dev/mapper/r0 4 320 8
	expect_equal "$(block_io write /dev/mapper/r0 152 24 4)" ok "write of the discarded sectors"
	expect_state r0 "4 0 0 0 ok" "at the end"
	remove_mapped r0
	make_remap r0 4096 "$main" "$spare" 0 1600
	block_io check /dev/mapper/r0 3 80 8
	block_io check /dev/mapper/r0 4 152 24
	block_io check /dev/mapper/r0 4 240 8
	block_io check /dev/mapper/r0 1 328 3768
}
