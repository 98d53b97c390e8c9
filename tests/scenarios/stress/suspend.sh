# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck source=tests/stress.sh
. "$tests/stress.sh"

DESCRIPTION='A suspended device keeps a test waiting, but nobody who would rather not wait.'

test() {
	local type pid
	make_stress_device
	for type in 1 4 5; do
		stress_write stress_test_start "$type 4 600000"
		sleep 0.3
		dmsetup suspend stress
		sleep 0.5
		stress_runs || fail "ended: $(stress_status)"
		# Who waits for the end can be killed; the test ends all the same.
		bash -c "echo 1 >$stress/stress_test_stop" 2>/dev/null &
		pid=$!
		sleep 0.5
		kill -0 $pid 2>/dev/null || [[ $type == 5 ]] || fail 'stop did not wait'
		kill $pid 2>/dev/null || :
		wait $pid || :
		dmsetup resume stress
		wait_for_stress 60
		expect_match "$(stress_status)" 'errors=0 result=STOPPED_EARLY$'
		expect_equal "$(message stress list)" end
	done
}
