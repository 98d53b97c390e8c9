# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck source=tests/stress.sh
. "$tests/stress.sh"

TIMEOUT=3900
LONG=1
MACHINES="uml uml-smp"
DESCRIPTION="an endurance test of an hour in real time has no error, changes no data, and leaks no memory"

test() {
	local before first last
	make_stress_device
	message stress remap 0 800 >/dev/null
	before=$(checksum /dev/mapper/stress)
	run_stress 5 2 500
	stress_write endurance_test '1 5'
	sleep 60
	first=$(awk '/^SUnreclaim:/ { print $2 }' /proc/meminfo)
	sleep 3500
	last=$(awk '/^SUnreclaim:/ { print $2 }' /proc/meminfo)
	stress_runs || fail "the test has ended: $(stress_status)"
	wait_for_stress 120
	expect_sound
	expect_equal "$(report_value comprehensive_report 'Memory After')" \
		"$(report_value comprehensive_report 'Memory Before')"
	echo "SUnreclaim after a minute $first KiB, after an hour $last KiB"
	((last - first < 2048)) || fail "$((last - first)) KiB of slab more"
	expect_equal "$(checksum /dev/mapper/stress)" "$before" contents
}
