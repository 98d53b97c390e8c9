# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="the tools refuse to write to an image or a disk under a loop device, by any name, and write once the loop device is gone"
MACHINES="uml"

# expect_refused <image>: expects that both tools that write refuse the image and change nothing.
expect_refused() {
	local before tool
	before=$(md5sum <"$work/link.img")
	for tool in repair restore; do
		case $tool in
		repair) expect_status 3 remap_repair --yes "$1" ;;
		restore) expect_status 3 remap_restore --yes "$1" "$work/dump" ;;
		esac
		expect_match "$(<"$work/err")" 'is used by /dev/loop[0-9]+, through which' "remap_$tool of $1"
	done
	expect_equal "$(md5sum <"$work/link.img")" "$before" "the image after $1"
}

test() {
	local loop again disk below
	make_null_blk main 4
	make_null_blk disk 2
	truncate -s 819200 "$work/area.img"
	defer rm -f "$work/area.img" "$work/link.img" "$work/moved.img" "$work/name.img"
	ln "$work/area.img" "$work/link.img"
	loop=$(losetup -f --show "$work/area.img")
	defer detach "$loop"
	make_remap r0 4096 "$main" "$loop" 0 1600
	message r0 remap 800
	remove_mapped r0
	losetup -d "$loop"
	expect_status 0 remap_dump --json "$work/area.img"
	mv "$work/out" "$work/dump"
	# A bad copy of the metadata, for remap_repair.
	dd if=/dev/urandom of="$work/area.img" bs=512 seek=3 count=1 conv=notrunc status=none

	loop=$(losetup -f --show "$work/area.img")
	defer detach "$loop"
	expect_refused "$work/area.img"
	ln -s area.img "$work/name.img"
	expect_refused "$work/name.img"
	expect_refused "$work/link.img"
	mv "$work/area.img" "$work/moved.img"
	expect_refused "$work/moved.img"
	mv "$work/moved.img" "$work/area.img"
	# Reading is allowed, and so is a repaired copy.
	expect_status 1 remap_check "$work/area.img"
	expect_status 0 remap_repair --output "$work/copy.img" "$work/area.img"
	rm "$work/copy.img"
	losetup -d "$loop"

	# With two loop devices over one file, either is refused; with one, it is accepted.
	loop=$(losetup -f --show "$work/area.img")
	defer detach "$loop"
	again=$(losetup -f --show "$work/area.img")
	defer detach "$again"
	expect_refused "$loop"
	losetup -d "$again"
	expect_status 0 remap_repair --yes "$loop"
	expect_status 0 remap_restore --yes "$loop" "$work/dump"
	# A loop device over another.
	again=$(losetup -f --show "$loop")
	defer detach "$again"
	expect_refused "$loop"
	losetup -d "$again"
	losetup -d "$loop"
	expect_status 0 remap_restore --yes "$work/area.img" "$work/dump"
	expect_status 0 remap_check "$work/area.img"

	# A loop device does not claim the disk below it.
	dd if="$work/area.img" of="$disk" bs=4096 oflag=direct status=none
	loop=$(losetup -f --show "$disk")
	defer detach "$loop"
	below=$(md5sum <"$disk")
	expect_status 3 remap_restore --length 1600 --yes "$disk" "$work/dump"
	expect_match "$(<"$work/err")" "is used by $loop," "remap_restore of a disk"
	expect_equal "$(md5sum <"$disk")" "$below" "the disk"
	losetup -d "$loop"
	expect_status 0 remap_restore --length 1600 --yes "$disk" "$work/dump"
}

detach() {
	if losetup "$1" >/dev/null 2>&1; then losetup -d "$1"; fi
}
