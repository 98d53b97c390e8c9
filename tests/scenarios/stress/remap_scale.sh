# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck source=tests/stress.sh
. "$tests/stress.sh"

TIMEOUT=400
MACHINES=uml
DESCRIPTION="10,000 remaps cost less than 10 % of the throughput, and 1,000,000 less than 30 %, on a disk without latency"

# The least that may be left of the throughput, in tenths of a percent. A cache miss, as a million remaps cause, takes
# about a tenth of the time of an operation.
declare -A least=([some]=900 [many]=700)
declare -A remaps=([none]=0 [some]=10000 [many]=1000000) best=()

# left_by <name>: prints the throughput of a device, in tenths of a percent of that of the device without remaps. The
# best rounds are compared, since other work of the machine can only make a round slower.
left_by() {
	echo "$((1000 * best[$1] / best[none]))"
}

# Returns whether enough throughput is left.
holds() {
	local name
	for name in "${!least[@]}"; do
		(($(left_by "$name") > least[$name])) || return 1
	done
}

test() {
	local main spare round name
	# Disks without latency: the zero target.
	main=/dev/mapper/main spare=/dev/mapper/spare
	make_mapped main '0 6442450944 zero'
	make_mapped spare '0 8650752 zero'
	# A terabyte each.
	make_remap none 2147483648 "$main" "$spare" 0 8192 volatile
	make_remap some 2147483648 "$main" "$spare" 8192 131072 volatile main_start 2147483648
	make_remap many 2147483648 "$main" "$spare" 262144 8388608 volatile main_start 4294967296
	defer stop_stress
	message some remap 0 80000 >/dev/null
	message many remap 0 8000000 >/dev/null
	# Seven rounds, and up to 14 more if other work of the machine has disturbed them.
	for ((round = 0; round < 21; round++)); do
		for name in none some many; do
			stress_write set_target "$name"
			stress_write custom_workload "read=100 random=100 bs=4096 queue_depth=32 workers=4 duration_ms=1000 seed=$round"
			wait_for_stress 60
			expect_sound
			expect_equal "$(report_value comprehensive_report 'Remap Entries' | cut -d' ' -f1)" "${remaps[$name]}"
			(($(stress_value iops) <= ${best[$name]:-0})) || best[$name]=$(stress_value iops)
		done
		((round < 6)) || ! holds || break
	done
	for name in "${!least[@]}"; do
		echo "$name: $(left_by "$name") of 1000 operations without remaps; at best ${best[$name]} to ${best[none]}, $round rounds"
		(($(left_by "$name") > least[$name])) ||
			fail "${remaps[$name]} remaps leave $(left_by "$name") of 1000 operations"
	done
}
