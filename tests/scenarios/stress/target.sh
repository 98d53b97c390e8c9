# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck source=tests/stress.sh
. "$tests/stress.sh"

DESCRIPTION='set_target takes a name, dm-N and major:minor; it is needed where there are several devices.'

test() {
	local number minor
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
		run_stress 1 1 100
		expect_equal "$(stress_value device)" two "device for $name"
		expect_equal "$(report_value stress_test_results Device)" "two ($number)"
	done
	remove_mapped two
	expect_refused ENODEV stress_test_start '1 1 100' 'the device is gone'
	make_mapped other '0 8 error'
	expect_refused ENODEV set_target other 'no such remap device'
}
