# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="metadata of another main device or another configuration is refused on resume, with the reason, and not changed; format overwrites it"
MACHINES="uml uml-debug debian"
LONG_MACHINES=uml-smp

# expect_refused <errno> <reason> <make_remap arguments behind the name>: expects that a table is refused with that
# reason, and that the spare device is as before.
expect_refused() {
	local before
	before=$(md5sum <"$spare")
	log_mark
	expect_errno "$1" make_remap r0 "${@:3}"
	expect_log "table refused: '" "': $2"
	[[ ! -e /sys/block/dm-2 ]] || fail "a device is left"
	expect_equal "$(md5sum <"$spare")" "$before" "the spare device"
}

test() {
	local before version=8
	make_null_blk below 8
	make_null_blk spare 1
	# Main devices with an identity.
	dmsetup create one --uuid TEST-one --table "0 8192 linear $below 0"
	defer dmsetup remove one
	dmsetup create two --uuid TEST-two --table "0 8192 linear $below 8192"
	defer dmsetup remove two
	dmsetup mknodes
	local one=/dev/mapper/one two=/dev/mapper/two
	make_remap r0 4096 "$one" "$spare" 0 1600 block_size 16
	message r0 remap 160
	remove_mapped r0
	expect_refused EINVAL 'metadata of another main device' 4096 "$two" "$spare" 0 1600
	expect_refused EINVAL 'metadata with block_size 16' 4096 "$one" "$spare" 0 1600 block_size 8
	expect_refused EINVAL 'metadata of a target with main_start 0' 4096 "$one" "$spare" 0 1600 main_start 16
	expect_refused EINVAL 'metadata of a spare area of 1600 sectors' 4096 "$one" "$spare" 0 1608
	expect_refused EINVAL 'the spare area holds metadata of remapped blocks; format discards them' \
		4096 "$one" "$spare" 0 1600 volatile
	dmsetup reload one --table "0 8000 linear $below 0"
	dmsetup resume one
	expect_refused EINVAL 'metadata of a larger main device, of 8192 sectors' 4096 "$one" "$spare" 0 1600
	dmsetup reload one --table "0 8190 linear $below 0"
	dmsetup resume one
	expect_refused EINVAL 'metadata of a larger main device, of 8192 sectors' 4096 "$one" "$spare" 0 1600
	# Main may grow, and the block size is read from the metadata.
	dmsetup reload one --table "0 8200 linear $below 0"
	dmsetup resume one
	make_remap r0 4096 "$one" "$spare" 0 1600
	expect_equal "$(status_word r0 4)" 16 "block size"
	expect_match "$(message r0 list)" '^160 [0-9]+ -' list
	remove_mapped r0

	# An unknown version in every copy of the superblock.
	python3 -S - "$spare" "$((version + 1))" <<'END'
import sys

from metadata import superblocks

superblocks(sys.argv[1], 0, 1600, lambda page: page.__setitem__(slice(32, 36), int(sys.argv[2]).to_bytes(4, "little")))
END
	expect_refused EINVAL 'metadata of version 9, newer than 2' 4096 "$one" "$spare" 0 1600
	# An unknown incompatible feature.
	python3 -S - "$spare" <<'END'
import sys

from metadata import superblocks

superblocks(sys.argv[1], 0, 1600, lambda page: page.__setitem__(slice(32, 36), (2).to_bytes(4, "little")))
superblocks(sys.argv[1], 0, 1600, lambda page: page.__setitem__(slice(120, 128), (1 << 33).to_bytes(8, "little")))
END
	expect_refused EINVAL 'metadata with incompatible feature 33, which is unknown' 4096 "$one" "$spare" 0 1600

	# Contents that are no metadata.
	block_io fill "$spare" 1
	expect_refused EINVAL 'the spare area holds something that is no metadata' 4096 "$one" "$spare" 0 1600
	expect_errno EROFS dmsetup create r0 --readonly --table "0 4096 remap $one $spare 0 1600 1 format"
	dmsetup remove r0 2>/dev/null || true
	make_remap r0 4096 "$one" "$spare" 0 1600 format
	message r0 remap 8
	expect_match "$(dmsetup table r0)" ' 0 1600$' "the table once it is formatted"
	make_table_again
	expect_match "$(message r0 list)" '^8 [0-9]+ -' "list after the printed table"
	remove_mapped r0
	# The option format discards the remaps.
	make_remap r0 4096 "$one" "$spare" 0 1600 format
	expect_equal "$(message r0 list)" end "list after format"
	remove_mapped r0
	block_io fill "$one" 2
	# Metadata without remaps does not keep a volatile table from the area.
	make_remap r0 4096 "$one" "$spare" 0 1600 volatile
	message r0 remap 0 1600
	remove_mapped r0
	expect_refused EINVAL 'the spare area holds something that is no metadata' 4096 "$one" "$spare" 0 1600

	# Zeros in the first 4096 bytes do not make the area blank; zeros everywhere do, and it is formatted.
	dd if=/dev/zero of="$spare" bs=4096 count=1 oflag=direct status=none
	expect_refused EINVAL 'the spare area is not blank: sector 8 of it is not zero; format discards what is there' \
		4096 "$one" "$spare" 0 1600
	blkdiscard -z "$spare"
	log_mark
	expect_errno EROFS dmsetup create r0 --readonly --table "0 4096 remap $one $spare 0 1600 1 format"
	expect_log 'the table is read-only, and cannot format the spare area'
	before=$(md5sum <"$spare")
	dmsetup create r0 --readonly --table "0 4096 remap $one $spare 0 1600"
	expect_equal "$(status_word r0 6)" none "metadata of a read-only table over a blank area"
	remove_mapped r0
	expect_equal "$(md5sum <"$spare")" "$before" "the spare device"
	make_remap r0 4096 "$one" "$spare" 0 1600
	message r0 remap 800
	remove_mapped r0
	# A read-only table has the remaps, and makes no new ones.
	dmsetup create r0 --readonly --table "0 4096 remap $one $spare 0 1600"
	defer remove_mapped r0
	expect_match "$(message r0 list)" '^800 [0-9]+ -' list
	expect_errno EROFS message r0 remap 0
	expect_errno EROFS message r0 save
	expect_equal "$(health r0)" read_only health
}

make_table_again() {
	local line
	line=$(dmsetup table r0)
	remove_mapped r0
	make_mapped r0 "$line"
}
