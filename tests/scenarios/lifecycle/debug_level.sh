# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="debug_level takes 0, 1 and 2, at insmod and in sysfs, and selects the messages that are logged"
LONG_MACHINES="uml-smp debian"

level=/sys/module/dm_remap/parameters/debug_level

set_level() {
	echo "$1" >"$level"
}

test() {
	expect_equal "$(cat $level)" 1 "the default"
	expect_equal "$(stat -c %a $level)" 644 "the mode"
	local value
	for value in 3 -1 x ''; do
		expect_errno EINVAL set_level "$value"
		expect_equal "$(cat $level)" 1 "debug_level after '$value'"
	done
	make_null_blk main 2
	make_null_blk spare 1
	log_mark
	make_remap r0 4096 "$main" "$spare" 0 1024
	message r0 remap 8
	local lines
	lines=$(log_lines)
	expect_match "$lines" '4096 sectors in blocks of 8' "log at level 1"
	[[ $lines != *'spare sector'* ]] || fail "a relocation is logged at level 1: $lines"
	set_level 2
	log_mark
	message r0 remap 16
	expect_log 'sector 16 moved to spare sector 40'
	log_mark
	message r0 unremap 16
	expect_log 'sector 16 moved back from spare sector 40'
	set_level 0
	log_mark
	remove_mapped r0
	make_remap r0 4096 "$main" "$spare" 0 1024
	message r0 remap 24
	expect_equal "$(log_lines)" "" "log at level 0"
	log_mark
	expect_errno EEXIST message r0 remap 24
	expect_log 'sector 24' 'remapped already'
	remove_mapped r0

	rmmod dm_remap
	if insmod "$DM_REMAP_KO" debug_level=3 2>"$work/insmod"; then
		fail "the module was loaded with debug_level=3"
	fi
	expect_match "$(cat "$work/insmod")" 'Invalid parameters' "output of insmod"
	[[ ! -e /sys/module/dm_remap ]] || fail "the refused module is loaded"
	insmod "$DM_REMAP_KO" debug_level=2
	expect_equal "$(cat $level)" 2 "debug_level from insmod"
}
