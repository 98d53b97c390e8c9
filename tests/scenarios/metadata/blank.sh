# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="a spare area with data in its first or last MiB or at the place of a label further in is refused unchanged, unless the table has format or volatile; a blank one is formatted"
MACHINES="uml"

# The spare area is neither at the start of its device nor at its end.
start=2048
sectors=6144

# label <text> <byte of the area>: writes a label, as a file system or a RAID has it, and zeros elsewhere.
label() {
	blkdiscard -z "$spare"
	printf '%b' "$1" | dd of="$spare" bs=1 seek=$((start * 512 + $2)) conv=notrunc,fsync status=none
}

# expect_refused <sector>: expects that the area is refused because of that sector, and not changed.
expect_refused() {
	local before
	before=$(md5sum <"$spare")
	log_mark
	expect_errno EINVAL make_remap r0 4096 "$main" "$spare" $start $sectors
	expect_log "the spare area is not blank: sector $1 of it is not zero; format discards what is there"
	expect_equal "$(md5sum <"$spare")" "$before" "the spare device after a label in sector $1"
}

# expect_accepted <option>...: expects that the area is accepted, and that the table works.
expect_accepted() {
	make_remap r0 4096 "$main" "$spare" $start $sectors "$@"
	message r0 remap 80
	block_io check /dev/mapper/r0 1 80 8
	remove_mapped r0
}

test() {
	make_null_blk main 4
	make_null_blk spare 5
	block_io fill "$main" 1
	# In the first MiB: superblocks of md 1.2 and of btrfs, the last byte.
	label '\xfc\x4e\x2b\xa9' 4096
	expect_refused 8
	label '_BHRfS_M' $((65536 + 64))
	expect_refused 128
	label x $((1048576 - 1))
	expect_refused 2047
	# VMFS begins right behind.
	label '\x0d\xd0\x01\xc0' 1048576
	expect_refused 2048
	# In the last MiB: the first byte, md 1.0, the backup of a GUID partition table.
	label x $((sectors * 512 - 1048576))
	expect_refused $((sectors - 2048))
	label '\xfc\x4e\x2b\xa9' $((sectors * 512 - 8192))
	expect_refused $((sectors - 16))
	label 'EFI PART' $((sectors * 512 - 512))
	expect_refused $((sectors - 1))
	# The option format accepts any contents, and so does a volatile table.
	expect_accepted format
	label '_BHRfS_M' $((65536 + 64))
	expect_accepted volatile
	# An area that a volatile table has used is not blank.
	expect_errno EINVAL make_remap r0 4096 "$main" "$spare" $start $sectors

	# Sectors outside the area, or further than a MiB from its ends and without labels, do not matter.
	label x -1
	expect_accepted
	label x $((sectors * 512))
	expect_accepted
	label x $((1048576 + 4096))
	expect_accepted
	label x $((sectors * 512 - 1048576 - 1))
	expect_accepted
}
