# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="an area that an earlier module has written in version 1 is read byte by byte, upgraded by the first change, and read again"
MACHINES="uml uml-debug"
TIMEOUT=90

# The image was made by that module, with blocks of 4 sectors: `remap` of sectors 0 to 7, of 40 to 43, of which 41
# could not be read, and of 1596 to 1598; `bad` of 80 to 87; `remap` of 120, for which slot 6 failed; a write to
# sectors 0 and 1, for which slot 0 failed; `remap` and `unremap` of 200. Main was filled with pattern 1 before.
lost="41 80 83 84 85 86 87"

# expect_contents: expects every sector to be as the earlier module left it.
expect_contents() {
	local sector
	block_io check /dev/mapper/r0 5 0 2
	block_io check /dev/mapper/r0 1 2 2
	block_io check /dev/mapper/r0 2 4 4
	block_io check /dev/mapper/r0 1 8 33
	block_io check /dev/mapper/r0 1 42 38
	block_io check /dev/mapper/r0 3 81 2
	block_io check /dev/mapper/r0 1 88 1509
	block_io check /dev/mapper/r0 4 1597 2
	for sector in $lost; do
		expect_equal "$(block_io read /dev/mapper/r0 "$sector" 1)" EIO "lost sector $sector $1"
	done
}

# expect_area <version> <features>: expects these in the superblock, by the second reader of the format.
expect_area() {
	blockdev --flushbufs "$spare"
	expect_equal "$(python3 -S - "$spare" <<'END'
import sys

from metadata import Area, File, number

area = Area(File(sys.argv[1]), 0, 400)
print(area.version, number(area.superblock, 120, 8))
END
	)" "$1 $2" "version and features"
}

test() {
	local list before place
	make_null_blk main 1
	make_null_blk spare 1
	block_io fill "$main" 1
	# What only the slots have is nowhere else.
	block_io fill "$main" 9 0 8
	block_io fill "$main" 9 40 4
	block_io fill "$main" 9 80 8
	block_io fill "$main" 9 120 4
	block_io fill "$main" 9 1596 3
	gunzip -c "$tests/images/version-1-module.img.gz" | dd of="$spare" bs=64k iflag=fullblock oflag=direct status=none
	before=$(md5sum <"$spare")
	list=$'0 64 -\n4 36 -\n40 40 lost\n80 48 lost\n84 52 lost\n120 60 -\n1596 44 -\nend'

	dmsetup create r0 --readonly --table "0 1599 remap $main $spare 0 400"
	expect_equal "$(message r0 list)" "$list" "list of a read-only table"
	expect_contents "under a read-only table"
	remove_mapped r0
	make_remap r0 1599 "$main" "$spare" 0 400
	expect_equal "$(message r0 list)" "$list" list
	expect_contents "before the upgrade"
	expect_match "$(ask status r0)" '^7/84 7 0 4 degraded ok .* unread=0$' status
	remove_mapped r0
	expect_area 1 0
	expect_equal "$(md5sum <"$spare")" "$before" "the spare device"

	# The slots that have failed are not used.
	make_remap r0 1599 "$main" "$spare" 0 400
	message r0 remap 400 300
	list=${list%1596*}$(message r0 list 400)
	expect_equal "$(message r0 list)" "$list" "list after the upgrade"
	expect_equal "$(awk '$2 == 32 || $2 == 56' <<<"$list")" '' "blocks in slots that have failed"
	expect_contents "after the upgrade"
	remove_mapped r0
	expect_area 2 1
	make_remap r0 1599 "$main" "$spare" 0 400
	expect_equal "$(message r0 list)" "$list" "list after a reload"
	expect_equal "$(status_word r0 6)" ok metadata
	expect_contents "after a reload"

	# A block with unread sectors does not leave its slot for one in which others would be lost.
	message r0 unremap 400 40
	message r0 bad 800
	expect_equal "$(block_io write /dev/mapper/r0 800 1 1)" ok "a write to an unread sector"
	place=$(message r0 verify 800 | awk '{ print $NF }')
	null_blk_set spare badblocks=+"$place-$((place + 1))"
	log_mark
	expect_equal "$(block_io write /dev/mapper/r0 801 1 2)" EIO "a write that the slot refuses"
	expect_match "$(log_lines)" 'sector 800 has unread and lost sectors in its block' "the log"
	expect_reply "sector 800 -> spare $place" r0 verify 800
	expect_equal "$(message r0 list 800 1 | head -n 1)" "800 $place unread" "the block"
	expect_equal "$(status_word r0 6)" ok "metadata that cannot record a block"
	null_blk_set spare badblocks=-"$place-$((place + 1))"
	expect_equal "$(block_io write /dev/mapper/r0 801 3 1)" ok "a write once the slot takes it"
	expect_reply 'unremapped 1' r0 unremap 800

	# Everything goes back to main once the lost sectors are written.
	block_io fill /dev/mapper/r0 1 40 48
	message r0 clear
	remove_mapped r0
	expect_area 2 1
	make_remap r0 1599 "$main" "$spare" 0 400
	expect_equal "$(message r0 list)" end "list at the end"
	lost=
	block_io fill /dev/mapper/r0 3 81 2
	expect_contents "at the end"
}
