# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="a spare area with the label of a file system, a RAID, a volume manager, encryption or partitions is refused without a write, wherever the label is"

requires() {
	local tool
	for tool in mke2fs mkfs.minix mkswap sfdisk blkid wipefs; do
		command -v $tool >/dev/null || {
			echo "no $tool"
			return 1
		}
	done
}

sectors=163840 # 80 MiB
mib=1048576

# zeros: makes the spare device blank.
zeros() { blkdiscard -z "$spare"; }

# byte_at <byte> <text>: writes a text.
byte_at() { printf '%b' "$2" | dd of="$spare" bs=1 seek="$1" conv=notrunc,fsync status=none; }

# expect_refused <label> <reason> [<option>...]: expects that the area is refused and not written.
expect_refused() {
	local written
	written=$(disk_stat "$spare" 7)
	log_mark
	expect_errno EINVAL make_remap r0 4096 "$main" "$spare" 0 $sectors "${@:3}"
	expect_log "$2"
	expect_equal "$(disk_stat "$spare" 7)" "$written" "sectors that were written to the spare device, with $1"
}

# expect_accepted [<option>...]: expects that the area is formatted.
expect_accepted() {
	make_remap r0 4096 "$main" "$spare" 0 $sectors "$@"
	expect_equal "$(status_word r0 6)" ok metadata
	remove_mapped r0
}

# made_by <pages> <command>...: expects that what a tool makes is refused, after wipefs, and without its first page, too,
# if it has several.
made_by() {
	zeros
	"${@:2}" >"$work/made" 2>&1 || fail "${*:2}: $(<"$work/made")"
	blkid -p "$spare" >"$work/found" || fail "blkid does not know what $2 has made"
	expect_refused "what $2 makes" "the spare area"
	wipefs -q -a "$spare"
	expect_refused "what $2 makes, after wipefs" "the spare area"
	[[ $1 != several ]] || without_first_page "$2"
}

# without_first_page <tool>: expects that what the tool has made is refused without its first page.
without_first_page() {
	dd if=/dev/zero of="$spare" bs=4096 count=1 conv=notrunc,fsync status=none
	expect_refused "what $1 makes, without its first page" "the spare area is not blank"
}

# label_at <label> <byte> <text>: expects that a label is refused.
label_at() {
	zeros
	byte_at "$2" "$3"
	expect_refused "a label of $1 at $2" "the spare area is not blank: sector $(($2 / 512)) of it"
}

test() {
	local end=$((sectors * 512)) label
	make_null_blk main 2
	make_loop spare 80M
	zeros
	expect_accepted

	made_by several mke2fs -q -F -t ext4 "$spare"
	made_by several mkfs.minix "$spare"
	made_by one mkswap "$spare"
	made_by several sfdisk -q --no-reread --no-tell-kernel "$spare" <<<'label: gpt'
	# Only the backup at the end is left.
	zeros
	sfdisk -q --no-reread --no-tell-kernel "$spare" <<<'label: gpt'
	dd if=/dev/zero of="$spare" bs=1M count=1 conv=notrunc,fsync status=none
	expect_refused "the backup of a partition table" "the spare area is not blank: sector $((sectors - 1)) of it"

	label_at btrfs $((65536 + 64)) _BHRfS_M
	label_at 'a copy of btrfs' $((64 * mib + 64)) _BHRfS_M
	label_at 'md 1.2' 4096 '\xfc\x4e\x2b\xa9'
	label_at 'md 1.0' $((end - 8192)) '\xfc\x4e\x2b\xa9'
	label_at 'md 0.90' $((end - 65536)) '\xfc\x4e\x2b\xa9'
	label_at bcachefs $((4096 + 24)) '\xc6\x85\x73\xf6\x66\xce\x90\xa9'
	label_at 'a copy of bcachefs' $((2 * mib + 24)) '\xc6\x85\x73\xf6\x66\xce\x90\xa9'
	label_at 'the last copy of bcachefs' $((end - mib + 24)) '\xc6\x85\x73\xf6\x66\xce\x90\xa9'
	# The list and an uberblock in each of the four labels.
	for label in 0 262144 $((end - 524288)) $((end - 262144)); do
		label_at ZFS $((label + 16384)) '\x01\x01\x00\x00'
		label_at ZFS $((label + 131072)) '\x0c\xb1\xba\x00'
	done
	label_at 'LUKS2' 16384 'SKUL\xba\xbe'
	label_at 'LUKS2' $((4 * mib)) 'SKUL\xba\xbe'
	label_at 'VMFS' $((mib)) '\x0d\xd0\x01\xc0'
	label_at 'VMFS' $((2 * mib)) '\x5e\xf1\xab\x2f'
	label_at 'LVM' $((1024 + 24 + 4096)) LVM2
	label_at 'a Promise RAID' $((end - 3087 * 512)) 'Promise Technology'

	# Places of the metadata that is to be written: with blocks of 8 sectors they are in the first and in the last MiB.
	for label in $((mib * 3 / 2)) $((end - mib * 3 / 2)); do
		zeros
		byte_at "$label" x
		expect_refused "a byte at $label" "the spare area is not blank: sector $((label / 512)) of it" block_size 1
		expect_accepted block_size 8
	done
	zeros
	expect_accepted block_size 1
}
