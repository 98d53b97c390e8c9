# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck source=tests/stress.sh
. "$tests/stress.sh"

DESCRIPTION="set_target takes a name, dm-N, major:minor and an empty line, shows the device that is set, and forgets a removed device"
LONG_MACHINES=uml-smp

test() {
	local number minor
	expect_equal "$(cat $stress/set_target)" '' 'device that is set'
	make_brd 2 49152
	make_remap one 32768 /dev/ram0 /dev/ram1 0 16384 volatile
	run_stress 1 1 100
	expect_equal "$(stress_value device)" one
	make_remap two 32768 /dev/ram0 /dev/ram1 16384 16384 volatile main_start 32768
	expect_refused ENODEV stress_test_start '1 1 100' 'several remap devices'
	number=$(dmsetup info -c --noheadings -o major,minor --separator : two)
	minor=${number#*:}
	for name in two "dm-$minor" "$number"; do
		stress_write set_target one
		run_stress 1 1 100
		expect_equal "$(stress_value device)" one
		stress_write set_target "$name"
		expect_equal "$(cat $stress/set_target)" two 'device that is set'
		run_stress 1 1 100
		expect_equal "$(stress_value device)" two "device for $name"
		expect_equal "$(report_value stress_test_results Device)" "two ($number)"
	done
	stress_write set_target ''
	expect_equal "$(cat $stress/set_target)" '' 'device that is set'
	expect_refused ENODEV stress_test_start '1 1 100' 'several remap devices'

	# The setting follows the device under another name and with another table.
	stress_write set_target two
	dmsetup rename two three
	load_remap three 32768 /dev/ram0 /dev/ram1 16384 16384 volatile main_start 32768
	dmsetup resume three
	expect_equal "$(cat $stress/set_target)" three 'device that is set'
	dmsetup rename three two
	run_stress 1 1 100
	expect_equal "$(stress_value device)" two

	# A new device of the same name and number is another device.
	remove_mapped two
	make_remap two 32768 /dev/ram0 /dev/ram1 16384 16384 volatile main_start 32768
	expect_equal "$(dmsetup info -c --noheadings -o major,minor --separator : two)" "$number"
	expect_refused ENODEV stress_test_start '1 1 100' 'the device is gone'
	expect_refused ENODEV stress_test_start '1 1 100' 'several remap devices'
	stress_write set_target two
	remove_mapped two
	expect_equal "$(cat $stress/set_target)" '' 'device that is set'
	run_stress 1 1 100
	expect_equal "$(stress_value device)" one
	make_mapped other '0 8 error'
	expect_refused ENODEV set_target other 'no such remap device'
}
