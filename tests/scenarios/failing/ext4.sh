# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="an ext4 sees no error while 200 places of its disk begin to fail writes, passes e2fsck, and keeps its files"
MACHINES="uml debian"
TIMEOUT=170

requires() { need_target flakey; }

test() {
	make_null_blk disk 48
	make_null_blk spare 16
	make_mapped main "0 98304 linear $disk 0"
	make_remap r0 98304 /dev/mapper/main "$spare" 0 32768
	mkfs.ext4 -q /dev/mapper/r0 >/dev/null
	files_on_failing_disk r0 98304 main "$disk" ext4 'e2fsck -fn' 200
	remove_mapped r0
	make_remap r0 98304 /dev/mapper/main "$spare" 0 32768
	mount -t ext4 /dev/mapper/r0 "$work/mounted"
	python3 -S "$tests/file_tree.py" check "$work/mounted" "$work/tree"
	umount "$work/mounted"
}
