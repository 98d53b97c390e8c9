# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck source=tests/stress.sh
. "$tests/stress.sh"

DESCRIPTION="remapctl takes every name of a device, asks remap targets only, and shows the other devices when one is unusual"
MACHINES=uml

remapctl=$tests/../target/release/remapctl

# create <name> <first spare sector> [<option of dmsetup>...]: a remap device, made by dmsetup.
create() {
	local line="0 8192 remap /dev/ram0 /dev/ram1 $2 1024 3 main_start $((8 * $2)) volatile"
	dmsetup create "${@:3}" --table "$line" "$1"
	defer remove_by_dmsetup "$@"
}

remove_by_dmsetup() {
	if dmsetup info "${@:3}" "$1" >/dev/null 2>&1; then dmsetup remove "${@:3}" "$1"; fi
}

# kernel_name <name>: prints the name that the kernel has for a device.
kernel_name() {
	cat "/sys/dev/block/$(dmsetup info -c --noheadings --separator : -o major,minor "$1")/dm/name"
}

# expect_device <kernel's name> <user's name> [<name>...]: expects that each of the names, and the path, is that device.
expect_device() {
	local name
	expect_equal "$(kernel_name "$2")" "$1" "the kernel's name of $2"
	for name in "$1" "${@:2}" "/dev/mapper/$1"; do
		expect_status 0 remapctl status "$name"
		expect_match "$(sed -n 1p "$work/out")" "^${2//\\/\\\\} \([0-9]+:[0-9]+\): ok$" "status of $name"
		expect_status 0 remapctl list "$name"
		expect_equal "$(tail -n 1 "$work/out")" '1 remapped block' "list of $name"
		expect_status 0 remapctl stress target "$name"
	done
}

names_are_taken() {
	local name first
	for name in 'odd name' 'back\slash' 'größe'; do
		create "$name" $((1024 * n++))
		dmsetup message "$name" 0 remap 0 >/dev/null
	done
	expect_device 'odd\x20name' 'odd name'
	expect_device 'back\x5cslash' 'back\slash'
	expect_device 'gr\xc3\xb6\xc3\x9fe' 'größe'
	expect_status 0 remapctl status
	expect_equal "$(awk 'NR > 1 { print $1, $2, $3 }' "$work/out")" 'back\x5cslash /dev/ram0 /dev/ram1
gr\xc3\xb6\xc3\x9fe /dev/ram0 /dev/ram1
odd\x20name /dev/ram0 /dev/ram1' 'names in the table'
	expect_status 0 remapctl metrics
	grep -qx 'dm_remap_remapped_blocks{device="odd name",start="0"} 1' "$work/out"
	grep -qx 'dm_remap_remapped_blocks{device="back\\\\slash",start="0"} 1' "$work/out"
	expect_status 0 remapctl status --json
	python3 -S - "$work/out" <<'END'
import json, sys
shown = {device["device"]: device for device in json.load(open(sys.argv[1]))}
assert set(shown) == {"odd name", "back\\slash", "größe"}, shown
for place, (name, device) in enumerate(sorted(shown.items(), key=lambda item: item[1]["spare"]["start"])):
    assert device["main"] == {"path": "/dev/ram0", "number": "1:0", "start": 8192 * place}, device
    assert device["spare"] == {"path": "/dev/ram1", "number": "1:1", "start": 1024 * place, "length": 1024}, device
assert shown["odd name"]["kernel_name"] == "odd\\x20name", shown
END

	# One of several devices, by a name that the kernel does not have.
	first=0
	"$remapctl" stress run quick --duration 300ms --device 'odd name' >"$work/out" 2>"$work/err" || first=$?
	((first <= 1)) || fail "$(<"$work/err")"
	expect_match "$(sed -n 1p "$work/out")" ' on odd\\x20name, ' 'the device of a test'
	# With no device set, there are several to choose from.
	expect_status 0 remapctl stress target --none
	expect_status 3 remapctl stress run quick
}

