# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="a longer target has the right data in a remapped last block that was partial before; a target that would cut a remapped block is refused"
MACHINES="uml uml-debug"
LONG_MACHINES=uml-smp

test() {
	make_null_blk main 4
	make_null_blk spare 1
	block_io fill "$main" 1
	make_remap r0 4003 "$main" "$spare" 0 1600
	message r0 remap 4000
	block_io fill /dev/mapper/r0 2 4000 3
	# Sectors of main behind the end of the target have other contents.
	block_io fill "$main" 3 4003 100
	load_remap r0 4006 "$main" "$spare" 0 1600
	dmsetup suspend r0
	dmsetup resume r0
	block_io check /dev/mapper/r0 1 0 4000
	block_io check /dev/mapper/r0 2 4000 3
	block_io check /dev/mapper/r0 3 4003 3
	block_io fill /dev/mapper/r0 4 4003 3
	# A shorter target would lose sectors that only the slot has.
	log_mark
	load_remap r0 4001 "$main" "$spare" 0 1600
	dmsetup suspend r0
	expect_errno EINVAL dmsetup resume r0
	expect_log 'table refused' 'slot 0 has a block beyond the end of the target'
	load_remap r0 4020 "$main" "$spare" 0 1600
	dmsetup suspend r0
	dmsetup resume r0
	block_io check /dev/mapper/r0 2 4000 3
	block_io check /dev/mapper/r0 4 4003 3
	block_io check /dev/mapper/r0 3 4006 14
	# A block that a shorter target has moved has all its sectors in a longer one.
	message r0 unremap 4000
	load_remap r0 4001 "$main" "$spare" 0 1600
	dmsetup suspend r0
	dmsetup resume r0
	message r0 remap 4000
	block_io fill /dev/mapper/r0 5 4000 1
	load_remap r0 4020 "$main" "$spare" 0 1600
	dmsetup suspend r0
	dmsetup resume r0
	block_io check /dev/mapper/r0 5 4000 1
	block_io check /dev/mapper/r0 2 4001 2
	block_io check /dev/mapper/r0 4 4003 3
	block_io check /dev/mapper/r0 3 4006 14
	message r0 remap 4016
	remove_mapped r0
	log_mark
	expect_errno EINVAL make_remap r0 4000 "$main" "$spare" 0 1600
	expect_log 'table refused' 'a block beyond the end of the target'
	# A read-only table cannot copy the rest of a block to the spare.
	log_mark
	expect_errno EROFS dmsetup create r0 --readonly --table "$(remap_line 4022 "$main" "$spare" 0 1600)"
	expect_log 'table refused' 'the table is read-only, and cannot copy the rest of the last block to slot'
	dmsetup create r0 --readonly --table "$(remap_line 4020 "$main" "$spare" 0 1600)"
	defer remove_mapped r0
	block_io check /dev/mapper/r0 3 4006 14
}
