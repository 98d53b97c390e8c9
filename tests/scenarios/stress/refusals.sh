# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck source=tests/stress.sh
. "$tests/stress.sh"

DESCRIPTION='Bad input gets an errno and one line in the log that names it, and starts nothing.'

test() {
	local text
	expect_refused ENODEV stress_test_start '4 1 1000' 'no remap device'
	make_stress_device
	while IFS='|' read -r text words; do
		expect_refused EINVAL stress_test_start "$text" "$words"
	done <<'END'
|test_type: missing
4|num_workers: missing
4 1|duration_ms: missing
4 1 1000 1|end of line: more
6 1 1000|test_type: not within 0 to 5
4 0 1000|num_workers: not within 1 to 32
4 33 1000|num_workers: not within 1 to 32
4 1 0|duration_ms: not within 1 to 86400000
4 1 86400001|duration_ms: not within 1 to 86400000
-1 1 1000|test_type: not an unsigned
4 +1 1000|num_workers: not an unsigned
4 1 1e3|duration_ms: not an unsigned
4 1 0x10|duration_ms: not an unsigned
4 1 99999999999999999999|duration_ms: number too large
4,1,1000|test_type: not an unsigned
END
	expect_refused EINVAL stress_test_stop 0 'value: not 1'
	expect_refused EINVAL stress_test_stop '' 'value: missing'
	expect_refused EINVAL stress_test_stop '1 1' 'end of line: more'
	expect_refused EINVAL quick_validation 2 'value: not 1'
	expect_refused EINVAL quick_validation '1 0' 'duration_ms: not within'
	expect_refused EINVAL quick_validation '1 1 1' 'end of line: more'
	expect_refused EINVAL set_target '' 'device: missing'
	expect_refused EINVAL set_target "$(printf 'a%.0s' {1..128})" 'device: longer than'
	expect_refused ENODEV set_target nothing 'no such remap device'
	expect_refused ENODEV set_target 4095:7 'no such remap device'
	expect_equal "$(stress_status)" STOPPED
	expect_equal "$(stress_threads)" 0 threads
}
