# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="an XFS that is written while blocks move passes xfs_repair, and its files have the data that was written"
MACHINES="uml uml-smp"
TIMEOUT=120

requires() {
	need_xfs
}

test() {
	make_loop main 320M
	make_loop spare 8M
	make_remap r0 655360 "$main" "$spare" 0 16384
	mkfs.xfs -q -K /dev/mapper/r0
	files_survive r0 655360 xfs 'xfs_repair -n'
}
