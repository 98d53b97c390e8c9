# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="remap_import to the second target of a table moves the blocks of its list, and sends nothing if its options contradict the table"
MACHINES="uml"

# import <status> <argument>...: sends the list of bad blocks to r0.
import() { expect_status "$1" remap_import --device r0 "${@:2}" "$work/bad"; }

# nothing_moved <when>: expects that no target has remaps.
nothing_moved() {
	expect_equal "$(dmsetup message r0 0 list)$(dmsetup message r0 4096 list)" endend "lists $1"
}

# expect_refused <words> <argument>...: expects that remap_import refuses its arguments, and sends nothing.
expect_refused() {
	import 3 "${@:2}"
	expect_match "$(<"$work/err")" "$1" "the refusal of ${*:2}"
	nothing_moved "after ${*:2}"
}

test() {
	local line first
	make_null_blk front 4
	make_null_blk main 4
	make_null_blk spare 4
	block_io fill "$front" 1
	block_io fill "$main" 2
	make_mapped r0 "0 4096 remap $front $spare 0 576" "4096 4096 remap $main $spare 1024 576 2 main_start 64"
	# Sectors 224 and 225 of main are sectors 160 and 161 of the second target. The first target has a good block there.
	echo 112 >"$work/bad"

	expect_refused 'several remap targets: --target-start is to be one of 0 \(of 4096 sectors\), 4096 \('
	expect_refused 'no remap target of r0 starts at sector 160, but at 0 ' --target-start 160
	expect_refused '--main-start: 0, but the target of r0 at sector 4096 has 64' --target-start 4096 --main-start 0
	expect_refused '--target-sectors: 8192, but the target of r0 at sector 4096 has 4096' \
		--target-start 4096 --target-sectors 8192
	expect_refused '--block-size: 16, but the target of r0 at sector 4096 has 8' --target-start 4096 --block-size 16
	echo 9999 >"$work/bad"
	expect_refused 'sectors 19998 to 19999 of main are not all within the target' --target-start 4096
	echo 112 >"$work/bad"

	import 0 --target-start 4096
	expect_equal "$(dmsetup message r0 0 list)" end "list of the first target"
	expect_match "$(dmsetup message r0 4096 list)" $'^4256 [0-9]+ unread\nend$' "list of the second target"
	# All sectors of that block are unread, and no others.
	block_io check /dev/mapper/r0 1 160 8
	expect_equal "$(block_io read /dev/mapper/r0 4256 8)" EIO "the bad block"
	block_io read "$main" 216 8 >"$work/below"
	block_io read /dev/mapper/r0 4248 8 >"$work/above"
	expect_equal "$(<"$work/above")" "$(<"$work/below")" "the block before it"

	# Printed messages are the same as those that are sent.
	echo 212 >"$work/bad"
	expect_status 0 remap_import --main-start 64 --target-sectors 4096 --target-start 4096 --keep-contents "$work/bad"
	line=$(<"$work/out")
	expect_equal "$line" "remap 4456 8" message
	# shellcheck disable=SC2086 # words
	dmsetup message r0 4096 $line
	block_io read "$main" 424 8 >"$work/below"
	block_io read /dev/mapper/r0 4456 8 >"$work/above"
	expect_equal "$(<"$work/above")" "$(<"$work/below")" "the block that was moved"
	remove_mapped r0
	expect_status 0 remap_export --format messages --target-start 4096 --start 1024 --length 576 "$spare"
	expect_equal "$(<"$work/out")" $'remap 4256 8\nremap 4456 8' "exported messages"

	# The only remap target of its table needs no name.
	make_mapped r0 "0 4096 linear $front 0" "4096 4096 remap $front $spare 2048 576 2 main_start 4096"
	import 0 --keep-contents --clip
	expect_equal "$(dmsetup message r0 4096 list)" end "list without a sector of the list on the target"
	echo 2050 >"$work/bad"
	import 0 --keep-contents
	first=$(dmsetup message r0 4096 list)
	expect_match "$first" $'^4096 [0-9]+ -\nend$' list
}
