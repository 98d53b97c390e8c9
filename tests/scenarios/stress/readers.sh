# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck source=tests/stress.sh
. "$tests/stress.sh"

TIMEOUT=150
DESCRIPTION="reports can be read at any time, also while tests start, run and stop"
LONG_MACHINES=uml-smp

# read_repeatedly <report> <pattern of its start>: reads and checks a report until $work/enough exists.
read_repeatedly() {
	local file=$1 first=$2 text
	while [[ ! -e $work/enough ]]; do
		text=$(cat "$stress/$file"; echo .)
		((${#text} <= 4097)) || fail "$file has ${#text} bytes"
		[[ $text == $first* ]] || fail "$file starts with ${text:0:40}"
		[[ $text == *$'\n.' ]] || fail "$file is cut"
	done
}

test() {
	local i
	make_stress_device
	read_repeatedly stress_test_status '[RS][UT][NO]' &
	read_repeatedly stress_test_results '=== Phase 3.2C Stress Test Results ===' &
	read_repeatedly comprehensive_report '=== Phase 3.2C Comprehensive Performance Report ===' &
	while [[ ! -e $work/enough ]]; do cat /sys/module/dm_remap/optimization/* >/dev/null; done &
	for ((i = 0; i < $(scaled 20); i++)); do
		stress_write stress_test_start "$((i % 6)) 4 $((RANDOM % 300 + 1))"
		sleep 0.1
		((i % 2)) || stress_write stress_test_stop 1
		wait_for_stress 60
	done
	: >"$work/enough"
	wait
	[[ ! -e $work/failed ]] || fail 'a reader failed'
}
