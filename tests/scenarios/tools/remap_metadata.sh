# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="the tools and the kernel agree on the metadata; a device in use is refused; a disk is replaced under its remaps"
LONG_MACHINES=uml-smp
TIMEOUT=90

test() {
	local sectors list before
	make_null_blk old 4
	make_null_blk new 4
	block_io fill "$old" 1
	# A spare area of the length that remap_metadata_size prints.
	expect_status 0 remap_metadata_size 1000
	sectors=$(<"$work/out")
	make_null_blk spare $((sectors / 2048 + 1))
	make_mapped area "0 $sectors linear $spare 0"
	make_remap r0 8000 "$old" /dev/mapper/area 0 "$sectors" main_start 16
	expect_equal "$(status_word r0 1)" 0/1000 "spare blocks"

	# A list of bad blocks, as messages to a live device.
	printf '%s\n' 100 101 102 900 >"$work/bad"
	expect_status 0 remap_import -b 4096 --main-start 16 --target-sectors 8000 --keep-contents --device r0 "$work/bad"
	null_blk_set old badblocks=+420-421
	message r0 remap 400
	expect_missing r0 2 0 "after remap"
	null_blk_set old badblocks=-420-421
	list=$(message r0 list | awk '/^[0-9]/ { print $1 }' | tr '\n' ' ')
	expect_equal "$list" "400 784 792 800 7184 " "remapped blocks"
	block_io fill /dev/mapper/r0 2 784 24
	expect_status 3 remap_import -b 4096 --target-sectors 8000 --device nothing "$work/bad"

	# The tools refuse a device in use.
	before=$(md5sum <"$spare")
	expect_status 3 remap_check /dev/mapper/area
	expect_status 3 remap_repair --yes /dev/mapper/area
	expect_status 3 remap_dump /dev/mapper/area
	echo '{}' >"$work/none"
	expect_status 3 remap_restore --yes /dev/mapper/area "$work/none"
	expect_equal "$(md5sum <"$spare")" "$before" "the spare device"
	remove_mapped r0

	expect_status 0 remap_check /dev/mapper/area
	expect_status 0 remap_dump --json /dev/mapper/area
	mv "$work/out" "$work/dump"
	expect_status 0 remap_export --format badblocks -b 4096 /dev/mapper/area
	expect_equal "$(tr '\n' ' ' <"$work/out")" "52 100 101 102 900 " "the list of blocks on main"

	# The tools find a bad copy and repair it; the kernel agrees.
	dd if=/dev/urandom of=/dev/mapper/area bs=512 seek=3 count=1 oflag=direct status=none
	expect_status 1 remap_check /dev/mapper/area
	expect_status 0 remap_repair --yes /dev/mapper/area
	expect_status 0 remap_check /dev/mapper/area
	make_remap r0 8000 "$old" /dev/mapper/area 0 "$sectors" main_start 16
	expect_equal "$(status_word r0 6)" ok metadata
	list=$(message r0 list)
	remove_mapped r0

	# Another disk, with another identity, takes the place of the old one.
	dmsetup create disk --uuid NEW-disk --table "0 8192 linear $new 0"
	defer dmsetup remove disk
	dmsetup mknodes
	dd if="$old" of="$new" bs=64k iflag=direct oflag=direct status=none
	block_io fill "$new" 9 800 24 # remapped blocks need not be copied
	expect_status 0 remap_restore --any-main --yes /dev/mapper/area "$work/dump"
	make_remap r0 8000 /dev/mapper/disk /dev/mapper/area 0 "$sectors" main_start 16
	# The new disk does not have what the old one could not read.
	expect_equal "$(message r0 list)" "${list/unread/lost}" "list on the new disk"
	block_io check /dev/mapper/r0 2 784 24
	expect_equal "$(block_io read /dev/mapper/r0 404 1)" EIO "a lost sector"
	remove_mapped r0
	# The restored dump is the same as before.
	expect_status 0 remap_restore --yes /dev/mapper/area "$work/dump"
	expect_status 0 remap_dump --json /dev/mapper/area
	expect_equal "$(<"$work/out")" "$(<"$work/dump")" "dump of the restored area"
}
