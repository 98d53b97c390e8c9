# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck source=tests/stress.sh
. "$tests/stress.sh"

DESCRIPTION="a test that reads does not report the writes of other users as damage"
LONG_MACHINES=uml-smp

test() {
	local i
	make_stress_device
	head -c 4M /dev/urandom >"$work/noise"
	stress_write stress_test_start '0 4 600000'
	sleep 1
	for ((i = 0; i < 8; i++)); do
		dd if="$work/noise" of=/dev/mapper/stress bs=1M count=4 seek=$((i * 4)) oflag=direct status=none
	done
	stress_write stress_test_stop 1
	expect_match "$(report_value stress_test_results Mismatches)" \
		'^[1-9][0-9]* \(N/A: somebody else wrote to the device\)$'
	expect_match "$(grep 'Data mismatches' $stress/comprehensive_report)" \
		'N/A \(somebody else wrote to the device\)$'
	[[ $(report_value stress_test_results 'Failure Reason') != *mismatches* ]] ||
		fail "another user's writes are reported as mismatches"
	[[ $(report_value stress_test_results Seed) =~ ^[0-9]+$ ]] || fail 'no seed'
}
