# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck source=tests/stress.sh
. "$tests/stress.sh"

DESCRIPTION="one test runs at a time; tests that write need the device for themselves; a test keeps the device and the module from removal"
MACHINES="uml uml-debug"
LONG_MACHINES=uml-smp

test() {
	make_stress_device
	stress_write stress_test_start '1 2 600000'
	expect_refused EBUSY stress_test_start '1 2 1000' 'a test runs already'
	expect_refused EBUSY quick_validation 1 'a test runs already'
	expect_refused EBUSY set_target stress 'a test runs already'
	expect_errno EBUSY dmsetup remove stress
	! rmmod dm_remap 2>/dev/null || fail 'the module was removed during a test'
	stress_write stress_test_stop 1

	# While a test writes, no other user can claim the device.
	stress_write stress_test_start '4 2 600000'
	make_mapped claim '0 8 error'
	echo '0 65536 linear /dev/mapper/stress 0' >/tmp/scenario/table
	expect_errno EBUSY dmsetup load claim /tmp/scenario/table
	stress_write stress_test_stop 1

	# While another user claims the device, tests may read but not write.
	dmsetup load claim /tmp/scenario/table
	dmsetup resume claim
	for type in 2 3 4 5; do
		expect_refused EBUSY stress_test_start "$type 1 1000" 'in use by someone else'
	done
	expect_refused EBUSY quick_validation 1 'in use by someone else'
	run_stress 0 1 200
	expect_sound
	remove_mapped claim

	# The same for a mounted file system.
	mkfs.ext4 -q /dev/mapper/stress
	mkdir -p /tmp/scenario/mnt
	mount -t ext4 /dev/mapper/stress /tmp/scenario/mnt
	defer umount /tmp/scenario/mnt
	expect_refused EBUSY stress_test_start '4 1 1000' 'in use by someone else'
	run_stress 1 1 200
	umount /tmp/scenario/mnt
	run_stress 4 1 200
	expect_sound
	e2fsck -fn /dev/mapper/stress >/dev/null || fail 'the file system is damaged'
}
