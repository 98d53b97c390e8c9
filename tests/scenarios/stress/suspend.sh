# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck source=tests/stress.sh
. "$tests/stress.sh"

DESCRIPTION="a test waits for a suspended device, a process that stops it can be killed, and no stop is lost"
MACHINES="uml uml-smp"

test() {
	local type pid start i starts=no waits=no
	make_stress_device
	for type in 1 4 5; do
		stress_write stress_test_start "$type 4 600000"
		sleep 0.3
		dmsetup suspend stress
		sleep 0.5
		stress_runs || fail "the test has ended: $(stress_status)"
		# A process that waits for the stop can be killed; the test ends all the same.
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

	# A test that is starting waits until dirty pages of other users are written.
	exec 9<>/dev/mapper/stress
	dmsetup suspend stress
	head -c 4096 /dev/zero >&9
	stress_write stress_test_start '4 3 600000' 9>&- &
	start=$!
	for ((i = 0; i < 100; i++)); do
		if ! stress_write set_target stress 2>/dev/null; then
			starts=yes
			break
		fi
		sleep 0.1
	done
	stress_write stress_test_stop 1 9>&- &
	pid=$!
	sleep 0.5
	if kill -0 $pid; then waits=yes; fi
	# Resumes before any check: a failed check would leave processes that wait for the device.
	exec 9>&-
	dmsetup resume stress
	wait $start
	wait $pid
	expect_equal "$starts $waits" 'yes yes' 'a test was starting, and a stop waited for it'
	expect_match "$(stress_status)" ' type=4 workers=3 .* result=STOPPED_EARLY$'
}
