# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck source=tests/stress.sh
. "$tests/stress.sh"

DESCRIPTION="a test never writes data that it has read through one table to another: both disks keep their contents"
MACHINES="uml uml-smp debian"
TIMEOUT=200

first='0 16384 remap /dev/ram0 /dev/ram1 0 16384 1 volatile'
second='0 16384 remap /dev/ram2 /dev/ram1 0 16384 1 volatile'
linear='0 16384 linear /dev/ram2 0'

# replace <table line> [<option of suspend>...]: replaces the table as a user may, with or without a suspend before
# the resume.
replace() {
	echo "$1" | dmsetup load stress
	if (($# > 1)); then dmsetup suspend "${@:2}" stress; fi
	dmsetup resume stress
}

test() {
	local before other turn options table type runs=0
	make_brd 3 12288
	head -c 8M /dev/urandom >/dev/ram0
	head -c 8M /dev/urandom >/dev/ram2
	before=$(checksum /dev/ram0) other=$(checksum /dev/ram2)
	make_mapped stress "$first"
	defer stop_stress
	for ((turn = 0; turn < $(scaled 4); turn++)); do
		for options in '' '--noflush' '--nolockfs' '--noflush --nolockfs'; do
			table=$second
			((turn % 2)) || table=$linear
			type=$((turn % 3 ? 3 : 5))
			stress_write stress_test_start "$type 4 600000"
			sleep "0.$((RANDOM % 3 + 1))"
			stress_runs || fail "the test does not run: $(stress_status)"
			# The test continues after suspend and resume.
			dmsetup suspend stress
			dmsetup resume stress
			stress_runs || fail "the test has ended: $(stress_status)"
			# shellcheck disable=SC2086 # words
			replace "$table" $options
			wait_for_stress 20
			expect_match "$(report_value stress_test_results 'Failure Reason')" 'the table was replaced'
			[[ $(report_value stress_test_results 'Failure Reason') != *mismatches* ]] ||
				fail 'the target is blamed'
			runs=$((runs + 1))
			replace "$first"
			expect_equal "$(checksum /dev/ram0)" "$before" "contents of the first disk after run $runs"
			expect_equal "$(checksum /dev/ram2)" "$other" "contents of the other disk after run $runs"
		done
	done

	# An error table, by which a forced removal replaces the table.
	stress_write stress_test_start '3 4 600000'
	sleep 0.2
	dmsetup remove --force stress 2>/dev/null || :
	wait_for_stress 20
	expect_match "$(report_value stress_test_results 'Failure Reason')" 'the table was replaced'
	expect_equal "$(checksum /dev/ram0)" "$before" 'contents after a removal by force'
}
