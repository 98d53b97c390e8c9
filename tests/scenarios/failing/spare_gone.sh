# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="a spare without blocks that is powered off is noticed within 31 s, with an event, and no file system, write, flush or FUA write sees it"
LONG_MACHINES=uml-smp
TIMEOUT=120

requires() {
	need_xfs
}

# use <name> <turn>: writes files, and writes to the device that has no file system.
use() {
	local kind
	for kind in ext4 xfs; do
		python3 -S "$tests/file_tree.py" write "$work/$kind" "$work/tree.$kind" "$((SEED + $1))" "$(scaled 60)" empty
		python3 -S "$tests/file_tree.py" check "$work/$kind" "$work/tree.$kind"
	done
	expect_equal "$(block_io write /dev/mapper/plain 80 80 "$1")" ok "a write, turn $1"
	expect_equal "$(block_io durable /dev/mapper/plain 800 80 "$1")" ok "a FUA write, turn $1"
	expect_equal "$(block_io flush /dev/mapper/plain)" ok "a flush, turn $1"
	expect_equal "$(block_io zero /dev/mapper/plain 1600 8)" ok "write-zeroes, turn $1"
	block_io check /dev/mapper/plain "$1" 80 80
	block_io check /dev/mapper/plain "$1" 800 80
}

test() {
	local kind began name
	local -A seen
	make_null_blk disk 360 cache_size=1 fua=1
	make_null_blk spare 4 cache_size=1 fua=1
	make_mapped ext4_main "0 65536 linear $disk 0"
	make_mapped xfs_main "0 655360 linear $disk 65536"
	make_mapped plain_main "0 4096 linear $disk 720896"
	make_remap ext4 65536 /dev/mapper/ext4_main "$spare" 0 1600
	make_remap xfs 655360 /dev/mapper/xfs_main "$spare" 1600 1600
	make_remap plain 4096 /dev/mapper/plain_main "$spare" 3200 1600
	mkfs.ext4 -q /dev/mapper/ext4 >/dev/null
	mkfs.xfs -q -K /dev/mapper/xfs >/dev/null
	for kind in ext4 xfs; do
		mkdir -p "$work/$kind"
		mount -t $kind /dev/mapper/$kind "$work/$kind"
		defer leave_mount "$work/$kind"
	done
	use 1
	for name in ext4 xfs plain; do
		expect_state $name "0 0 0 0 ok" "before"
		seen[$name]=$(last_event $name)
	done
	null_blk_set spare power=0
	began=$SECONDS
	use 2
	for name in ext4 xfs plain; do
		wait_until $((began + 31 - SECONDS)) is_health $name spare_failing
		next_event $name "${seen[$name]}" 1 >/dev/null || fail "no event of $name"
	done
	use 3
	for name in ext4 xfs plain; do
		expect_state $name "0 0 0 0 spare_failing" "after"
		expect_equal "$(counter $name auto_remaps) $(counter $name read_errors) $(counter $name write_errors)" "0 0 0" \
			"automatic remaps and errors of $name"
	done
	umount "$work/ext4"
	umount "$work/xfs"
	e2fsck -fn /dev/mapper/ext4 >"$work/check" 2>&1 || fail "e2fsck: $(<"$work/check")"
	xfs_repair -n /dev/mapper/xfs >"$work/check" 2>&1 || fail "xfs_repair: $(<"$work/check")"
	if dmesg | grep -E '(EXT4-fs|XFS|Buffer I/O).*([Ee]rror|remount)'; then fail "a file system has seen an error"; fi
}
