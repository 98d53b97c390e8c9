# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="the failing devices of the tests fail as documented, so that a failed test is a fault of dm-remap"
LONG_MACHINES=uml-smp

requires() { need_target dust && need_target flakey; }

test() {
	make_null_blk disk 4
	block_io fill "$disk" 1
	null_blk_set disk badblocks=+80-81
	expect_equal "$(block_io read "$disk" 80 1) $(block_io write "$disk" 81 1 x)" "EIO EIO" "null_blk"
	expect_equal "$(block_io write "$disk" 81 1 x)" EIO "null_blk, again"
	expect_equal "$(block_io write "$disk" 78 8 x)" EIO "null_blk, a write that spans the bad sectors"
	expect_equal "$(block_io unreadable "$disk" 72 16)" "80 81" "unreadable sectors"
	null_blk_set disk badblocks=-80-81
	block_io check "$disk" 1

	make_null_blk once 1 badblocks_once=1
	null_blk_set once badblocks=+8-8
	expect_equal "$(block_io write "$once" 8 1 x) $(block_io write "$once" 8 1 x)" "EIO ok" "null_blk with badblocks_once"

	make_dust dusty "$disk"
	dust_add dusty 80 81 2
	dust_add dusty 90
	expect_equal "$(block_io unreadable /dev/mapper/dusty 72 24)" "80 81 90" "unreadable sectors of dust"
	local ends
	ends="$(block_io write /dev/mapper/dusty 80 1 2) $(block_io write /dev/mapper/dusty 80 1 2)"
	ends+=" $(block_io write /dev/mapper/dusty 80 1 2) $(block_io read /dev/mapper/dusty 80 1)"
	expect_equal "$ends" "EIO EIO ok ok" "two writes that fail, and one that repairs"
	dust_remove dusty 81
	expect_equal "$(block_io unreadable /dev/mapper/dusty 72 24)" 90 "unreadable sectors of dust"
	dust_remove dusty 90

	make_segments parts "$disk"
	set_segments parts "$disk" 16-23:error 32-32:writes 40-47:reads 48-55:drop 64-71:corrupt
	expect_equal "$(block_io read /dev/mapper/parts 16 8) $(block_io write /dev/mapper/parts 16 8 3)" "EIO EIO" error
	expect_equal "$(block_io read /dev/mapper/parts 32 1) $(block_io write /dev/mapper/parts 32 1 3)" "ok EIO" writes
	expect_equal "$(block_io read /dev/mapper/parts 40 1) $(block_io write /dev/mapper/parts 40 1 1)" "EIO ok" reads
	expect_equal "$(block_io write /dev/mapper/parts 48 8 3)" ok drop
	block_io check /dev/mapper/parts 1 48 8
	if block_io check /dev/mapper/parts 1 64 8 2>/dev/null; then fail "no byte is corrupted"; fi
	set_segments parts "$disk" 0-7:error
	expect_equal "$(block_io unreadable /dev/mapper/parts 0 80)" "0 1 2 3 4 5 6 7" "segments that fail"
	set_segments parts "$disk"
	block_io check /dev/mapper/parts 1 8 72

	# No target here raises events.
	if next_event parts "$(last_event parts)" 1 2>/dev/null; then fail "an event without a cause"; fi

	make_null_blk other 4
	make_null_blk third 4
	make_dust dusty_third "$third" 4096
	make_raid1 mirror /dev/mapper/dusty_third "$other"
	block_io fill "$mirror" 5
	# The mirror repairs a disk that accepts the write, and drops one that does not.
	dust_add dusty_third 100 101 0
	block_io check "$mirror" 5
	block_io check "$mirror" 5
	raid1_is_whole mirror
	null_blk_set third badblocks=+4000-4003
	block_io check "$mirror" 5
	block_io check "$mirror" 5
	expect_equal "$(cat /sys/block/md_mirror/md/degraded)" 1 "devices that the mirror has dropped"
	remove_raid1 md_mirror
	null_blk_set third badblocks=-4000-4003
}
