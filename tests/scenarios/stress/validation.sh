# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck source=tests/stress.sh
. "$tests/stress.sh"

TIMEOUT=200
MACHINES=uml
DESCRIPTION="the validation script makes every check within two minutes, its status agrees with its output, and it leaves nothing behind"

script=$tests/run_dm_remap_phase_3_2c_tests.sh

nothing_left() {
	expect_equal "$(losetup -a)" '' 'loop devices'
	expect_equal "$(dmsetup ls)" 'No devices found' 'mapped devices'
	expect_equal "$(find "$work" -name 'dm-remap.*')" '' files
}

test() {
	local status=0 began=$SECONDS
	# The script loads the module and unloads it again.
	unload_module
	"$script" --quick --tap --directory "$work" >"$work/tap" 2>&1 || status=$?
	((SECONDS - began < 120)) || fail "the script took $((SECONDS - began)) s"
	[[ ! -e $stress ]] || fail 'the module is left behind'
	nothing_left
	cat "$work/tap"
	expect_true_tap "$status" 44 "$work/tap"

	# An interrupted script cleans up; the module stays loaded if it was loaded before.
	load_module
	"$script" --quick --directory "$work" >"$work/out" 2>&1 &
	sleep 12
	kill -INT $! || fail "the script has ended: $(<"$work/out")"
	status=0
	wait $! || status=$?
	expect_equal "$status" 1 'status of an interrupted run'
	nothing_left
	[[ -e $stress ]] || fail 'the module is gone'
	expect_match "$(stress_status)" ^STOPPED

	# A script that cannot check anything does not succeed.
	status=0
	unload_module
	DM_REMAP_KO='' PATH=$work:$PATH "$script" --quick --directory /nonexistent >"$work/out" 2>&1 || status=$?
	expect_equal "$status" 2 'status without a directory for its files'
	status=0
	"$script" --fast >"$work/out" 2>&1 || status=$?
	expect_equal "$status" 2 'status of wrong usage'
	expect_match "$(<"$work/out")" '^usage: tests/run_dm_remap_phase_3_2c_tests.sh '
}
