# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# Swap on a failing disk, for scenarios; used with devices.sh.
# shellcheck disable=SC2154 # variables of the scenario, and those that make_null_blk sets

# Blocks of the disk, and those of them that are bad.
swap_blocks=24576 swap_bad=246

available_mib() { awk '$1 == "MemAvailable:" { print int($2 / 1024) }' /proc/meminfo; }

# fill_with_zeros <device>: allocates all memory of a RAM disk, so that its writes need none.
fill_with_zeros() { blkdiscard -z "$1"; }

leave_swap() {
	if grep -q "^$1 " /proc/swaps; then swapoff "$1"; fi
}

# swap_runs <n>: makes a device, fills the memory but for 150 MiB, and swaps n times.
swap_runs() {
	local turn device
	make_null_blk main $((swap_blocks / 256))
	make_null_blk spare 8
	fill_with_zeros "$main"
	fill_with_zeros "$spare"
	make_remap r0 $((swap_blocks * 8)) "$main" "$spare" 0 16384 format
	device=$(readlink -f /dev/mapper/r0)
	defer leave_swap "$device"
	make_null_blk balloon $(($(available_mib) - 150))
	fill_with_zeros "$balloon"
	for ((turn = 0; turn < $1; turn++)); do
		python3 -S "$tests/swap.py" mend "$SEED" $turn $swap_blocks $swap_bad
		# Before anything is bad: it reads in many places, and what it cannot read becomes pending.
		mkswap "$device" >"$work/output" 2>&1
		python3 -S "$tests/swap.py" spoil "$SEED" $turn $swap_blocks $swap_bad
		swapon "$device"
		timeout -s KILL 60 python3 -S "$tests/swap.py" hog $((SEED + turn)) $(($(available_mib) + 64)) ||
			fail "run $turn: the process that swaps ended with status $?"
		swapoff "$device"
		python3 -S "$tests/swap.py" check
	done
	if dmesg | grep -iE '(read|write)-error on swap|oom-kill|blocked for more than'; then fail "swap has failed"; fi
}
