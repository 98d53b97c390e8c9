# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="remap of a range with scattered bad sectors moves all blocks, a read of an unread sector takes the slow path, and retry brings all of them back; a missing main loses no sector"
LONG_MACHINES=uml-smp

test() {
	make_null_blk main 2
	make_null_blk spare 4
	block_io fill "$main" 1
	local bad
	for bad in 83 84 160 801 2047 4095; do
		null_blk_set main badblocks="+$bad-$bad"
	done
	make_remap r0 4096 "$main" "$spare" 0 8192
	# Each bad block ends a pass; blocks that are remapped already begin none.
	expect_reply 'remapped 2 already 0' r0 remap 1200 16
	expect_reply 'remapped 510 already 2' r0 remap 0 4096
	expect_missing r0 6 0 "after remap"
	block_io check /dev/mapper/r0 1 0 83
	block_io check /dev/mapper/r0 1 85 75
	block_io check /dev/mapper/r0 1 161 640
	block_io check /dev/mapper/r0 1 802 1245
	block_io check /dev/mapper/r0 1 2048 2047

	message r0 stats reset
	expect_equal "$(block_io read /dev/mapper/r0 160 1)" EIO "an unread sector"
	expect_match "$(message r0 stats)" '^reads=1 writes=0 remapped_reads=0 .* read_errors=1 .* slow_path=1 ' stats
	expect_refused_at_once r0 "$main" 83 84 160 801 2047 4095
	for bad in 83 84 160 801 2047 4095; do
		null_blk_set main badblocks="-$bad-$bad"
	done
	expect_reply 'cleared 0 pending 0 unread 0' r0 retry
	expect_missing r0 0 0 "once main is repaired"
	block_io check /dev/mapper/r0 1 0 4096
	remove_mapped r0

	make_remap r0 4096 "$main" "$spare" 0 8192 format
	null_blk_set main power=0
	log_mark
	expect_errno ENODEV message r0 remap 160
	expect_equal "$(status_word r0 1) $(missing r0)" "0/1008 0 0" "remapped blocks, unread and lost sectors"
	expect_log 'remap stopped at sector 160: main_dev is gone'
}
