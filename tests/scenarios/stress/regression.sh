# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck source=tests/stress.sh
. "$tests/stress.sh"

# On uml-time, whose clock skips idle time, a run takes a second, and nothing disturbs it.
MACHINES=uml-time
TIMEOUT=20000
DESCRIPTION="the first regression test sets the baseline, an unchanged device passes, and a slower one fails"

# delay <ms>: sets the latency of the device below.
delay() {
	dmsetup suspend --nolockfs slow
	echo "0 65536 delay /dev/ram0 0 $1" | dmsetup load slow
	dmsetup resume slow
}

# regress <ms>: runs a regression test of that duration to its end.
regress() {
	stress_write regression_test "1 $1"
	# Sleeps instead of polling: on uml-time only polling takes time.
	sleep $(($1 / 1000))
	wait_for_stress 120
	expect_equal "$(report_value stress_test_results 'Worker Threads')" 16
	expect_equal "$(report_value stress_test_results Mismatches)" 0
}

reasons() {
	report_value stress_test_results 'Failure Reason'
}

test() {
	local i line
	make_brd 2 49152
	make_mapped slow '0 65536 delay /dev/ram0 0 50'
	make_remap stress 65536 /dev/mapper/slow /dev/ram1 0 65536 volatile
	defer stop_stress
	expect_equal "$(<$stress/baseline)" none
	expect_equal "$(<$stress/regression_thresholds)" 'latency=10 throughput=10'
	stress_write regression_thresholds latency=15
	expect_equal "$(<$stress/regression_thresholds)" 'latency=15 throughput=10'

	# A run that is too short sets no baseline and does not pass.
	regress 300
	expect_match "$(reasons)" 'not compared with the baseline: the run is too short'
	expect_equal "$(report_value stress_test_results 'Test Result')" FAILED
	expect_equal "$(<$stress/baseline)" none

	regress 16000
	[[ $(reasons) != *baseline* ]] || fail "no baseline: $(reasons)"
	expect_match "$(<$stress/baseline)" \
		'^device=stress type=4 workers=16 queue_depth=512 latency_ns=[0-9]+ bytes_per_second=[0-9]+$'
	expect_match "$(report_value stress_test_results 'Latency Change')" 'this run is the baseline'
	line=$(<$stress/baseline)
	for ((i = 0; i < 20; i++)); do
		regress 16000
		expect_match "$(report_value stress_test_results 'Throughput Change')" '^[+-][0-9]+ MB/s \([+-][0-9]+%\)$'
		[[ $(reasons) != *changed* && $(reasons) != *baseline* ]] || fail "an unchanged device fails: $(reasons)"
	done
	expect_equal "$(<$stress/baseline)" "$line" baseline

	# A device that is a fifth slower.
	delay 60
	for ((i = 0; i < 20; i++)); do
		regress 16000
		expect_match "$(reasons)" 'throughput changed by -1[0-9]\.[0-9]+ % \(threshold 10 %\)'
	done
	stress_write regression_thresholds throughput=30
	regress 16000
	[[ $(reasons) != *changed* ]] || fail "a change within the threshold fails: $(reasons)"

	# A user can save baselines and write them back after the module was unloaded.
	remove_mapped stress
	unload_module
	load_module
	expect_equal "$(<$stress/baseline)" none
	stress_write baseline "$line"
	expect_equal "$(<$stress/baseline)" "$line"
	make_remap stress 65536 /dev/mapper/slow /dev/ram1 0 65536 volatile
	regress 16000
	expect_match "$(reasons)" 'throughput changed by -1'
	delay 50
	regress 16000
	[[ $(reasons) != *changed* ]] || fail "a device as fast as the baseline fails: $(reasons)"

	# An adjusted run is not compared.
	stress_write stress_test_adjust workers=4
	stress_write regression_test '1 16000'
	wait_for_stress 120
	expect_match "$(reasons)" 'not compared with the baseline: the test was adjusted'
	stress_write baseline none
	expect_equal "$(<$stress/baseline)" none
}
