# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="a spare block that fails a write is replaced by another, during the move of a block and afterwards, and never used again; users see no error"
LONG_MACHINES="uml-smp debian"

# place <sector>: prints the spare sector of a block.
place() { message r0 verify "$1" | awk '{ print $NF }'; }

test() {
	local first second third moved old
	make_null_blk main 2
	make_null_blk spare 1
	make_remap r0 4096 "$main" "$spare" 0 1600
	block_io fill /dev/mapper/r0 1
	# While a block moves: the first two spares fail writes.
	null_blk_set spare badblocks=+32-32
	null_blk_set spare badblocks=+47-47
	null_blk_set main badblocks=+83-83
	expect_equal "$(block_io write /dev/mapper/r0 82 3 2)" ok "write that moves a block past two bad spares"
	expect_equal "$(counter r0 auto_remaps)" 1 "automatic remaps"
	expect_match "$(counter r0 spare_errors)" '^[1-9]' spare_errors
	first=$(place 80)
	((first >= 48)) || fail "block 80 is on spare $first"
	block_io check /dev/mapper/r0 2 82 3
	block_io check /dev/mapper/r0 1 80 2
	block_io check /dev/mapper/r0 1 85 3
	expect_missing r0 0 0

	# After a block has moved, by an error or by a message.
	moved=$(message r0 remap 160 | awk '{ print $NF }')
	null_blk_set spare badblocks="+$((first + 2))-$((first + 2))"
	null_blk_set spare badblocks="+$((moved + 7))-$((moved + 7))"
	expect_equal "$(block_io write /dev/mapper/r0 80 8 3)" ok "write of a spare that has become bad"
	second=$(place 80)
	[[ $second != "$first" ]] || fail "block 80 is still on spare $first"
	block_io check /dev/mapper/r0 3 80 8
	expect_equal "$(block_io write /dev/mapper/r0 166 2 3)" ok "write of a part of another bad spare"
	third=$(place 160)
	[[ $third != "$moved" ]] || fail "block 160 is still on spare $moved"
	block_io check /dev/mapper/r0 3 166 2
	block_io check /dev/mapper/r0 1 160 6
	expect_missing r0 0 0
	# Sectors of the bad spare that cannot be read, and were not written, are lost; no older contents of main
	# appear in their place.
	null_blk_set spare badblocks="+$((third + 1))-$((third + 2))"
	expect_equal "$(block_io write /dev/mapper/r0 162 1 4)" ok "write of one of two bad sectors of a spare"
	expect_equal "$(block_io unreadable /dev/mapper/r0 160 8)" 161 "lost sectors"
	expect_equal "$(missing r0) $(health r0)" "0 1 degraded" "unread and lost sectors, and health"
	# Main has older contents in its place, so it does not come back by other ways than a write.
	expect_reply 'cleared 0 pending 0 unread 0' r0 retry
	expect_errno EIO message r0 unremap 160
	expect_errno EIO message r0 clear
	expect_equal "$(block_io unreadable /dev/mapper/r0 160 8) $(missing r0)" "161 0 1" "the lost sector"
	expect_equal "$(block_io write /dev/mapper/r0 161 1 4)" ok "write of the lost sector"
	block_io check /dev/mapper/r0 4 161 2
	block_io check /dev/mapper/r0 3 166 2

	# A read that fails on a spare fails for the caller.
	old=$(place 160)
	null_blk_set spare badblocks="+$old-$old"
	expect_equal "$(block_io read /dev/mapper/r0 160 1)" EIO "read of a bad spare"
	expect_equal "$(place 160)" "$old" "where the block is after a read"
	null_blk_set spare badblocks="-$old-$old"
	block_io check /dev/mapper/r0 1 160 1

	# Bad spares are not used again, even when they work again: not by other blocks, not when the spare area
	# is full, not by the next table.
	local bad="32 40 $first $moved $third"
	null_blk_set spare badblocks=-32-32
	null_blk_set spare badblocks=-47-47
	null_blk_set spare badblocks="-$((first + 2))-$((first + 2))"
	null_blk_set spare badblocks="-$((moved + 7))-$((moved + 7))"
	null_blk_set spare badblocks="-$((third + 1))-$((third + 2))"
	remove_mapped r0
	make_remap r0 4096 "$main" "$spare" 0 1600
	message r0 remap 1000 3000 || true
	local sector
	for sector in $bad; do
		if message r0 list | awk '{ print $2 }' | grep -qx "$sector"; then fail "spare $sector is used again"; fi
	done
	block_io check /dev/mapper/r0 3 80 8
	block_io check /dev/mapper/r0 4 161 2
	block_io check /dev/mapper/r0 3 166 2
	block_io check /dev/mapper/r0 1 168 3928
}
