# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="one device can be main and spare if the ranges do not overlap"
LONG_MACHINES="uml-smp debian"

test() {
	make_null_blk disk 4
	make_remap r0 6080 "$disk" "$disk" 6080 2112
	python3 -S "$tests/random_walk.py" r0 8 256 "$(scaled 300)" "$SEED" "$disk" 0 "$disk"
	remove_mapped r0
	make_remap r0 4096 "$disk" "$disk" 0 1088 main_start 1088 format
	python3 -S "$tests/random_walk.py" r0 8 128 "$(scaled 300)" "$SEED" "$disk" 1088 "$disk"
	remove_mapped r0
	log_mark
	expect_errno EINVAL make_remap r0 6081 "$disk" "$disk" 6080 2112
	expect_log "'$disk'" 'The spare area overlaps with the target'
}
