# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="a target that grows has the right data in a remapped last block that was cut short; one that shrinks below a remap is refused"
MACHINES="uml uml-debug"
LONG_MACHINES=uml-smp

test() {
	make_null_blk main 4
	make_null_blk spare 1
	block_io fill "$main" 1
	make_remap r0 4003 "$main" "$spare" 0 1600
	message r0 remap 4000
	block_io fill /dev/mapper/r0 2 4000 3
	# Behind its end, main is somebody else's.
	block_io fill "$main" 3 4003 100
	load_remap r0 4006 "$main" "$spare" 0 1600
	dmsetup suspend r0
	dmsetup resume r0
	block_io check /dev/mapper/r0 1 0 4000
	block_io check /dev/mapper/r0 2 4000 3
	block_io check /dev/mapper/r0 3 4003 3
	block_io fill /dev/mapper/r0 4 4003 3
	# What it wrote itself does not come back from main, whatever its length was meanwhile.
	load_remap r0 4001 "$main" "$spare" 0 1600
	dmsetup suspend r0
	dmsetup resume r0
	load_remap r0 4020 "$main" "$spare" 0 1600
	dmsetup suspend r0
	dmsetup resume r0
	block_io check /dev/mapper/r0 2 4000 3
	block_io check /dev/mapper/r0 4 4003 3
	block_io check /dev/mapper/r0 3 4006 14
	remove_mapped r0
	log_mark
	expect_errno EINVAL make_remap r0 4000 "$main" "$spare" 0 1600
	expect_log 'table refused' 'a block beyond the end of the target'
}
