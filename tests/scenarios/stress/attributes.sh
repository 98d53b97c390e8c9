# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck source=tests/stress.sh
. "$tests/stress.sh"

DESCRIPTION="the attributes exist with their modes, report that no test has run, and are removed with the module"
LONG_MACHINES=uml-smp

test() {
	local file
	for file in stress_test_start stress_test_stop stress_test_adjust quick_validation \
		regression_test memory_pressure_test high_concurrency_stress tb_scale_validation \
		endurance_test production_workload custom_workload; do
		expect_equal "$(stat -c %a $stress/$file)" 200 "mode of $file"
	done
	for file in stress_test_status stress_test_results comprehensive_report; do
		expect_equal "$(stat -c %a $stress/$file)" 444 "mode of $file"
	done
	for file in set_target baseline regression_thresholds; do
		expect_equal "$(stat -c %a $stress/$file)" 644 "mode of $file"
	done
	for file in results histograms trend; do
		expect_equal "$(stat -c %a $debug_stress/$file.json)" 444 "mode of $file.json"
	done
	# No other files.
	expect_equal "$(find $stress -type f | wc -l)" 17 files
	expect_equal "$(stress_status)" STOPPED
	expect_equal "$(sed -n 1p $stress/stress_test_results)" '=== Phase 3.2C Stress Test Results ==='
	expect_equal "$(sed -n 1p $stress/comprehensive_report)" \
		'=== Phase 3.2C Comprehensive Performance Report ==='
	for file in stress_test_results comprehensive_report; do
		expect_equal "$(sed 1,2d $stress/$file)" 'No test has run since the module was loaded.' "$file"
	done
	stress_write stress_test_stop 1

	for file in fast_path_hits slow_path_hits total_lookups fast_path_hit_rate remap_entries \
		total_ios remapped_ios; do
		expect_equal "$(stat -c %a /sys/module/dm_remap/optimization/$file)" 444 "mode of $file"
		expect_equal "$(cat /sys/module/dm_remap/optimization/$file)" 0 "$file without a table"
	done
	unload_module
	[[ ! -e $stress ]] || fail "$stress is left behind"
}
