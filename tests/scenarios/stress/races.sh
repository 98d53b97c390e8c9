# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck source=tests/stress.sh
. "$tests/stress.sh"

TIMEOUT=200
MACHINES="uml uml-smp debian"
DESCRIPTION="writers of every attribute, readers, and creation and removal of devices and of the module run concurrently without harm"

test() {
	make_brd 2 49152
	head -c 32M /dev/urandom >/dev/ram0
	local before jobs
	before=$(checksum /dev/ram0)
	unload_module
	# Makes and removes the device once, so that tidy_up removes a device that stress_races.py leaves.
	make_mapped stress '0 65536 linear /dev/ram0 0'
	remove_mapped stress
	python3 -S "$tests/stress_races.py" "$SEED" "$(scaled 20)" /dev/ram0 /dev/ram1
	jobs=$(stress_threads)
	expect_equal "$jobs" 0 threads
	[[ ! -e $stress ]] || fail 'the module is still loaded'
	expect_equal "$(checksum /dev/ram0)" "$before" contents
	load_module
	make_remap stress 65536 /dev/ram0 /dev/ram1 0 65536 volatile
	defer stop_stress
	run_stress 5 2 500
	expect_sound
	expect_equal "$(report_value comprehensive_report 'Memory After')" \
		"$(report_value comprehensive_report 'Memory Before')"
}
