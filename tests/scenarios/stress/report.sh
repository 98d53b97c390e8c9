# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck source=tests/stress.sh
. "$tests/stress.sh"

DESCRIPTION="the reports have their headings and keys in order and agree with each other"
LONG_MACHINES=uml-smp

# keys <report>: prints its headings and keys, one per line.
keys() {
	sed -n -e '/^===/p' -e 's/^\( *[A-Z][^:]*\):.*/\1/p' "$stress/$1"
}

results_keys='=== Phase 3.2C Stress Test Results ===
Test Configuration
  Device
  Test Type
  Duration
  Worker Threads
  Queue Depth
  Seed
Performance Metrics
  Total Operations
  Total Bytes
  Total Errors
  Average Latency
  Throughput
  IOPS
  Peak In Flight
Added Latency (ns)
I/O Latency (ns)
I/O Latency (ns)
Relocation (us)
Stall (us)
Integrity
  Blocks Verified
  Mismatches
Regression Analysis
  Baseline Latency
  Latency Change
  Baseline Throughput
  Throughput Change
Test Result
Failure Reason'

comprehensive_headings='STRESS TEST RESULTS
REMAP ENGINE
RESOURCES
TREND
VALIDATION TARGETS
OVERALL ASSESSMENT'

# Expects that both reports have their headings and keys, and that all texts have their sizes.
expect_forms() {
	expect_equal "$(keys stress_test_results)" "$results_keys" 'keys of the results'
	expect_equal "$(keys comprehensive_report | grep -v -e '^ ' -e ===)" "$comprehensive_headings" \
		'headings of the report'
	(($(wc -c <$stress/stress_test_results) < 4096)) || fail 'the results fill a page'
	(($(wc -c <$stress/comprehensive_report) < 4096)) || fail 'the report fills a page'
	expect_equal "$(wc -l <$stress/stress_test_status)" 1 'lines of the status'
}

test() {
	local ops
	make_stress_device
	stress_write quick_validation '1 5500'
	expect_match "$(stress_status)" '^RUNNING device=stress type=4 workers=4 in_flight=[0-9]+ elapsed_ms=[0-9]+ duration_ms=5500 progress=[0-9]+% ops=[0-9]+ iops=[0-9]+ mb_s=[0-9]+ errors=0$'
	expect_forms
	wait_for_stress 60
	expect_forms
	ops=$(stress_value ops)
	expect_equal "$(report_value stress_test_results 'Total Operations')" "$ops"
	expect_equal "$(report_value comprehensive_report Operations)" "$ops"
	expect_match "$(report_value stress_test_results 'Total Bytes')" "^$((ops * 4096)) \("
	expect_equal "$(report_value stress_test_results Duration)" '5500 ms'
	expect_equal "$(report_value comprehensive_report 'Memory Before')" \
		"$(report_value comprehensive_report 'Memory After')"
	expect_match "$(report_value comprehensive_report 'First Quarter')" '^[0-9]+ IOPS, added latency [0-9]+ ns$'
	expect_match "$(report_value comprehensive_report Drift)" '^IOPS -?[0-9.]+ %'
	expect_equal "$(sed -n '/^VALIDATION/,/^$/p' $stress/comprehensive_report |
		grep -c -E '(PASS|FAIL|N/A \(.*\))$')" 13 targets
}
