# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck source=tests/stress.sh
. "$tests/stress.sh"

TIMEOUT=150
DESCRIPTION="every test type does real I/O, verifies it, and leaves the data unchanged"
MACHINES="uml uml-smp"

names=('Sequential Read' 'Random Read' 'Sequential Write' 'Random Write' 'Mixed Workload' 'Remap Heavy')

test() {
	local type before reads writes ops
	make_stress_device
	message stress remap 800 80 >/dev/null
	before=$(checksum /dev/mapper/stress)
	for type in 0 1 2 3 4 5; do
		reads=$(disk_stat /dev/mapper/stress 1) writes=$(disk_stat /dev/mapper/stress 5)
		run_stress $type 4 "$(scaled 1500)"
		expect_match "$(stress_status)" "^STOPPED device=stress type=$type workers=4 "
		expect_equal "$(report_value stress_test_results 'Test Type')" "${names[type]} ($type)"
		expect_equal "$(report_value stress_test_results 'Queue Depth')" 128
		expect_sound
		reads=$(($(disk_stat /dev/mapper/stress 1) - reads))
		writes=$(($(disk_stat /dev/mapper/stress 5) - writes))
		ops=$(stress_value ops)
		((reads + writes >= ops)) || fail "$ops operations, but $reads reads and $writes writes"
		case $type in
		0 | 1) expect_equal "$writes" 0 "writes of type $type" ;;
		# There may be more writes than operations, since a bio that spans a remapped block is split.
		2 | 3) ((writes >= ops)) || fail "$writes writes in $ops operations" ;;
		*) ((writes > ops / 5 && writes < ops / 2)) || fail "$writes writes in $ops operations" ;;
		esac
		expect_equal "$(checksum /dev/mapper/stress)" "$before" "contents after type $type"
	done
	(($(cat /sys/module/dm_remap/optimization/remapped_ios) > 0)) || fail 'no I/O to remapped blocks'
	expect_equal "$(cat /sys/module/dm_remap/optimization/remap_entries)" 10
}
