# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck source=tests/stress.sh
. "$tests/stress.sh"

TIMEOUT=1500
LONG=1
MACHINES=uml
DESCRIPTION="a terabyte is read and a terabyte is written, with all data transferred and verified"

test() {
	local type
	make_mapped zeros '0 2097152000 zero'
	make_mapped spare '0 2097152 zero'
	make_remap stress 2097152000 /dev/mapper/zeros /dev/mapper/spare 0 2097152 volatile
	defer stop_stress
	for type in 0 2; do
		stress_write tb_scale_validation "1000 $type"
		wait_for_stress 700
		expect_sound
		expect_equal "$(stress_value progress)" 100%
		(($(report_value stress_test_results 'Total Bytes' | cut -d' ' -f1) >= 1000000000000)) ||
			fail 'less than a terabyte'
		echo "type $type: $(report_value stress_test_results Throughput), $(grep 'Throughput drift' $stress/comprehensive_report)"
	done
}
