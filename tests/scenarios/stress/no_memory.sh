# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck source=tests/stress.sh
. "$tests/stress.sh"

MACHINES=uml-debug
LONG_MACHINES=uml-smp
TIMEOUT=200
DESCRIPTION="with any one allocation failing at the start of a test, nothing is left behind and the next test runs"

faults=/sys/kernel/debug

requires() {
	[[ -e /proc/self/fail-nth && -e $faults/failslab && -e $faults/fail_page_alloc ]] || {
		echo 'the kernel has no fault injection'
		return 1
	}
}

# set_fault <attribute> <value>: sets an attribute of fault injection until the end. Allocations that may wait, and
# single pages, have to fail, too.
set_fault() {
	local file=$faults/$1
	# shellcheck disable=SC2016 # for later
	defer bash -c 'echo "$1" >"$2"' - "$(<"$file")" "$file"
	echo "$2" >"$file"
}

# start_without <n>: starts a test with the n-th allocation of the write failing. Prints "failed", or "enough" if
# there were fewer allocations.
start_without() (
	exec 3>$stress/stress_test_start
	echo "$1" >/proc/self/fail-nth
	echo '5 2 20' >&3 || :
	read -r left </proc/self/fail-nth || left=0
	echo 0 >/proc/self/fail-nth
	if ((left == 0)); then echo failed; else echo enough; fi
)

test() {
	local n before
	set_fault failslab/ignore-gfp-wait N
	set_fault fail_page_alloc/ignore-gfp-wait N
	set_fault fail_page_alloc/min-order 0
	make_stress_device
	run_stress 5 2 20
	before=$(report_value comprehensive_report 'Memory After')
	# Each of the first 60 allocations fails in turn; then some of the buffers, which are all alike. A small queue
	# depth keeps them few; the adjustment stays until a test starts.
	stress_write stress_test_adjust queue_depth=8
	for ((n = 1; n < 1000; n += n < 60 ? 1 : RANDOM % 20 + 1)); do
		[[ $(start_without $n 2>/dev/null) == failed ]] || break
		stress_write stress_test_stop 1
		expect_match "$(stress_status)" ^STOPPED
	done
	((n > 60 && n < 1000)) || fail "a start needs $n allocations, expected more than 60 and less than 1000"
	wait_for_stress 60
	run_stress 5 2 100
	expect_sound
	expect_equal "$(report_value comprehensive_report 'Memory Before')" "$before" 'memory after failures'
	expect_equal "$(message stress list)" end
}
