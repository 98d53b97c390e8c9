# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck source=tests/stress.sh
. "$tests/stress.sh"

DESCRIPTION="the optimization counters are sums over all live tables"
LONG_MACHINES=uml-smp

figure() {
	cat "/sys/module/dm_remap/optimization/$1"
}

test() {
	local total
	make_brd 2 49152
	make_remap one 32768 /dev/ram0 /dev/ram1 0 16384 volatile
	make_remap two 32768 /dev/ram0 /dev/ram1 16384 16384 volatile main_start 32768
	message one remap 0 16 >/dev/null
	message two remap 792 8 >/dev/null
	expect_equal "$(figure remap_entries)" 3
	dd if=/dev/mapper/one of=/dev/null bs=4k count=100 iflag=direct status=none
	dd if=/dev/mapper/two of=/dev/null bs=4k count=100 iflag=direct status=none
	total=$(figure total_ios)
	((total >= 200)) || fail "only $total bios"
	expect_equal "$(figure total_lookups)" "$total"
	# Three of the blocks that were read are remapped, and each was read once.
	expect_equal "$(figure remapped_ios)" 3
	(($(figure slow_path_hits) >= 3)) || fail 'too few on the slow path'
	expect_equal $(($(figure fast_path_hits) + $(figure slow_path_hits))) "$total"
	expect_equal "$(figure fast_path_hit_rate)" $(($(figure fast_path_hits) * 100 / total))
	remove_mapped one
	expect_equal "$(figure remap_entries)" 1 'entries after the first table was removed'
}
