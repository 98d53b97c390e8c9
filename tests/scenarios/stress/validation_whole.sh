# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck source=tests/stress.sh
. "$tests/stress.sh"

TIMEOUT=1800
LONG=1
MACHINES=uml
DESCRIPTION="the validation script makes every check with the durations of the specification"

test() {
	local status=0 began=$SECONDS
	"$tests/run_dm_remap_phase_3_2c_tests.sh" --tap --directory "$work" >"$work/tap" 2>&1 || status=$?
	cat "$work/tap"
	((SECONDS - began > 900)) || fail "the script took only $((SECONDS - began)) s"
	expect_true_tap "$status" 44 "$work/tap"
}
