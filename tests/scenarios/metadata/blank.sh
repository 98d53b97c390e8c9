# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="a spare area with data in its first or last MiB is refused unchanged, unless the table has format or volatile; a blank one is formatted"
MACHINES="uml"

# The area: neither at the start of its device nor at its end.
start=2048
sectors=6144

# label <text> <byte of the area>: what a file system or a RAID has there, and zeros elsewhere.
label() {
	blkdiscard -z "$spare"
	printf '%b' "$1" | dd of="$spare" bs=1 seek=$((start * 512 + $2)) conv=notrunc,fsync status=none
}

# refused <sector>: for what it holds, and it holds it afterwards.
refused() {
	local before
	before=$(md5sum <"$spare")
	log_mark
	expect_errno EINVAL make_remap r0 4096 "$main" "$spare" $start $sectors
	expect_log "the spare area is not blank: sector $1 of it is not zero; format discards what is there"
	expect_equal "$(md5sum <"$spare")" "$before" "the spare device after a label in sector $1"
}

# taken <option>...: and it works.
taken() {
	make_remap r0 4096 "$main" "$spare" $start $sectors "$@"
	message r0 remap 80
	block_io check /dev/mapper/r0 1 80 8
	remove_mapped r0
}

test() {
	make_null_blk main 4
	make_null_blk spare 5
	block_io fill "$main" 1
	# Superblocks of md 1.2 and of btrfs; the last byte of the first MiB.
	label '\xfc\x4e\x2b\xa9' 4096
	refused 8
	label '_BHRfS_M' $((65536 + 64))
	refused 128
	label x $((1048576 - 1))
	refused 2047
	# The first byte of the last MiB; md 1.0; the other copy of a GUID partition table.
	label x $((sectors * 512 - 1048576))
	refused $((sectors - 2048))
	label '\xfc\x4e\x2b\xa9' $((sectors * 512 - 8192))
	refused $((sectors - 16))
	label 'EFI PART' $((sectors * 512 - 512))
	refused $((sectors - 1))
	# Who asks for it gets it, and so does a volatile table, which asks nobody.
	taken format
	label '_BHRfS_M' $((65536 + 64))
	taken volatile
	# What that has left is not blank, either.
	expect_errno EINVAL make_remap r0 4096 "$main" "$spare" $start $sectors

	# What is beside the area, or far from its ends, is not looked at.
	label x -1
	taken
	label x $((sectors * 512))
	taken
	label x 1048576
	taken
	label x $((sectors * 512 - 1048576 - 1))
	taken
}