# Two devices whose names differ only in the kernel.
names_are_never_ambiguous() {
	create 'odd name' $((1024 * n++)) --manglename none
	expect_status 3 remapctl status 'odd\x20name'
	expect_match "$(<"$work/err")" 'may be dm-[0-9]+ or dm-[0-9]+' 'a name of two devices'
	expect_status 0 remapctl status 'odd name'
	remove_by_dmsetup 'odd name' 0 --manglename none
	expect_status 0 remapctl status 'odd\x20name'
}

# The status of other targets may write metadata, so it is never asked for; that of remap devices is asked for
# without a flush.
others_are_not_asked() {
	local command tables status
	make_mapped other '0 8 linear /dev/ram0 0'
	make_mapped mixed '0 8 linear /dev/ram0 0' "8 8192 remap /dev/ram0 /dev/ram1 $((1024 * n++)) 1024 1 volatile"
	for command in status metrics 'watch --count 1' 'status mixed' 'list mixed'; do
		# shellcheck disable=SC2086 # words
		strace -f -e trace=ioctl -o "$work/trace" "$remapctl" $command >/dev/null
		# The requests, without their replies.
		grep DM_TABLE_STATUS "$work/trace" | sed 's/ => .*//' >"$work/calls"
		! grep -v DM_NOFLUSH_FLAG "$work/calls" || fail "$command may make targets flush"
		tables=$(grep DM_STATUS_TABLE_FLAG "$work/calls" | grep -o 'name="[^"]*"' | sort -u)
		status=$(grep -v DM_STATUS_TABLE_FLAG "$work/calls" | grep -o 'name="[^"]*"' | sort -u || true)
		case $command in
		status\ *) expect_equal "$tables $status" 'name="mixed" name="mixed"' "asked by $command" ;;
		list*) expect_equal "$tables $status" 'name="mixed" ' "asked by $command" ;;
		*) expect_equal "$tables" "$status"$'\nname="other"' "devices asked by $command" ;;
		esac
	done
}

odd_devices_hide_no_other() {
	local line
	# Devices without a table, with one that is not active, and suspended.
	dmsetup create empty --notable
	defer remove_mapped empty
	expect_status 0 remapctl status
	line="0 1024 remap /dev/ram0 /dev/ram1 $((1024 * n++)) 1024 2 main_start 40960"
	dmsetup create waiting --notable
	defer remove_mapped waiting
	dmsetup load waiting --table "$line"
	dmsetup suspend 'odd name'
	expect_status 1 remapctl status
	expect_match "$(<"$work/err")" '^remapctl: waiting: .* not active: dmsetup resume$' 'a device that waits'
	grep -qE '^waiting +/dev/ram0 +/dev/ram1 .* unknown +-$' "$work/out" || fail "$(<"$work/out")"
	grep -qE '^odd\\x20name .* ok +none$' "$work/out" || fail "$(<"$work/out")"
	expect_status 0 remapctl status 'odd name'
	expect_match "$(sed -n 1p "$work/out")" ': ok, suspended$' 'a suspended device'
	expect_status 1 remapctl metrics
	grep -qx 'dm_remap_status_known{device="waiting",start="0"} 0' "$work/out"
	grep -qx 'dm_remap_remapped_blocks{device="odd name",start="0"} 1' "$work/out"
	expect_status 1 remapctl watch --count 1
	expect_match "$(<"$work/out")" '; odd\\x20name ok 1/.*; waiting unknown' watch
	dmsetup resume 'odd name'
	dmsetup clear waiting
	expect_status 0 remapctl status
}

# Before any test, there is no report.
no_report_yet() {
	local form
	for form in '' --json --html --svg; do
		# shellcheck disable=SC2086 # none or one
		expect_status 1 remapctl stress report $form
		expect_equal "$(cat "$work/out" "$work/err")" 'remapctl: no test has run since the module was loaded'
		# shellcheck disable=SC2086
		expect_status 1 remapctl stress report $form -o "$work/report"
		[[ ! -e $work/report ]] || fail "a report was written before any test, $form"
	done
}

test() {
	local n=0
	[[ -x $remapctl ]] || fail "there is no target/release/remapctl: make tools"
	make_brd 2 49152
	defer stop_stress
	no_report_yet
	names_are_taken
	names_are_never_ambiguous
	others_are_not_asked
	odd_devices_hide_no_other
}
