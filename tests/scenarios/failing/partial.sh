# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="a write to a part of a block with unreadable sectors succeeds; the others are unread, by logical blocks, until they are written or retried, also after a reload"
LONG_MACHINES="uml-smp debian"

test() {
	local back
	make_null_blk main 2
	make_null_blk spare 1
	make_remap r0 4096 "$main" "$spare" 0 1600
	block_io fill /dev/mapper/r0 1
	null_blk_set main badblocks=+82-85
	expect_equal "$(block_io write /dev/mapper/r0 83 1 2)" ok "write of one of four bad sectors"
	expect_state r0 "1 3 0 0 degraded"
	expect_equal "$(block_io unreadable /dev/mapper/r0 72 24)" "82 84 85" "unread sectors"
	expect_match "$(message r0 list)" '^80 [0-9]+ unread' list
	block_io check /dev/mapper/r0 2 83 1
	block_io check /dev/mapper/r0 1 80 2
	block_io check /dev/mapper/r0 1 86 2
	# Main is not read any more.
	expect_refused_at_once r0 "$main" 82 84 85
	null_blk_set main badblocks=-82-85
	expect_equal "$(block_io unreadable /dev/mapper/r0 72 24)" "82 84 85" "unread sectors, once main can be read"
	remove_mapped r0
	make_remap r0 4096 "$main" "$spare" 0 1600
	expect_state r0 "1 3 0 0 degraded" "in the next table"
	expect_equal "$(block_io unreadable /dev/mapper/r0 72 24)" "82 84 85" "unread sectors, in the next table"
	block_io check /dev/mapper/r0 2 83 1
	# Sectors that are written are readable again.
	expect_equal "$(block_io write /dev/mapper/r0 84 1 3)" ok "write of an unread sector"
	expect_state r0 "1 2 0 0 degraded"
	expect_equal "$(block_io zero /dev/mapper/r0 85 1)" ok "write-zeroes of an unread sector"
	expect_equal "$(block_io write /dev/mapper/r0 80 3 3)" ok "write of the last unread sector"
	expect_state r0 "1 0 0 0 ok"
	block_io check /dev/mapper/r0 3 84 1
	block_io check /dev/mapper/r0 3 80 3
	expect_reply 'unremapped 1' r0 unremap 80
	block_io check "$main" 3 80 3
	# Unread sectors come back with retry, and with unremap, which leaves them on main.
	for back in retry unremap; do
		block_io fill /dev/mapper/r0 4 80 8
		null_blk_set main badblocks=+82-85
		expect_equal "$(block_io write /dev/mapper/r0 83 1 5)" ok "write of one of four bad sectors, before $back"
		expect_state r0 "1 3 0 0 degraded" "before $back"
		null_blk_set main badblocks=-82-85
		case $back in
		retry) expect_reply 'cleared 0 pending 0 unread 0' r0 retry ;;
		unremap) expect_reply 'unremapped 1' r0 unremap 80 ;;
		esac
		expect_missing r0 0 0 "after $back"
		block_io check /dev/mapper/r0 4 80 3
		block_io check /dev/mapper/r0 5 83 1
		block_io check /dev/mapper/r0 4 84 4
		message r0 clear
	done
	remove_mapped r0

	# Main has logical blocks of 4 KiB, four in a remap block; two of them are bad, and one of these is written.
	make_null_blk large 2 blocksize=4096
	make_null_blk other 1 blocksize=4096
	make_remap r0 4096 "$large" "$other" 0 1600 block_size 32
	block_io fill /dev/mapper/r0 1
	null_blk_set large badblocks=+330-330
	null_blk_set large badblocks=+340-340
	expect_equal "$(block_io write /dev/mapper/r0 328 8 2)" ok "write of a bad logical block"
	expect_state r0 "1 8 0 0 degraded"
	expect_equal "$(block_io read /dev/mapper/r0 336 8)" EIO "the other bad logical block"
	block_io check /dev/mapper/r0 1 320 8
	block_io check /dev/mapper/r0 2 328 8
	block_io check /dev/mapper/r0 1 344 8
	expect_equal "$(block_io write /dev/mapper/r0 336 8 3)" ok "write of the unread sectors"
	expect_state r0 "1 0 0 0 ok"
	block_io check /dev/mapper/r0 3 336 8
}
