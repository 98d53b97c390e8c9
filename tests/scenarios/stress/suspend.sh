# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck source=tests/stress.sh
. "$tests/stress.sh"

DESCRIPTION='A suspended device keeps a test waiting, but nobody who would rather not wait; a stop is never lost.'

test() {
	local type pid start
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

	# A test that is only starting: it waits for what others have left to be written.
	exec 9<>/dev/mapper/stress
	dmsetup suspend stress
	head -c 4096 /dev/zero >&9
	stress_write stress_test_start '4 4 600000' &
	start=$!
	sleep 0.5
	expect_match "$(stress_status)" 'result=STOPPED_EARLY$'
	expect_errno EBUSY stress_write stress_test_start '4 4 600000'
	stress_write stress_test_stop 1 &
	pid=$!
	sleep 0.5
	kill -0 $pid || fail 'stop did not wait for a test that was starting'
	dmsetup resume stress
	wait $start
	exec 9>&-
	wait $pid
	expect_match "$(stress_status)" 'result=STOPPED_EARLY$'
}
