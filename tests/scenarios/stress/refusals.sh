# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck source=tests/stress.sh
. "$tests/stress.sh"

MACHINES=uml
TIMEOUT=120
DESCRIPTION="invalid input fails with an errno and one line in the log that names the field, and starts no test"

test() {
	local file text words
	expect_refused ENODEV stress_test_start '4 1 1000' 'no remap device'
	make_stress_device
	while IFS='|' read -r text words; do
		expect_refused EINVAL stress_test_start "$text" "$words"
	done <<'END'
|test_type: missing
4|num_workers: missing
4 1|duration_ms: missing
4 1 1000 1|end of line: more
6 1 1000|test_type: not within 0 to 5
4 0 1000|num_workers: not within 1 to 32
4 33 1000|num_workers: not within 1 to 32
4 1 0|duration_ms: not within 1 to 86400000
4 1 86400001|duration_ms: not within 1 to 86400000
-1 1 1000|test_type: not an unsigned
4 +1 1000|num_workers: not an unsigned
4 1 1e3|duration_ms: not an unsigned
4 1 0x10|duration_ms: not an unsigned
4 1 99999999999999999999|duration_ms: number too large
4,1,1000|test_type: not an unsigned
END
	expect_refused EINVAL stress_test_stop 0 'value: not 1'
	expect_refused EINVAL stress_test_stop '' 'value: missing'
	expect_refused EINVAL stress_test_stop '1 1' 'end of line: more'
	while IFS='|' read -r file text words; do
		expect_refused EINVAL "$file" "$text" "$words"
	done <<'END'
quick_validation|2|value: not 1
quick_validation|1 0|duration_ms: not within 1 to 86400000
quick_validation|1 1 1|end of line: more
regression_test||value: missing
regression_test|0|value: not 1
regression_test|1 86400001|duration_ms: not within
regression_test|1 1 1|end of line: more
memory_pressure_test||pressure_mb: missing
memory_pressure_test|0 1000|pressure_mb: not within 1 to
memory_pressure_test|1|duration_ms: missing
memory_pressure_test|1 0|duration_ms: not within
memory_pressure_test|1 1 1|end of line: more
high_concurrency_stress||in_flight: missing
high_concurrency_stress|99 1|in_flight: not within 100 to 50000
high_concurrency_stress|50001 1|in_flight: not within 100 to 50000
high_concurrency_stress|100|duration_sec: missing
high_concurrency_stress|100 0|duration_sec: not within 1 to 3600
high_concurrency_stress|100 3601|duration_sec: not within 1 to 3600
high_concurrency_stress|100 1 1|end of line: more
tb_scale_validation||dataset_gb: missing
tb_scale_validation|0 0|dataset_gb: not within 1 to 10000
tb_scale_validation|10001 0|dataset_gb: not within 1 to 10000
tb_scale_validation|1|test_type: missing
tb_scale_validation|1 6|test_type: not within 0 to 5
tb_scale_validation|1 0 0|end of line: more
endurance_test||hours: missing
endurance_test|0 0|hours: not within 1 to 24
endurance_test|25 0|hours: not within 1 to 24
endurance_test|1 6|test_type: not within 0 to 5
endurance_test|1 0 0|end of line: more
production_workload||type: missing
production_workload|4 1 1|type: not within 0 to 3
production_workload|0|intensity: missing
production_workload|0 0 1|intensity: not within 1 to 4
production_workload|0 5 1|intensity: not within 1 to 4
production_workload|0 1|minutes: missing
production_workload|0 1 0|minutes: not within 1 to 1440
production_workload|0 1 1441|minutes: not within 1 to 1440
production_workload|0 1 1 1|end of line: more
custom_workload||workers: missing
custom_workload|4 1 1000|key=value: a field without
custom_workload|color=1|key=value: an unknown key
custom_workload|read=1 read=1|read: given twice
custom_workload|read=101 random=0 bs=512 queue_depth=1 workers=1 duration_ms=1|read: not within 0 to 100
custom_workload|read=0 random=101 bs=512 queue_depth=1 workers=1 duration_ms=1|random: not within 0 to 100
custom_workload|read=0 random=0 bs=511 queue_depth=1 workers=1 duration_ms=1|bs: not within 512 to 1048576
custom_workload|read=0 random=0 bs=512, queue_depth=1 workers=1 duration_ms=1|bs: number missing
custom_workload|read=0 random=0 bs=512 queue_depth=0 workers=1 duration_ms=1|queue_depth: not within 1 to 4096
custom_workload|read=0 random=0 bs=512 queue_depth=1 workers=33 duration_ms=1|workers: not within 1 to 32
custom_workload|read=0 random=0 bs=512 queue_depth=1 workers=1 duration_ms=0|duration_ms: not within
custom_workload|read=0 random=0 bs=512 queue_depth=1 workers=1 duration_ms=1 hot=100|hot: not within 0 to 99
custom_workload|read=0 random=0 bs=512 queue_depth=1 workers=1 duration_ms=1 fsync=x|fsync: not an unsigned
custom_workload|read=0 random=0 bs=512 queue_depth=1 workers=1 duration_ms=1 rate_iops=100000001|rate_iops: not within
custom_workload|read=0 random=0 bs=512 queue_depth=1 workers=1 duration_ms=1 seed=-1|seed: not an unsigned
custom_workload|read=0 random=0 bs=512 queue_depth=4096 workers=32 duration_ms=1|queue_depth: not within 1 to 1562
stress_test_adjust||key=value: missing
stress_test_adjust|workers|key=value: a field without
stress_test_adjust|worker=1|key=value: an unknown key
stress_test_adjust|workers=0|workers: not within 1 to 32
stress_test_adjust|workers=33|workers: not within 1 to 32
stress_test_adjust|queue_depth=0|queue_depth: not within 1 to 4096
stress_test_adjust|rate_iops=100000001|rate_iops: not within 0 to 100000000
stress_test_adjust|write_percent=101|write_percent: not within 0 to 100
stress_test_adjust|workers=1 workers=2|workers: given twice
baseline||device: missing
baseline|nothing|key=value: a field without
baseline|device=a type=4 workers=1 queue_depth=1 latency_ns=1|bytes_per_second: missing
regression_thresholds||key=value: missing
regression_thresholds|10 10|key=value: a field without
regression_thresholds|latency=0|latency: not within 1 to 1000
regression_thresholds|throughput=100|throughput: not within 1 to 99
END
	expect_equal "$(<$stress/baseline)" none 'baseline after refusals'
	expect_equal "$(<$stress/regression_thresholds)" 'latency=10 throughput=10' 'thresholds after refusals'
	# Refused adjustments do not change the next test.
	run_stress 4 2 200
	expect_equal "$(report_value stress_test_results 'Queue Depth')" 64
	stress_write stress_test_start '4 1 600000'
	for file in stress_test_start quick_validation regression_test memory_pressure_test \
		high_concurrency_stress tb_scale_validation endurance_test production_workload custom_workload; do
		case $file in
		stress_test_start) text='4 1 1000' ;;
		quick_validation | regression_test) text=1 ;;
		memory_pressure_test) text='1 1000' ;;
		high_concurrency_stress) text='100 1' ;;
		production_workload) text='0 1 1' ;;
		custom_workload) text='read=0 random=0 bs=512 queue_depth=1 workers=1 duration_ms=1' ;;
		*) text='1 0' ;;
		esac
		expect_refused EBUSY $file "$text" 'a test runs already'
	done
	stress_write stress_test_stop 1
	sleep 0.2
	expect_refused EINVAL set_target "$(printf 'a%.0s' {1..128})" 'device: longer than'
	expect_refused ENODEV set_target nothing 'no such remap device'
	expect_refused ENODEV set_target 4095:7 'no such remap device'
	expect_equal "$(stress_threads)" 0 threads
}
