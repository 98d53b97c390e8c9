# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck source=tests/stress.sh
. "$tests/stress.sh"

MACHINES=uml
TIMEOUT=120
DESCRIPTION="workers, queue depth, rate and share of writes can be adjusted before and during a test"

# rate_now: prints the operations a second of the running test, measured over two seconds.
rate_now() {
	local before at
	before=$(stress_value ops) at=$(stress_value elapsed_ms)
	sleep 2
	echo $((($(stress_value ops) - before) * 1000 / ($(stress_value elapsed_ms) - at)))
}

test() {
	local rate writes
	make_stress_device

	# Adjustments before the start are for one test only.
	stress_write stress_test_adjust 'workers=2 queue_depth=3'
	stress_write stress_test_adjust 'write_percent=0'
	expect_equal "$(stress_status)" STOPPED
	writes=$(disk_stat /dev/mapper/stress 5)
	run_stress 4 8 500
	expect_sound
	expect_equal "$(report_value stress_test_results 'Worker Threads')" 2
	expect_equal "$(report_value stress_test_results 'Queue Depth')" 6
	expect_equal "$(disk_stat /dev/mapper/stress 5)" "$writes" 'writes of a mixed test with write_percent=0'
	run_stress 4 8 500
	expect_sound
	expect_equal "$(report_value stress_test_results 'Queue Depth')" 256
	(($(disk_stat /dev/mapper/stress 5) > writes)) || fail 'the next test does not write'
	# A test type that only reads claims the device if an adjustment makes it write.
	stress_write stress_test_adjust write_percent=50
	writes=$(disk_stat /dev/mapper/stress 5)
	run_stress 1 2 500
	expect_sound
	(($(disk_stat /dev/mapper/stress 5) > writes)) || fail 'the adjusted test does not write'

	# Adjustments while a test runs.
	stress_write stress_test_start '4 2 600000'
	stress_write stress_test_adjust 'workers=7 rate_iops=400'
	expect_equal "$(stress_value workers)" 7
	# Seven workers and the monitor.
	expect_equal "$(stress_threads)" 8 threads
	rate=$(rate_now)
	((rate > 250 && rate < 600)) || fail "$rate operations a second where 400 are asked for"
	stress_write stress_test_adjust 'workers=1'
	expect_equal "$(stress_value workers)" 1
	rate=$(rate_now)
	((rate > 250 && rate < 600)) || fail "$rate operations a second by one worker"
	stress_write stress_test_adjust 'rate_iops=0 queue_depth=64'
	rate=$(rate_now)
	((rate > 600)) || fail "$rate operations a second without a limit"
	stress_write stress_test_adjust write_percent=0
	sleep 0.5
	writes=$(disk_stat /dev/mapper/stress 5)
	sleep 0.5
	expect_equal "$(disk_stat /dev/mapper/stress 5)" "$writes" 'writes after write_percent=0'
	expect_refused EINVAL stress_test_adjust 'workers=32 queue_depth=4096' 'in flight are more than 50000'
	stress_write stress_test_stop 1
	expect_equal "$(report_value stress_test_results 'Queue Depth')" 64
	expect_equal "$(report_value stress_test_results Mismatches)" 0

	# A running test that only reads cannot be made to write: it has not claimed the device.
	stress_write stress_test_start '1 2 600000'
	expect_refused EINVAL stress_test_adjust write_percent=1 'write_percent: the test only reads'
	stress_write stress_test_adjust write_percent=0
	stress_write stress_test_stop 1
	# Too many bios in flight, before the start: the start is refused, and the adjustment is kept.
	stress_write stress_test_adjust queue_depth=4096
	expect_refused EINVAL stress_test_start '1 32 1000' 'in flight are more than 50000'
	run_stress 1 1 200
	expect_equal "$(report_value stress_test_results 'Queue Depth')" 4096
}
