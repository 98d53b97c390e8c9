# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck source=tests/stress.sh
. "$tests/stress.sh"

MACHINES=uml
TIMEOUT=150
DESCRIPTION="32 workers keep exactly 1,000, 10,000 and 50,000 bios in flight, without errors and without a leak"

test() {
	local in_flight
	make_brd 2 49152
	head -c 32M /dev/urandom >/dev/ram0
	# A delay so long that the first bio is still in flight when the last one is submitted.
	make_mapped slow "0 65536 delay /dev/ram0 0 2500"
	make_remap stress 65536 /dev/mapper/slow /dev/ram1 0 65536 volatile
	defer stop_stress
	for in_flight in 1000 10000 50000; do
		stress_write high_concurrency_stress "$in_flight 3"
		wait_for_stress 90
		expect_sound
		expect_equal "$(report_value stress_test_results 'Worker Threads')" 32
		expect_equal "$(report_value stress_test_results 'Queue Depth')" "$in_flight"
		expect_equal "$(report_value stress_test_results 'Peak In Flight')" "$in_flight"
		expect_match "$(grep 'Peak in flight' $stress/comprehensive_report)" 'PASS$'
		expect_match "$(grep 'Worker threads' $stress/comprehensive_report)" 'PASS$'
		expect_equal "$(report_value comprehensive_report 'Memory After')" \
			"$(report_value comprehensive_report 'Memory Before')"
	done
}
