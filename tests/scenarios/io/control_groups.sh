# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="I/O of a control group is charged to the group on the device that it reached, and its limits there do not delay a relocation"
MACHINES=debian

test() {
	make_group
	make_null_blk main 4
	make_null_blk spare 4
	make_remap r0 8192 "$main" "$spare" 0 2048
	message r0 remap 512 128 >/dev/null
	# Writes 256 KiB, of which the last 64 KiB are remapped, and reads half of the remapped part.
	in_group dd if=/dev/zero of=/dev/mapper/r0 bs=64K seek=1 count=4 oflag=direct status=none
	in_group dd if=/dev/mapper/r0 of=/dev/null bs=32K skip=8 count=1 iflag=direct status=none
	expect_equal "$(charged "$main")" "0 196608" "main"
	expect_equal "$(charged "$spare")" "32768 65536" "spare"

	# At 4 KiB a second the relocation of 64 KiB would take 16 s, and all other relocations would wait for it.
	local start
	null_blk_set main badblocks=+4096-4223
	expect_equal "$(block_io unreadable /dev/mapper/r0 4096 128 | wc -w)" 128 "bad sectors"
	wait_until 20 is_pending r0 16
	echo "$(<"$(sysfs_of "$spare")/dev") wbps=4096" >"$group/io.max"
	start=$SECONDS
	in_group dd if=/dev/zero of=/dev/mapper/r0 bs=64K seek=32 count=1 oflag=direct status=none
	((SECONDS - start < 8)) || fail "a relocation of 64 KiB took $((SECONDS - start)) s"
	expect_equal "$(charged "$spare")" "32768 131072" "the spare, after a relocation"
}
