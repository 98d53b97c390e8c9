# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="remaps, their data, and their unread and lost sectors survive a table reload, removal of the device and unloading of the module"
MACHINES="uml uml-debug debian"
LONG_MACHINES=uml-smp

# expect_same <event>: expects that the remaps, the unread and the lost sectors, and the data are as before.
expect_same() {
	expect_equal "$(message r0 list)" "$list" "list after $1"
	expect_missing r0 2 1 "after $1"
	expect_equal "$(status_word r0 6)" ok "metadata after $1"
	block_io check /dev/mapper/r0 2 0 80
	block_io check /dev/mapper/r0 2 88 912
	block_io check /dev/mapper/r0 2 1001 2999
	expect_refused_at_once r0 "$main" 82 1000
	block_io check /dev/mapper/r0 3 84 2
}

test() {
	local list place
	make_null_blk main 2
	make_null_blk spare 1
	block_io fill "$main" 1
	make_remap r0 4000 "$main" "$spare" 8 1600
	expect_equal "$(status_word r0 6)" ok metadata
	null_blk_set main badblocks=+82-85
	message r0 remap 80
	expect_missing r0 4 0 "after remap"
	null_blk_set main badblocks=-82-85
	message r0 remap 400 160
	message r0 remap 3999
	message r0 unremap 416 8
	block_io fill /dev/mapper/r0 2 0 82
	block_io fill /dev/mapper/r0 2 86 3914
	# Unread sectors that are written are no longer unread.
	block_io fill /dev/mapper/r0 3 84 2
	# A sector is lost with its slot.
	place=$(message r0 remap 1000)
	place=${place##* }
	null_blk_set spare badblocks="+$place-$((place + 1))"
	block_io fill /dev/mapper/r0 2 1001 1
	null_blk_set spare badblocks="-$place-$((place + 1))"
	list=$(message r0 list)
	expect_match "$list" '80 [0-9]+ unread' list
	expect_match "$list" '1000 [0-9]+ lost' list

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
	message r0 remap 1008 160
	expect_equal "$(message r0 list | awk '$1 ~ /^[0-9]/ { print $2 }' | sort | uniq -d)" '' "slots with two blocks"
	block_io check /dev/mapper/r0 2 88 912
	block_io check /dev/mapper/r0 2 1001 2999
	# The lost sector keeps its block on the spare, and clear stops there; the unread ones are on main as they always were.
	expect_errno EIO message r0 clear
	expect_missing r0 0 1 "after clear"
	expect_match "$(message r0 list)" '^1000 [0-9]+ lost' "list after clear"
	block_io check /dev/mapper/r0 1 82 2
	block_io check /dev/mapper/r0 3 84 2
	block_io fill /dev/mapper/r0 2
	message r0 clear
	remove_mapped r0
	make_remap r0 4000 "$main" "$spare" 8 1600
	expect_equal "$(message r0 list)" end "list after clear"
	block_io check /dev/mapper/r0 2
	block_io check "$main" 2 0 4000
}
