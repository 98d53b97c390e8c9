# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="an ext4 that is written while blocks move passes e2fsck, and its files have the data that was written"
LONG_MACHINES="uml-smp debian"
TIMEOUT=120

test() {
	make_loop main 48M
	make_loop spare 8M
	make_remap r0 98304 "$main" "$spare" 0 16384
	mkfs.ext4 -q -O ^has_journal /dev/mapper/r0 >/dev/null
	files_survive r0 98304 ext4 'e2fsck -fn'
	# The same with a journal.
	mkfs.ext4 -q -F /dev/mapper/r0 >/dev/null
	files_survive r0 98304 ext4 'e2fsck -fn'
}
