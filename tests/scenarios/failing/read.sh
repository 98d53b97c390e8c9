# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="a failed read returns an error and marks its block as pending; reads still try main, and the next write relocates the block with all data that can be read"
LONG_MACHINES="uml-smp debian"

test() {
	make_null_blk main 2
	make_null_blk spare 1
	make_remap r0 4096 "$main" "$spare" 0 1600
	block_io fill /dev/mapper/r0 1
	null_blk_set main badblocks=+83-83
	# The block is pending soon, however often it is read.
	expect_equal "$(block_io read /dev/mapper/r0 82 3)" EIO "read of a bad sector"
	reaches_state r0 "0 0 0 1 degraded" "after a read of one block"
	expect_equal "$(block_io read /dev/mapper/r0 83 1)" EIO "read of a bad sector, again"
	expect_state r0 "0 0 0 1 degraded" "after another one"
	expect_equal "$(block_io unreadable /dev/mapper/r0 80 8)" 83 "sectors that cannot be read"
	block_io check /dev/mapper/r0 1 84 4
	# Main is tried each time.
	null_blk_set main badblocks=-83-83
	block_io check /dev/mapper/r0 1 80 8
	expect_equal "$(status_word r0 1)" "0/$(spares)" "remapped blocks: a read moves nothing"
	null_blk_set main badblocks=+83-83
	# The next write relocates, wherever in the block it is. No old data appears in place of unreadable
	# sectors.
	expect_equal "$(block_io write /dev/mapper/r0 86 1 2)" ok "write of a pending block"
	expect_state r0 "1 1 0 0 degraded" "after a write of a pending block"
	expect_equal "$(counter r0 auto_remaps)" 1 "automatic remaps"
	expect_equal "$(block_io unreadable /dev/mapper/r0 80 8)" 83 "unread sectors"
	block_io check /dev/mapper/r0 2 86 1
	block_io check /dev/mapper/r0 1 84 2
	expect_equal "$(block_io write /dev/mapper/r0 83 1 2)" ok "write of the unread sector"
	expect_state r0 "1 0 0 0 ok" "after a write of the unread sector"

	# A block that can be read by the time of the write moves without a loss.
	null_blk_set main badblocks=+170-170
	expect_equal "$(block_io read /dev/mapper/r0 168 8)" EIO "read of another block"
	wait_until 20 is_pending r0 1
	null_blk_set main badblocks=-170-170
	expect_equal "$(block_io write /dev/mapper/r0 168 1 2)" ok "write of another block"
	expect_state r0 "2 0 0 0 ok" "after a write of a block that can be read"
	block_io check /dev/mapper/r0 1 169 7

	# Write-zeroes is a write, too.
	null_blk_set main badblocks=+250-250
	expect_equal "$(block_io read /dev/mapper/r0 250 1)" EIO "read of a third block"
	wait_until 20 is_pending r0 1
	expect_equal "$(block_io zero /dev/mapper/r0 248 8)" ok write-zeroes
	expect_state r0 "3 0 0 0 ok" "after write-zeroes"

	# A read of many blocks: the bad ones become pending after some time, and no good one does.
	null_blk_set main badblocks=+1001-1001
	null_blk_set main badblocks=+1039-1040
	null_blk_set main badblocks=+1100-1100
	expect_equal "$(block_io read /dev/mapper/r0 1000 128)" EIO "read of many blocks"
	wait_until 10 is_pending r0 4
	sleep 0.5
	expect_state r0 "3 0 0 4 degraded" "after a read of many blocks"
	expect_equal "$(block_io write /dev/mapper/r0 1000 128 4)" ok "write of many blocks"
	expect_state r0 "7 0 0 0 ok" "after a write of many blocks"
	block_io check /dev/mapper/r0 4 1000 128
	remove_mapped r0
	make_remap r0 4096 "$main" "$spare" 0 1600
	expect_state r0 "7 0 0 0 ok" "in the next table"
	block_io check /dev/mapper/r0 4 1000 128
	block_io check /dev/mapper/r0 1 1128 2968
	block_io check /dev/mapper/r0 1 0 83
	block_io check /dev/mapper/r0 2 83 1
}

spares() {
	local word
	word=$(status_word r0 1)
	echo "${word#*/}"
}
