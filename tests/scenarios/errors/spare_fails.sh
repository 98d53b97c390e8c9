# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="when the spare fails during remap, as a whole or in one slot, blocks stay on main with their data or get another slot"
LONG_MACHINES="uml-smp debian"

test() {
	make_null_blk main 2
	make_null_blk spare 1
	make_remap r0 4096 "$main" "$spare" 0 1088
	block_io fill /dev/mapper/r0 1
	null_blk_set spare badblocks=+0-2047
	log_mark
	expect_errno ENOLINK message r0 remap 80
	expect_match "$(log_lines)" 'remap stopped at sector 80: a device does not answer; 0 blocks' "the log"
	expect_equal "$(health r0)" spare_failing "health while the spare fails"
	expect_reply 'sector 80 not remapped' r0 verify 80
	expect_errno ENOLINK message r0 remap 0 800
	expect_equal "$(message r0 list)" end list
	expect_equal "$(status_word r0 1)" 0/128 "remapped blocks"
	expect_match "$(counter r0 spare_errors)" '^[1-9]' spare_errors
	block_io check /dev/mapper/r0 1
	block_io fill /dev/mapper/r0 2
	block_io check /dev/mapper/r0 2
	null_blk_set spare badblocks=-0-2047
	wait_until 31 is_health r0 ok

	# One bad sector in the middle: its slot is skipped, and never used again.
	null_blk_set spare badblocks=+500-500
	expect_errno ENOSPC message r0 remap 0 4096
	expect_equal "$(status_word r0 1)" 127/128 "remapped blocks"
	block_io check /dev/mapper/r0 2
	null_blk_set spare badblocks=-500-500
	message r0 clear
	block_io check /dev/mapper/r0 2
	expect_errno ENOSPC message r0 remap 0 1024
	expect_reply 'remapped 0 already 127' r0 remap 0 1016
	[[ $(message r0 list) != *" 496 "* ]] || fail "a slot that has failed is used again"
	block_io check /dev/mapper/r0 2

	# The slot of a remapped block fails: the caller gets the error, and other blocks work.
	local place
	place=$(message r0 verify 80 | awk '{ print $NF }')
	null_blk_set spare badblocks=+"$place-$((place + 7))"
	expect_equal "$(block_io read /dev/mapper/r0 80 8)" EIO "read of a bad spare"
	expect_errno EIO message r0 unremap 80
	expect_match "$(message r0 verify 80)" "-> spare $place" "where the block is"
	block_io check /dev/mapper/r0 2 0 80
	block_io check /dev/mapper/r0 2 88 4008
	null_blk_set spare badblocks=-"$place-$((place + 7))"
	block_io check /dev/mapper/r0 2
	expect_reply 'unremapped 1' r0 unremap 80
	block_io check /dev/mapper/r0 2
}
