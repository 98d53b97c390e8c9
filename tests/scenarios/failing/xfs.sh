# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="an XFS sees no error while 200 places of its disk begin to fail writes, passes xfs_repair, and keeps its files"
LONG_MACHINES=uml-smp
TIMEOUT=170

requires() {
	need_target flakey && need_xfs
}

test() {
	make_null_blk disk 320
	make_null_blk spare 16
	make_mapped main "0 655360 linear $disk 0"
	make_remap r0 655360 /dev/mapper/main "$spare" 0 32768
	mkfs.xfs -q -K /dev/mapper/r0 >/dev/null
	files_on_failing_disk r0 655360 main "$disk" xfs 'xfs_repair -n' 200
	remove_mapped r0
	make_remap r0 655360 /dev/mapper/main "$spare" 0 32768
	mount -t xfs /dev/mapper/r0 "$work/mounted"
	python3 -S "$tests/file_tree.py" check "$work/mounted" "$work/tree"
	umount "$work/mounted"
}
