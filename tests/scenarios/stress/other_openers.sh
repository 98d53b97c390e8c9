# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck source=tests/stress.sh
. "$tests/stress.sh"

DESCRIPTION="a test that writes is refused, or ends, while the device has another opener, with or without a claim"
TIMEOUT=120

# A loop device does not claim the device below, which its users write.
loop_with_files() {
	local loop i
	loop=$(losetup -f --show /dev/mapper/stress)
	defer losetup -d "$loop"
	mkfs.ext4 -q "$loop"
	mkdir -p "$work/mnt" "$work/model"
	mount -t ext4 "$loop" "$work/mnt"
	defer umount "$work/mnt"
	for ((i = 0; i < 40; i++)); do
		head -c 65536 /dev/urandom >"$work/model/$i"
	done
	for type in 2 3 4 5; do
		expect_refused EBUSY stress_test_start "$type 2 1000" 'in use by someone else: other openers: 1'
	done
	expect_refused EBUSY quick_validation 1 'in use by someone else'
	stress_write stress_test_start '3 4 600000' 2>/dev/null || :
	for ((i = 0; i < 40; i++)); do
		dd if="$work/model/$i" of="$work/mnt/$i" bs=64k conv=fsync status=none
	done
	stress_write stress_test_stop 1
	echo 3 >/proc/sys/vm/drop_caches
	for ((i = 0; i < 40; i++)); do
		cmp "$work/model/$i" "$work/mnt/$i" || fail "file $i"
	done
	# A test that only reads does no harm.
	run_stress 1 2 200
	expect_sound
	umount "$work/mnt"
	losetup -d "$loop"
}

# opens_meanwhile <seconds>: opens the device for reading, and closes it after so many seconds.
opens_meanwhile() {
	sleep "$1" <&9
} 9</dev/mapper/stress

test() {
	local before pid
	make_stress_device
	loop_with_files

	before=$(checksum /dev/ram0)
	# An opener that stays ends a running test.
	stress_write stress_test_start '4 2 600000'
	sleep 0.3
	exec 9<>/dev/mapper/stress
	wait_for_stress 20
	expect_match "$(stress_status)" 'result=FAILED$'
	expect_equal "$(report_value stress_test_results 'Failure Reason' | grep -o 'somebody else opened the device')" \
		'somebody else opened the device'
	expect_equal "$(report_value comprehensive_report 'Test Status')" GAVE_UP
	expect_refused EBUSY stress_test_start '4 2 1000' 'in use by someone else'
	exec 9>&-

	# An opener that only reads and closes the device soon harms no test, before its start or while it runs.
	opens_meanwhile 0.5 &
	pid=$!
	run_stress 4 2 200
	expect_sound
	wait $pid
	stress_write stress_test_start '4 2 3000'
	sleep 0.3
	opens_meanwhile 0.5
	wait_for_stress 30
	expect_sound
	expect_match "$(stress_status)" 'elapsed_ms=[3-9][0-9]{3} '
	expect_equal "$(checksum /dev/ram0)" "$before" contents

	# Data that another opener writes meanwhile is kept, and the report names the reason.
	head -c 1M /dev/urandom >"$work/noise"
	stress_write stress_test_start '3 4 600000'
	sleep 0.3
	exec 9<>/dev/mapper/stress
	# The test has noticed the opener by now, or notices it with its next bio.
	dd if="$work/noise" of=/dev/mapper/stress bs=64k seek=16 oflag=direct conv=notrunc status=none
	wait_for_stress 20
	exec 9>&-
	dd if=/dev/ram0 of="$work/found" bs=1M skip=1 count=1 iflag=direct status=none
	cmp "$work/noise" "$work/found" || fail 'the data of the other opener is lost'
	expect_match "$(report_value stress_test_results 'Failure Reason')" 'somebody else wrote to the device'
	[[ $(report_value stress_test_results 'Failure Reason') != *mismatches* ]] ||
		fail 'the target is blamed'
}
