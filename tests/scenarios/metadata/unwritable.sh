# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="while metadata cannot be written no block moves and unsaved blocks refuse writes; once it can be written, all operations work again"
MACHINES="uml uml-debug"
LONG_MACHINES=uml-smp

# below <head> <tail>: makes writes to the two halves of the metadata work (linear) or fail (flakey).
below() {
	local flakey="0 1 1 error_writes" head=$1 tail=$2
	dmsetup load below <<-END
		0 $half $head $spare 0 $([[ $head == linear ]] || echo "$flakey")
		$half $((1600 - 2 * half)) linear $spare $half
		$((1600 - half)) $half $tail $spare $((1600 - half)) $([[ $tail == linear ]] || echo "$flakey")
	END
	dmsetup suspend --nolockfs below
	dmsetup resume below
}

# again: removes the device and makes it again from the metadata on the disk.
again() {
	remove_mapped r0
	make_remap r0 4096 "$main" /dev/mapper/below 0 1600
}

test() {
	# Two pages, each with two places.
	local half=32 before halves
	make_null_blk main 2
	make_null_blk spare 1
	block_io fill "$main" 1
	make_mapped below "0 1600 linear $spare 0"
	make_remap r0 4096 "$main" /dev/mapper/below 0 1600
	message r0 remap 80
	for halves in "linear flakey" "flakey linear" "flakey flakey"; do
		# shellcheck disable=SC2086 # two words
		below $halves
		log_mark
		expect_errno EIO message r0 remap 160 16
		expect_match "$(log_lines)" 'remap stopped at sector 160: metadata cannot be written' "the log"
		expect_equal "$(status_word r0 6)" failed metadata
		expect_match "$(message r0 list)" $'160 [0-9]+ unsaved\n168 [0-9]+ unsaved' list
		# An unsaved block has the same data in both places, and stays so.
		block_io check /dev/mapper/r0 1
		expect_equal "$(block_io write /dev/mapper/r0 160 8 2)" EIO "write to an unsaved block"
		expect_equal "$(block_io write /dev/mapper/r0 170 1 2)" EIO "write to an unsaved block"
		block_io fill /dev/mapper/r0 1 0 160
		block_io fill /dev/mapper/r0 1 176 3920
		expect_errno EIO message r0 remap 800
		expect_errno EIO message r0 unremap 80
		expect_errno EIO message r0 save
		expect_equal "$(message r0 list | grep -c unsaved)" 2 "unsaved blocks"
		# As after a crash: the data is right in whichever place the block is.
		below linear linear
		again
		block_io check /dev/mapper/r0 1
		block_io fill /dev/mapper/r0 1
		message r0 clear
		expect_equal "$(message r0 list)" end list
		expect_equal "$(status_word r0 6)" ok metadata
		message r0 remap 80

		# Metadata that can be written again is saved.
		# shellcheck disable=SC2086 # two words
		below $halves
		expect_errno EIO message r0 remap 160 16
		below linear linear
		expect_reply 'metadata saved' r0 save
		expect_equal "$(status_word r0 6)" ok metadata
		expect_equal "$(message r0 list | grep -c ' -$')" 3 "remaps that are saved"
		block_io fill /dev/mapper/r0 2 160 16
		before=$(message r0 list)
		again
		expect_equal "$(message r0 list)" "$before" "list after a reload"
		block_io check /dev/mapper/r0 2 160 16

		# Unremap: the block stays on the spare.
		# shellcheck disable=SC2086 # two words
		below $halves
		expect_errno EIO message r0 unremap 160 16
		expect_match "$(message r0 list)" $'160 [0-9]+ unsaved\n168 [0-9]+ unsaved' list
		block_io check /dev/mapper/r0 2 160 16
		expect_equal "$(block_io write /dev/mapper/r0 160 8 3)" EIO "write to an unsaved block"
		below linear linear
		# The next message saves the metadata, without the message save.
		expect_reply 'unremapped 2' r0 unremap 160 16
		block_io check /dev/mapper/r0 2 160 16
		block_io fill /dev/mapper/r0 1
		again
		expect_match "$(message r0 list)" $'^80 [0-9]+ -\nend$' list
		block_io check /dev/mapper/r0 1
	done

	# Unread sectors are not filled before metadata is saved.
	null_blk_set main badblocks=+242-243
	message r0 remap 240
	expect_missing r0 2 0 "after remap"
	null_blk_set main badblocks=-242-243
	below flakey flakey
	expect_equal "$(block_io write /dev/mapper/r0 242 2 4)" EIO "write of unread sectors"
	expect_equal "$(block_io read /dev/mapper/r0 242 1)" EIO "an unread sector"
	expect_missing r0 2 0 "after the write"
	# Nor are they brought back.
	message r0 retry || true
	expect_missing r0 2 0 "after retry"
	again
	expect_missing r0 2 0 "in a table that cannot write metadata"
	below linear linear
	block_io fill /dev/mapper/r0 4 242 2
	expect_missing r0 0 0 "after a write"
	again
	expect_missing r0 0 0 "after a reload"
	block_io check /dev/mapper/r0 4 242 2
}
