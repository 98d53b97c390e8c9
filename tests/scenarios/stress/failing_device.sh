# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck source=tests/stress.sh
. "$tests/stress.sh"

DESCRIPTION="on a failing device a test counts the errors, gives up and reports the reason"
MACHINES="uml uml-debug"
LONG_MACHINES=uml-smp

test() {
	make_brd 2 49152
	make_mapped below '0 65536 linear /dev/ram0 0'
	make_remap stress 65536 /dev/mapper/below /dev/ram1 0 65536 volatile error_policy off
	defer stop_stress
	local type least
	for type in 1 4 5; do
		# The test ends after 1000 errors in a row of a worker, or 100 of the remapper of type 5.
		least=1000
		((type != 5)) || least=1
		stress_write stress_test_start "$type 2 600000"
		sleep 0.3
		dmsetup suspend --nolockfs below
		echo '0 65536 error' | dmsetup load below
		dmsetup resume below
		wait_for_stress 60
		expect_match "$(stress_status)" 'result=FAILED$'
		(($(stress_value errors) >= least)) || fail 'the errors were not counted'
		expect_match "$(report_value stress_test_results 'Failure Reason')" 'gave up after too many errors'
		expect_equal "$(report_value comprehensive_report Reliability)" FAIL
		dmsetup suspend --nolockfs below
		echo '0 65536 linear /dev/ram0 0' | dmsetup load below
		dmsetup resume below
		message stress clear >/dev/null 2>&1 || :
	done
}
