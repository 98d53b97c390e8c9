# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck source=tests/stress.sh
. "$tests/stress.sh"

DESCRIPTION="a test that writes is refused on a read-only device, and ends when its device becomes read-only"

test() {
	local type writes
	make_stress_device
	blockdev --setro /dev/mapper/stress
	for type in 2 3 4 5; do
		expect_refused EROFS stress_test_start "$type 2 1000" 'is read-only'
	done
	run_stress 1 2 200
	expect_sound
	blockdev --setrw /dev/mapper/stress

	for type in 3 5; do
		stress_write stress_test_start "$type 2 600000"
		sleep 0.3
		# blockdev opens the device only for a moment, which does not end the test.
		blockdev --setro /dev/mapper/stress
		wait_for_stress 20
		expect_match "$(stress_status)" 'result=FAILED$'
		expect_match "$(report_value stress_test_results 'Failure Reason')" 'the device became read-only'
		writes=$(disk_stat /dev/mapper/stress 5)
		sleep 0.2
		expect_equal "$(disk_stat /dev/mapper/stress 5)" "$writes" 'writes after the device became read-only'
		blockdev --setrw /dev/mapper/stress
	done
	remove_mapped stress

	echo '0 65536 remap /dev/ram0 /dev/ram1 0 65536 1 volatile' | dmsetup create --readonly stress
	defer remove_mapped stress
	expect_refused EROFS stress_test_start '4 2 1000' 'is read-only'
	expect_equal "$(disk_stat /dev/mapper/stress 5)" 0 writes
}
