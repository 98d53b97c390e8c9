# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck source=tests/stress.sh
. "$tests/stress.sh"

MACHINES=uml
TIMEOUT=120
DESCRIPTION="a custom workload submits the requested mix, sizes, flushes, rate and hot set to the device"

# Sets seen to the statistics of the device below since the last call: reads, sectors read, writes, sectors
# written, flushes.
look_at_device() {
	local fields now n
	read -ra fields <"$(sysfs_of "$main")/stat"
	now=("${fields[0]}" "${fields[2]}" "${fields[4]}" "${fields[6]}" "${fields[15]}")
	for ((n = 0; n < 5; n++)); do seen[n]=$((now[n] - last[n])); done
	last=("${now[@]}")
}

# custom <text>: runs a custom workload to its end.
custom() {
	look_at_device
	stress_write custom_workload "$1"
	wait_for_stress 60
	expect_sound
	look_at_device
}

# within <value> <least> <most> <name>
within() {
	(($1 >= $2 && $1 <= $3)) || fail "$4 is $1, not within $2 to $3"
}

test() {
	local main spare seen last=(0 0 0 0 0) ops reads writes first
	# A device without merges and splits, so that its requests are the bios of the test.
	make_null_blk main 32 irqmode=0
	make_null_blk spare 8 irqmode=0
	make_remap stress 65536 "$main" "$spare" 0 16384 volatile
	defer stop_stress

	custom 'read=60 random=100 bs=4096,16384 queue_depth=4 workers=4 duration_ms=1500 seed=7'
	expect_equal "$(report_value stress_test_results 'Test Type')" 'Custom (6)'
	expect_equal "$(report_value stress_test_results Seed)" 7
	expect_equal "$(report_value stress_test_results 'Queue Depth')" 16
	ops=$(stress_value ops)
	# A write of the test reads the old data first; some blocks are read again at the end, to verify them.
	writes=${seen[2]} reads=$((seen[0] - seen[2] - $(report_value stress_test_results 'Blocks Verified')))
	expect_equal $((reads + writes)) "$ops" 'reads and writes of the device'
	within $((writes * 1000 / ops)) 360 440 'writes of a thousand operations'
	# Half of the writes have 8 sectors, half have 32.
	within $((seen[3] * 10 / writes)) 185 215 'tenths of a sector per write'

	custom 'read=0 random=0 bs=65536 queue_depth=2 workers=2 duration_ms=500 fsync=10'
	within $((seen[3] / seen[2])) 127 128 'sectors per sequential write'
	# This null_blk has no write cache, so flushes are counted in the records of the test.
	reads=$(report_value stress_test_results 'Total Operations')
	python3 - "$debug_stress/results.json" <<'END'
import json
import sys

run = json.load(open(sys.argv[1]))
writes = run["operations"] - run["flushes"]
assert run["flushes"] > 0
assert abs(writes / run["flushes"] - 10) < 2, (writes, run["flushes"])
assert run["type"] == 6 and run["type_name"] == "Custom"
END

	custom 'read=100 random=100 bs=4096 queue_depth=8 workers=4 duration_ms=4000 rate_iops=500'
	within "$(stress_value iops)" 400 600 'operations a second'

	# The hot set, a tenth of the device, gets eight of ten operations. It is remapped, so that remapped_ios counts them.
	message stress remap 0 6552 >/dev/null
	first=$(cat /sys/module/dm_remap/optimization/remapped_ios)
	custom 'read=100 random=100 bs=4096 queue_depth=8 workers=2 duration_ms=1000 hot=10'
	ops=$(($(stress_value ops) + $(report_value stress_test_results 'Blocks Verified')))
	within $((($(cat /sys/module/dm_remap/optimization/remapped_ios) - first) * 100 / ops)) 78 86 \
		'percent in the hot set'
}
