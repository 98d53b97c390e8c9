# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# Functions for scenarios of the stress manager, used with devices.sh.

stress=/sys/kernel/dm_remap_stress_test
# shellcheck disable=SC2034 # for the scenarios
debug_stress=/sys/kernel/debug/dm_remap/stress

# stress_write <file> <text>: writes to a file of the stress manager.
stress_write() {
	printf '%s\n' "$2" >"$stress/$1"
}

stress_status() {
	cat "$stress/stress_test_status"
}

# stress_value <key>: prints a value of the status line.
stress_value() {
	local word
	for word in $(stress_status); do
		[[ $word != "$1="* ]] || {
			echo "${word#*=}"
			return
		}
	done
	fail "no $1 in: $(stress_status)"
}

# report_value <file> <key>: prints the value in the first line with the key in a report.
report_value() {
	sed -n "s|^ *$2: *||p" "$stress/$1" | sed -n 1p
}

stress_runs() {
	[[ $(stress_status) == RUNNING* ]]
}

# Waits until no test runs, $1 seconds at most.
wait_for_stress() {
	local i
	for ((i = 0; i < $1 * 10; i++)); do
		stress_runs || return 0
		sleep 0.1
	done
	fail "the test still runs after $1 s: $(stress_status)"
}

stop_stress() {
	[[ ! -e $stress ]] || stress_write stress_test_stop 1
}

# run_stress <type> <workers> <ms>: runs a test and waits for its end.
run_stress() {
	stress_write stress_test_start "$1 $2 $3"
	wait_for_stress $(($3 / 1000 + 60))
}

# expect_refused <errno> <file> <text> [<word of the log>...]: expects that the write fails, with the reason in
# one line of the log that names the file, and changes nothing.
expect_refused() {
	local before after
	before=$(stress_status)
	log_mark
	expect_errno "$1" stress_write "$2" "$3"
	expect_log "$2: " "${@:4}"
	after=$(stress_status)
	if [[ $before == STOPPED* ]]; then
		expect_equal "$after" "$before" 'status after a refusal'
	else
		expect_match "$after" '^RUNNING ' 'status after a refusal'
	fi
}

# Expects that the last test passed, but for targets of speed, which mean nothing in these guests.
expect_sound() {
	local reason rest
	rest=$(report_value stress_test_results 'Failure Reason')
	while [[ -n $rest ]]; do
		reason=${rest%%; *}
		rest=${rest#"$reason"}
		rest=${rest#; }
		[[ $reason =~ ^(None|(Average|99\.9\ %)\ added\ latency|Latency\ variance|Throughput|Peak\ in\ flight) ]] ||
			fail "the test failed: $reason"
	done
	expect_equal "$(report_value stress_test_results 'Total Errors')" 0 errors
	expect_equal "$(report_value stress_test_results Mismatches)" 0 mismatches
	(($(report_value stress_test_results 'Blocks Verified') > 0)) || fail 'no block was verified'
	(($(report_value stress_test_results 'Total Operations') > 0)) || fail 'no operation was done'
}

# Prints the number of threads of the stress manager.
stress_threads() {
	cat /proc/[0-9]*/comm 2>/dev/null | awk '/^dm_remap_stress/ { n++ } END { print n + 0 }'
}

# Makes the remap device "stress" over a RAM disk with 32 MiB of noise.
make_stress_device() {
	make_brd 2 49152
	head -c 32M /dev/urandom >/dev/ram0
	make_remap stress 65536 /dev/ram0 /dev/ram1 0 65536 volatile
	defer stop_stress
}

checksum() {
	sha256sum <"$1"
}

# expect_true_tap <status> <checks> <file>: expects that the TAP of the validation script agrees with its status,
# has at least that many checks, and reports only failures of speed, which mean nothing in these guests.
expect_true_tap() {
	local ok not_ok reason reasons
	expect_equal "$(head -n 1 "$3")" 'TAP version 13'
	ok=$(grep -c '^ok ' "$3" || :) not_ok=$(grep -c '^not ok ' "$3" || :)
	expect_equal "$(tail -n 1 "$3")" "1..$((ok + not_ok))"
	((ok + not_ok >= $2 && ok >= 30)) || fail "only $ok of $((ok + not_ok)) checks passed"
	expect_equal "$1" "$((not_ok > 0))" 'exit status'
	reasons=$(grep -A 1 '^not ok' "$3" | sed -n 's/^# //p' | sed 's/; /\n/g')
	[[ -n $reasons ]] || return 0
	while IFS= read -r reason; do
		[[ $reason =~ ^((Average|99\.9\ %)\ added\ latency|Latency\ variance|Throughput|Peak\ in\ flight|Remap\ entries|added\ latency\ changed|throughput\ changed|not\ compared\ with\ the\ baseline:\ the\ throughput|the\ baseline\ cannot|no\ test\ could\ judge) ]] ||
			fail "a check failed: $reason"
	done <<<"$reasons"
}
