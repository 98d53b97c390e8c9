# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck source=tests/stress.sh
. "$tests/stress.sh"

TIMEOUT=150
DESCRIPTION="a remap-heavy test moves blocks under load, and ends with the remaps that it found"
MACHINES="uml uml-smp"

test() {
	local before contents
	make_stress_device
	for sector in 0 8 4096 65528; do message stress remap $sector >/dev/null; done
	message stress remap 20000 400 >/dev/null
	before=$(message stress list)
	contents=$(checksum /dev/mapper/stress)
	run_stress 5 4 3000
	expect_sound
	expect_equal "$(message stress list)" "$before" 'remaps after the test'
	(($(counter stress manual_remaps) > 60)) || fail 'hardly any block was remapped'
	(($(counter stress unremaps) > 0)) || fail 'no block was unremapped'
	(($(counter stress remapped_writes) > 0)) || fail 'no write met a remapped block'

	stress_write stress_test_start '5 4 600000'
	sleep 1
	stress_write stress_test_stop 1
	expect_equal "$(message stress list)" "$before" 'remaps after a stop'
	expect_equal "$(checksum /dev/mapper/stress)" "$contents" contents

	# Without a free spare block, the I/O still runs.
	remove_mapped stress
	make_remap stress 65536 /dev/ram0 /dev/ram1 0 80 volatile
	message stress remap 0 32 >/dev/null || :
	while message stress remap $((RANDOM % 8000 * 8)) >/dev/null 2>&1; do :; done
	before=$(message stress list)
	run_stress 5 2 500
	expect_equal "$(message stress list)" "$before" 'remaps with a full spare'
}
