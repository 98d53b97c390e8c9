# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="dm-remap is inserted under a mounted file system on another mapped device, and relocates bad sectors from then on"
LONG_MACHINES="uml-smp debian"
TIMEOUT=90

requires() { need_target flakey; }

test() {
	make_null_blk disk 24
	make_null_blk spare 8
	make_mapped main "0 49152 linear $disk 0"
	make_mapped data "0 49152 linear /dev/mapper/main 0"
	mkfs.ext4 -q /dev/mapper/data >/dev/null
	mkdir "$work/mounted"
	mount -t ext4 /dev/mapper/data "$work/mounted"
	defer leave_mount "$work/mounted"
	python3 -S "$tests/file_tree.py" write "$work/mounted" "$work/tree" "$SEED" 60
	make_remap r0 49152 /dev/mapper/main "$spare" 0 16384
	# From now on `data` holds r0, so at the end it is replaced first.
	defer ask replace data "0 49152 error"
	dmsetup load data --table "0 49152 linear /dev/mapper/r0 0"
	dmsetup suspend data
	dmsetup resume data
	python3 -S "$tests/file_tree.py" check "$work/mounted" "$work/tree"
	local n ranges=()
	for ((n = 0; n < 50; n++)); do ranges+=("$((n * 960 + 7))-$((n * 960 + 9)):writes"); done
	set_segments main "$disk" "${ranges[@]}"
	python3 -S "$tests/file_tree.py" write "$work/mounted" "$work/tree" "$((SEED + 1))" 60 empty
	fill_up "$work/mounted"
	python3 -S "$tests/file_tree.py" check "$work/mounted" "$work/tree"
	umount "$work/mounted"
	e2fsck -fn /dev/mapper/data >"$work/check" 2>&1 || fail "e2fsck: $(<"$work/check")"
	(($(counter r0 auto_remaps) >= 50)) || fail "$(counter r0 auto_remaps) blocks were relocated"
	expect_match "$(state r0)" ' 0 0 0 ok$' state
}
