# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="a block in two slots is loaded from the slot with the newer turn, and the other slot is never used again; any other duplicate is refused"
LONG_MACHINES=uml-smp

# change <slot> <block> <turn>...: writes entries of slots. No table may use the spare.
change() {
	blockdev --flushbufs "$spare"
	python3 -S - "$spare" "$@" <<'END'
import os
import sys

from metadata import TURN, Area, File

image, words = File(sys.argv[1]), [int(word) for word in sys.argv[2:]]
area = Area(image, 0, 8000)
for slot, block, turn in zip(words[::3], words[1::3], words[2::3]):
    area.change(slot, turn << TURN | block + 1)
os.fsync(image.fd)
END
}

# slots: prints "<slot> <bad, or block/turn>" of all slots that are not free, by the second reader of the format.
slots() {
	blockdev --flushbufs "$spare" # the page cache may be older than the writes of a table
	python3 -S - "$spare" <<'END'
import sys

from metadata import FAILED, TURN, Area, File

area = Area(File(sys.argv[1]), 0, 8000)
for slot, name, _ in area.entries():
    print(slot, "bad," if name == FAILED else f"{(name & (1 << TURN) - 1) - 1}/{name >> TURN},", end=" ")
END
}

make_table() {
	make_remap r0 8000 "$main" "$spare" 0 8000
}

test() {
	local before list turns
	make_null_blk main 4
	make_null_blk spare 4
	block_io fill "$main" 1
	make_table
	null_blk_set main badblocks=+18-19
	message r0 remap 16
	expect_missing r0 2 0 "after remap"
	null_blk_set main badblocks=-18-19
	message r0 remap 0 16
	expect_missing r0 2 0 "after another remap"
	remove_mapped r0
	expect_equal "$(slots)" "0 2/0, 1 0/0, 2 1/0, " "entries of the slots"

	# Slots of both pages of the table, a turn that wraps around, and the last slot as the failed one.
	change 0 2 0 700 2 1 1 0 0 701 0 3 2 1 2 3 1 1
	before=$(md5sum <"$spare")
	dmsetup create r0 --readonly --table "0 8000 remap $main $spare 0 8000"
	list=$(message r0 list)
	expect_equal "$(awk '{ print $1, $3 }' <<<"$list" | sed -n 1,3p | tr '\n' ' ')" "0 - 8 - 16 - " "remapped blocks"
	# The failed slot and its unread sectors do not count.
	expect_missing r0 0 0
	expect_equal "$(status_word r0 1 | cut -d / -f 1)" 3 "remapped blocks"
	remove_mapped r0
	expect_equal "$(md5sum <"$spare")" "$before" "the spare device under a read-only table"
	make_table
	expect_equal "$(message r0 list)" "$list" "list of a table that may write"
	expect_equal "$(status_word r0 6)" ok metadata
	message r0 remap 80 800
	remove_mapped r0
	expect_match "$(slots)" '^0 bad, 1 0/0, 2 1/2, 3 bad, 4 10/0, ' "entries of the slots"
	expect_match "$(slots)" ' 700 2/1, 701 bad, $' "entries of the last slots"
	make_table
	expect_equal "$(message r0 list | sed -n 1,3p)" "$(sed -n 1,3p <<<"$list")" "list of the next table"
	message r0 unremap 0 24
	remove_mapped r0
	make_table
	expect_equal "$(message r0 list | sed -n '1s/ .*//p')" 80 "the first remapped block"
	remove_mapped r0

	# Turns of which none follows the other, then three slots with one block.
	for turns in "0 0" "1 3" "0 2"; do
		# shellcheck disable=SC2086
		set -- $turns
		change 200 3 "$1" 702 3 "$2"
		log_mark
		expect_errno EINVAL make_table
		expect_log 'the metadata has a block twice, the second time in slot 702'
	done
	change 200 3 0 201 3 1 702 3 2
	log_mark
	expect_errno EINVAL make_table
	expect_log 'the metadata has a block twice'
	change 200 3 0 201 -1 0 702 -1 2
	log_mark
	expect_errno EINVAL make_table
	expect_log 'metadata page 2 has a wrong entry for slot 702'
	change 702 3 1
	make_table
	expect_match "$(message r0 list)" '^24 ' list

	# While the failed slot cannot be recorded, nothing moves; once metadata can be written, it is recorded.
	remove_mapped r0
	change 200 3 0
	make_mapped below "0 8192 flakey $spare 0 0 1 1 error_writes"
	make_remap r0 8000 "$main" /dev/mapper/below 0 8000
	expect_equal "$(status_word r0 6)" failed metadata
	expect_match "$(message r0 list)" '^24 ' list
	block_io check /dev/mapper/r0 1 80 800
	expect_errno EIO message r0 unremap 24
	expect_errno EIO message r0 save
	expect_match "$(slots)" ' 200 3/0, 701 bad, 702 3/1, ' "entries of the slots"
	# The keeper may write the metadata before a message does.
	dmsetup load below --table "0 8192 linear $spare 0"
	dmsetup suspend --nolockfs below
	dmsetup resume below
	message r0 unremap 24
	expect_reply 'metadata saved' r0 save
	expect_equal "$(status_word r0 6)" ok metadata
	expect_match "$(slots)" ' 200 bad, 701 bad, $' "entries of the slots at the end"
}
