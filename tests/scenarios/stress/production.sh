# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck source=tests/stress.sh
. "$tests/stress.sh"

MACHINES=uml
TIMEOUT=200
DESCRIPTION="the production workloads submit the documented mix of I/O to the device"

requires() {
	dmsetup targets | grep -q '^log-writes' || modprobe dm-log-writes 2>/dev/null || {
		echo 'the kernel has no dm-log-writes'
		return 1
	}
}

# run_production <type> <seconds> [<bios a second>]: runs a workload for so many seconds of its minute.
run_production() {
	stress_write stress_test_adjust "rate_iops=${3:-4000}"
	stress_write production_workload "$1 1 1"
	sleep "$2"
	stress_write stress_test_stop 1
	expect_equal "$(report_value stress_test_results Mismatches)" 0
	expect_equal "$(report_value stress_test_results 'Total Errors')" 0
}

test() {
	local type before reads writes
	# RAM disks for main, of which 64 MiB of noise and zeros are used, the spare, and the log.
	make_brd 3 614400
	head -c 32M /dev/urandom >/dev/ram0
	before=$(head -c 64M /dev/ram0 | sha256sum)
	for type in 0 1 2 3; do
		make_mapped logged '0 131072 log-writes /dev/ram0 /dev/ram2'
		make_remap stress 131072 /dev/mapper/logged /dev/ram1 0 16384 volatile
		defer stop_stress
		# One of the virtual machines writes little: enough writes of it need a higher rate.
		run_production $type 4 $((type == 2 ? 12000 : 4000))
		writes=$(disk_stat /dev/mapper/logged 5)
		# Each write of the test reads the old data first, and some blocks are read again to verify them.
		reads=$(($(disk_stat /dev/mapper/logged 1) - writes - $(report_value stress_test_results 'Blocks Verified')))
		remove_mapped stress
		remove_mapped logged
		expect_equal "$(head -c 64M /dev/ram0 | sha256sum)" "$before" 'contents of the device'
		python3 -S "$tests/production_mix.py" /dev/ram2 131072 $type "$reads" "$writes"
	done

	# The file server uses write-zeroes if the device supports it.
	make_remap stress 131072 /dev/ram0 /dev/ram1 0 16384 volatile
	run_production 1 3
	if (($(<"$(sysfs_of /dev/mapper/stress)/queue/write_zeroes_max_bytes") > 0)); then
		python3 -c 'import json, sys; assert json.load(open(sys.argv[1]))["zeroed"] > 0' \
			"$debug_stress/results.json"
	fi
	expect_equal "$(head -c 64M /dev/ram0 | sha256sum)" "$before" 'contents of the device'
	remove_mapped stress

	# A loop device over tmpfs, which finds only at the first request that it does not support write-zeroes.
	make_loop disk 64M
	# shellcheck disable=SC2154 # make_loop sets it
	make_remap stress 131072 "$disk" /dev/ram1 0 16384 volatile
	run_production 1 2
}
