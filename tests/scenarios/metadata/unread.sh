# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="unread sectors that metadata has are shown apart from lost ones, read from main once if they are untried, stay so in the metadata, and are written like lost ones, with one bitmap and with two"
MACHINES="uml uml-debug"
TIMEOUT=90

# change <slot> <block> <flags> <bits>...: writes the entry of a slot. No table may use the spare.
change() {
	blockdev --flushbufs "$spare"
	python3 -S - "$spare" "$@" <<'END'
import os
import sys

from metadata import UNREAD, UNTRIED, Area, File

slot, block, flags = int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
name = block + 1 | UNREAD * ("unread" in flags) | UNTRIED * ("untried" in flags)
image = File(sys.argv[1])
Area(image, 0, 1600).change(slot, name, [int(bits, 2) for bits in sys.argv[5:]])
os.fsync(image.fd)
END
}

# entries: prints the remaps, by the second reader of the format.
entries() {
	blockdev --flushbufs "$spare"
	python3 -S "$tests/metadata.py" list "$spare" 0 1600 | tr '\n' ,
}

# make_table
make_table() {
	make_remap r0 4096 "$main" "$spare" 0 1600
}

# expect_status <lost> <unread>
expect_status() {
	expect_match "$(ask status r0)" "^[0-9]+/[0-9]+ $1 0 8 degraded ok .* unread=$2\$" status
}

test() {
	make_null_blk main 2
	make_null_blk spare 1
	block_io fill "$main" 1
	make_table
	message r0 remap 80 16
	message r0 remap 800
	remove_mapped r0
	expect_equal "$(entries)" "10 0 - -,11 1 - -,100 2 - -," entries

	change 0 10 untried 00000110 10000000
	change 1 11 - 00000001 00000000
	# Untried sectors are read from main, also where they cannot be salvaged.
	dmsetup create r0 --readonly --table "0 4096 remap $main $spare 0 1600"
	expect_match "$(ask status r0)" "^3/192 1 0 8 read_only ok .* unread=3\$" "status of a read-only table"
	block_io check /dev/mapper/r0 1 80 7
	expect_equal "$(block_io read /dev/mapper/r0 88 1)" EIO "a sector that was tried"
	remove_mapped r0
	expect_equal "$(entries)" "10 0 110? 10000000,11 1 1 -,100 2 - -," "entries after a read-only table"
	# If main has them, they are salvaged.
	make_table
	wait_until 20 keepers_rest
	expect_status 1 1
	block_io check /dev/mapper/r0 1 80 7
	remove_mapped r0
	expect_equal "$(entries)" "10 0 - 10000000,11 1 1 -,100 2 - -," "entries after salvage"

	# If main refuses them, that is recorded.
	null_blk_set main badblocks=+81-82
	change 0 10 untried 00000110 10000000
	make_table
	wait_until 20 keepers_rest
	expect_status 1 3
	remove_mapped r0
	expect_equal "$(entries)" "10 0 110 10000000,11 1 1 -,100 2 - -," "entries after main has refused"
	null_blk_set main badblocks=-81-82
	make_table
	expect_status 1 3
	expect_equal "$(message r0 list | tr '\n' ,)" "80 32 unread,lost,88 40 unread,800 48 -,end," list
	expect_refused_at_once r0 "$main" 81 82 87 88
	block_io check /dev/mapper/r0 1 83 4
	block_io check /dev/mapper/r0 1 89 4000
	expect_errno EIO message r0 unremap 80
	# A write to one of them is recorded, and leaves the others as they were.
	block_io fill /dev/mapper/r0 2 81 1
	expect_status 1 2
	block_io fill /dev/mapper/r0 2 88 2
	expect_status 1 1
	remove_mapped r0
	expect_equal "$(entries)" "10 0 100 10000000,11 1 - -,100 2 - -," "entries after writes"
	make_table
	expect_status 1 1
	block_io check /dev/mapper/r0 2 81 1
	block_io check /dev/mapper/r0 2 88 2

	# Both states go along to another slot.
	remove_mapped r0
	make_segments below "$spare"
	make_remap r0 4096 "$main" /dev/mapper/below 0 1600
	set_segments below "$spare" 32-39:writes
	block_io fill /dev/mapper/r0 3 84 1
	set_segments below "$spare"
	expect_equal "$(message r0 list 80 1 | head -n 1)" "80 56 unread,lost" "list after a move"
	block_io check /dev/mapper/r0 3 84 1
	block_io fill /dev/mapper/r0 3 80 8
	expect_equal "$(message r0 list 80 1 | head -n 1)" "80 56 -" "list after writes"
	message r0 clear
	remove_mapped r0
	remove_mapped below
	expect_equal "$(entries)" '' "entries after clear"
	block_io check "$main" 3 80 8
}
