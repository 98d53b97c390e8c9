# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="rmmod is refused with a live or a loaded table, and leaves nothing behind otherwise"
MACHINES="uml uml-debug debian"
LONG_MACHINES=uml-smp

# expect_refused <condition>: expects that rmmod fails because the module is in use.
expect_refused() {
	if rmmod dm_remap 2>"$work/rmmod"; then
		fail "the module was removed with $1"
	fi
	expect_match "$(cat "$work/rmmod")" 'in use' "output of rmmod with $1"
}

test() {
	make_null_blk main 2
	make_null_blk spare 1
	make_remap r0 4096 "$main" "$spare" 0 1024
	expect_refused "a live table"
	dmsetup suspend r0
	expect_refused "a suspended device"
	dmsetup resume r0
	remove_mapped r0

	dmsetup create --notable r1
	defer remove_mapped r1
	load_remap r1 4096 "$main" "$spare" 0 1024
	expect_refused "a loaded table"
	dmsetup clear r1
	remove_mapped r1

	rmmod dm_remap
	[[ ! -e /sys/module/dm_remap && ! -e /sys/kernel/dm_remap_stress_test && ! -e /sys/kernel/debug/dm_remap ]] ||
		fail "rmmod left something in sysfs or debugfs"
	expect_errno EINVAL make_remap r0 4096 "$main" "$spare" 0 1024
	insmod "$DM_REMAP_KO"
	make_remap r0 4096 "$main" "$spare" 0 1024
	expect_reply pong r0 ping
}
