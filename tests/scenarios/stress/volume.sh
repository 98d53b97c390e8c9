# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck source=tests/stress.sh
. "$tests/stress.sh"

TIMEOUT=200
MACHINES=uml
DESCRIPTION="five terabytes are read through the target in bios of 1 MiB, at a throughput that drifts by less than 25 %"

five_terabytes() {
	local sectors
	sectors=$(disk_stat "$1" 3)
	stress_write tb_scale_validation '5000 0'
	expect_match "$(stress_status)" '^RUNNING .* type=0 workers=8 '
	wait_for_stress 180
	expect_equal "$(stress_value progress)" 100%
	expect_equal "$(report_value stress_test_results 'Total Errors')" 0
	(($(report_value stress_test_results 'Total Bytes' | cut -d' ' -f1) > 5000000000000 - 1)) ||
		fail 'less than five terabytes'
	# Reads of remapped blocks went to the spare, and are not counted here.
	((($(disk_stat "$1" 3) - sectors) * 512 > 4995000000000)) ||
		fail "only $((($(disk_stat "$1" 3) - sectors) * 512)) bytes were read from the disk"
	expect_match "$(report_value comprehensive_report Duration)" '^[0-9]+ ms, until 5000000 MB$'
}

test() {
	local main spare drift i
	# A disk that transfers no data, so that five terabytes take seconds; volume_with_data takes minutes.
	make_null_blk main 65536 memory_backed=0 irqmode=0 max_sectors=2048
	make_null_blk spare 64 irqmode=0
	make_remap stress 134217728 "$main" "$spare" 0 131072 volatile
	defer stop_stress
	message stress remap 0 80000 >/dev/null
	# Other work of the host may disturb a run, but not all four.
	for ((i = 0; i < 4; i++)); do
		five_terabytes "$main"
		drift=$(sed -n 's/^ *Throughput drift *< 5 % *\(-\?[0-9]*\)\.\([0-9]*\) %.*/\1\2/p' $stress/comprehensive_report)
		echo "$(report_value stress_test_results Throughput), drift $drift hundredths of a percent"
		[[ -n $drift ]] || fail 'the report has no drift'
		((10#${drift#-} >= 2500)) || return 0
	done
	fail "the last quarter and the first differ by $drift hundredths of a percent"
}
