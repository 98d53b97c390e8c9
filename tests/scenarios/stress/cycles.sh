# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck source=tests/stress.sh
. "$tests/stress.sh"

TIMEOUT=150
DESCRIPTION='Tests can be started and stopped over and over, and use no more memory after.'

test() {
	local i count type before
	count=$(scaled 120)
	make_stress_device
	run_stress 4 1 50
	before=$(report_value comprehensive_report 'Memory After')
	for ((i = 0; i < count; i++)); do
		type=$((RANDOM % 6))
		stress_write stress_test_start "$type $((RANDOM % 8 + 1)) $((RANDOM % 60 + 1))"
		case $((RANDOM % 3)) in
		0) ;;
		1) sleep 0.02 ;;
		2) wait_for_stress 60 ;;
		esac
		stress_write stress_test_stop 1
		expect_equal "$(message stress list)" end
		expect_match "$(stress_status)" '^STOPPED .* errors=0 result='
	done
	expect_equal "$(report_value comprehensive_report 'Memory After')" "$before" 'memory after'
	expect_equal "$(report_value comprehensive_report 'Memory Before')" "$before" 'memory before'
	remove_mapped stress
	unload_module
}
