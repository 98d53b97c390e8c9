# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="I/O of a control group through a target is accounted to the group on the device that it reached"
MACHINES=debian

# accounted <device>: prints the I/O of the group to a device: <bytes read> <bytes written>.
accounted() {
	local number
	number=$(cat "$(sysfs_of "$1")/dev")
	sed -n "s/^$number rbytes=\([0-9]*\) wbytes=\([0-9]*\) .*/\1 \2/p" "$group/io.stat"
}

# in_group <command>...: runs a command in the group.
in_group() {
	(
		echo "$BASHPID" >"$group/cgroup.procs"
		exec "$@"
	)
}

leave_group() {
	rmdir "$group"
	umount "$groups"
	rmdir "$groups"
}

test() {
	groups=$(mktemp -d) || fail "no directory for groups"
	group=$groups/writer
	mount -t cgroup2 none "$groups"
	defer leave_group
	echo +io >"$groups/cgroup.subtree_control"
	mkdir "$group"
	make_null_blk main 4
	make_null_blk spare 4
	make_remap r0 8192 "$main" "$spare" 0 2048
	message r0 remap 512 128 >/dev/null
	# Writes 256 KiB, of which the last 64 KiB are remapped, and reads half of the remapped part.
	in_group dd if=/dev/zero of=/dev/mapper/r0 bs=64K seek=1 count=4 oflag=direct status=none
	in_group dd if=/dev/mapper/r0 of=/dev/null bs=32K skip=8 count=1 iflag=direct status=none
	expect_equal "$(accounted "$main")" "0 196608" "main"
	expect_equal "$(accounted "$spare")" "32768 65536" "spare"
}
