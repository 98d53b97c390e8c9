# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck source=tests/stress.sh
. "$tests/stress.sh"

DESCRIPTION="stress_test_stop ends a test at once; no thread is left, contents and remaps are as before"
LONG_MACHINES=uml-smp

test() {
	local type before
	make_stress_device
	before=$(checksum /dev/mapper/stress)
	for type in 1 4 5; do
		stress_write stress_test_start "$type 8 600000"
		sleep 0.5
		stress_runs || fail "the test does not run: $(stress_status)"
		(($(stress_threads) >= 9)) || fail 'there are no threads'
		stress_write stress_test_stop 1
		expect_match "$(stress_status)" '^STOPPED .* result=STOPPED_EARLY$'
		expect_match "$(report_value stress_test_results 'Failure Reason')" '^stopped early after [0-9]+ of 600000 ms'
		expect_equal "$(report_value stress_test_results 'Test Result')" FAILED
		expect_equal "$(report_value comprehensive_report 'Test Status')" STOPPED_EARLY
		expect_equal "$(report_value stress_test_results Mismatches)" 0
		# The monitor ends by itself, a moment later.
		sleep 0.2
		expect_equal "$(stress_threads)" 0 threads
		expect_equal "$(message stress list)" end
		stress_write stress_test_stop 1
	done
	expect_equal "$(checksum /dev/mapper/stress)" "$before" contents
	remove_mapped stress
}
