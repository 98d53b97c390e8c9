# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="remaps, their data and their lost sectors survive a table reload, removal of the device and unloading of the module"
MACHINES="uml uml-debug debian"
LONG_MACHINES=uml-smp

# expect_same <event>: expects that the remaps, the lost sectors and the data are as before.
expect_same() {
	expect_equal "$(message r0 list)" "$list" "list after $1"
	expect_equal "$(status_word r0 2)" "$lost" "lost sectors after $1"
	expect_equal "$(status_word r0 6)" ok "metadata after $1"
	block_io check /dev/mapper/r0 2 0 80
	block_io check /dev/mapper/r0 2 88 3912
	expect_equal "$(block_io read /dev/mapper/r0 82 1)" EIO "a lost sector after $1"
	block_io check /dev/mapper/r0 3 84 2
}

test() {
	local list lost
	make_null_blk main 2
	make_null_blk spare 1
	block_io fill "$main" 1
	make_remap r0 4000 "$main" "$spare" 8 1600
	expect_equal "$(status_word r0 6)" ok metadata
	null_blk_set main badblocks=+82-85
	message r0 remap 80
	null_blk_set main badblocks=-82-85
	message r0 remap 400 160
	message r0 remap 3999
	message r0 unremap 416 8
	block_io fill /dev/mapper/r0 2 0 82
	block_io fill /dev/mapper/r0 2 86 3914
	# Lost sectors that are written are no longer lost.
	block_io fill /dev/mapper/r0 3 84 2
	list=$(message r0 list)
	lost=$(status_word r0 2)
	expect_equal "$lost" 2 "lost sectors"
	expect_match "$list" '80 [0-9]+ lost' list

	load_remap r0 4000 "$main" "$spare" 8 1600
	expect_same "loading a table"
	dmsetup suspend r0
	dmsetup resume r0
	expect_same "its activation"
	dmsetup suspend r0
	dmsetup resume r0
	expect_same "suspend and resume"
	dmsetup rename r0 r1
	dmsetup rename r1 r0
	expect_same "renaming"
	remove_mapped r0
	make_remap r0 4000 "$main" "$spare" 8 1600 block_size 8
	expect_same "removal"
	remove_mapped r0
	unload_module
	load_module
	make_mapped r0 "0 4000 remap $main $spare 8 1600"
	expect_same "unloading the module"
	expect_reply 'metadata saved' r0 save
	expect_same "save"

	# A slot is not given to a second block.
	message r0 remap 1000 160
	expect_equal "$(message r0 list | awk '$1 ~ /^[0-9]/ { print $2 }' | sort | uniq -d)" '' "slots with two blocks"
	block_io check /dev/mapper/r0 2 88 3912
	expect_errno EIO message r0 clear
	block_io fill /dev/mapper/r0 2
	message r0 clear
	remove_mapped r0
	make_remap r0 4000 "$main" "$spare" 8 1600
	expect_equal "$(message r0 list)" end "list after clear"
	block_io check /dev/mapper/r0 2
	block_io check "$main" 2 0 4000
}
