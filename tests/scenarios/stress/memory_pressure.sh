# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck source=tests/stress.sh
. "$tests/stress.sh"

TIMEOUT=150
DESCRIPTION="a test under memory pressure holds the requested memory, makes the kernel reclaim, and frees all of it"
MACHINES="uml uml-debug"
LONG_MACHINES=uml-smp

# meminfo <field>: prints the field, in MiB.
meminfo() {
	awk -v name="$1:" '$1 == name { print int($2 / 1024) }' /proc/meminfo
}

# Prints the number of pages that the kernel has reclaimed so far.
reclaimed() {
	awk '/^pgsteal_(kswapd|direct) / { sum += $2 } END { print sum + 0 }' /proc/vmstat
}

test() {
	local before size free available cached pressure steals
	make_stress_device
	before=$(checksum /dev/mapper/stress)
	# Memory to reclaim: the page cache of a sparse file.
	size=$(($(meminfo MemTotal) / 5))
	make_loop disk $((size + 64))M
	# shellcheck disable=SC2154 # make_loop sets it
	mkfs.ext4 -q "$disk"
	mkdir -p "$work/mnt"
	mount -t ext4 "$disk" "$work/mnt"
	defer umount "$work/mnt"
	truncate -s ${size}M "$work/mnt/file"
	cat "$work/mnt/file" >/dev/null
	cached=$(meminfo Cached)
	((cached > size - 10)) || fail "only $cached MiB in the cache"

	free=$(meminfo MemFree)
	# Less than the available memory, and more than is free.
	available=$(meminfo MemAvailable)
	pressure=$((available - $(meminfo MemTotal) / 16 - 32))
	((pressure > free)) || fail "$free MiB are free, but only $pressure MiB can be requested"
	steals=$(reclaimed)
	stress_write memory_pressure_test "$pressure 600000"
	expect_match "$(stress_status)" '^RUNNING .* type=4 workers=8 '
	sleep 2
	(($(meminfo MemAvailable) < available - pressure * 9 / 10)) ||
		fail "$(meminfo MemAvailable) of $available MiB are available while $pressure are held"
	stress_write stress_test_stop 1
	(($(stress_value ops) > 0)) || fail 'no operation was done'
	expect_equal "$(report_value stress_test_results 'Total Errors')" 0 errors
	expect_equal "$(report_value stress_test_results Mismatches)" 0 mismatches
	expect_equal "$(checksum /dev/mapper/stress)" "$before" contents
	expect_equal "$(report_value comprehensive_report 'Memory Pressure')" "$pressure MiB held"
	(($(reclaimed) > steals)) || fail 'the kernel did not have to reclaim'
	expect_equal "$(report_value comprehensive_report 'Memory After')" \
		"$(report_value comprehensive_report 'Memory Before')"
	(($(meminfo MemFree) > free - 32)) || fail 'the memory was not freed'

	# All memory of the machine, and far more.
	for pressure in $(($(meminfo MemTotal))) 1073741824; do
		expect_refused ENOMEM memory_pressure_test "$pressure 1000" 'pressure_mb: the machine can spare'
	done
	run_stress 4 2 200
	expect_sound
}
