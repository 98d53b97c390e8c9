# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck source=tests/stress.sh
. "$tests/stress.sh"

MACHINES=uml
TIMEOUT=150
DESCRIPTION="32 workers keep at least 1000 of 1024 bios in flight on a slow device"

test() {
	local main spare type
	make_null_blk main 64 irqmode=2 completion_nsec=200000000 hw_queue_depth=2048 submit_queues=1
	make_null_blk spare 32 irqmode=0
	make_remap stress 131072 "$main" "$spare" 0 65536 volatile
	defer stop_stress
	for type in 1 4; do
		run_stress $type 32 5000
		expect_sound
		expect_equal "$(report_value stress_test_results 'Queue Depth')" 1024
		(($(report_value stress_test_results 'Peak In Flight') >= 1000)) ||
			fail "only $(report_value stress_test_results 'Peak In Flight') in flight"
		expect_match "$(grep 'Peak in flight' $stress/comprehensive_report)" 'PASS$'
	done
}
