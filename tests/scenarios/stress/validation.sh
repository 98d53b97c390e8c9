# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck source=tests/stress.sh
. "$tests/stress.sh"

TIMEOUT=200
MACHINES=uml
DESCRIPTION='The validation script makes every check in two minutes, tells the truth, and leaves nothing behind.'

script=$tests/run_dm_remap_phase_3_2c_tests.sh

nothing_left() {
	expect_equal "$(losetup -a)" '' 'loop devices'
	expect_equal "$(dmsetup ls)" 'No devices found' 'mapped devices'
	expect_equal "$(find "$work" -name 'dm-remap.*')" '' files
}

# Speed says nothing here, so what a busy host may do to it is not held against the script.
excused() {
	local reason
	local reasons
	reasons=$(grep -A 1 '^not ok' "$work/tap" | sed -n 's/^# //p' | sed 's/; /\n/g')
	[[ -n $reasons ]] || return 0
	while IFS= read -r reason; do
		[[ $reason =~ ^((Average|99\.9\ %)\ added\ latency|Latency\ variance|Throughput|Peak\ in\ flight|added\ latency\ changed|throughput\ changed|not\ compared\ with\ the\ baseline:\ the\ throughput|the\ baseline\ cannot|no\ test\ could\ judge) ]] ||
			fail "a check failed: $reason"
	done <<<"$reasons"
}

test() {
	local status=0 began=$SECONDS ok not_ok
	# It loads the module itself, and takes it away again.
	unload_module
	"$script" --quick --tap --directory "$work" >"$work/tap" 2>&1 || status=$?
	((SECONDS - began < 120)) || fail "it took $((SECONDS - began)) s"
	[[ ! -e $stress ]] || fail 'the module is left behind'
	nothing_left
	cat "$work/tap"
	expect_equal "$(head -n 1 "$work/tap")" 'TAP version 13'
	ok=$(grep -c '^ok ' "$work/tap" || :) not_ok=$(grep -c '^not ok ' "$work/tap" || :)
	expect_equal "$(tail -n 1 "$work/tap")" "1..$((ok + not_ok))"
	((ok + not_ok >= 44 && ok >= 30)) || fail "only $ok of $((ok + not_ok)) checks passed"
	expect_equal "$status" "$((not_ok > 0))" 'exit status'
	excused

	# Interrupted at any time it cleans up; the module stays where it was before.
	load_module
	"$script" --quick --directory "$work" >"$work/out" 2>&1 &
	sleep 12
	kill -INT $! || fail "it has ended: $(<"$work/out")"
	status=0
	wait $! || status=$?
	expect_equal "$status" 1 'status of an interrupted run'
	nothing_left
	[[ -e $stress ]] || fail 'the module is gone'
	expect_match "$(stress_status)" ^STOPPED

	# What cannot be checked is no success.
	status=0
	unload_module
	DM_REMAP_KO='' PATH=$work:$PATH "$script" --quick --directory /nonexistent >"$work/out" 2>&1 || status=$?
	expect_equal "$status" 2 'status without a place for its files'
	expect_equal "$("$script" --fast 2>&1 | head -n 1)" \
		'usage: tests/run_dm_remap_phase_3_2c_tests.sh [--quick] [--tap] [--directory DIR]'
}
