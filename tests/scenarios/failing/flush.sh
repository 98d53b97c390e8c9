# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="a flush that fails, on main or on the spare, fails for its submitter, marks and moves nothing, and goes to the spare only where something was written there"
LONG_MACHINES="uml-smp debian"

requires() { need_target flakey; }

# below <name> <device> <linear or flakey>: makes writes to the device below work (linear) or fail (flakey).
below() {
	local sectors
	sectors=$(sectors_of "$2")
	if [[ $3 == linear ]]; then
		ask replace "$1" "0 $sectors linear $2 0"
	else
		ask replace "$1" "0 $sectors flakey $2 0 0 1 1 error_writes"
	fi
}

test() {
	local turn
	# Disks with a write cache: the block layer sends no flushes to others.
	make_null_blk main 2 cache_size=1
	make_null_blk spare 1 cache_size=1
	make_mapped below_main "0 4096 linear $main 0"
	make_mapped below_spare "0 2048 linear $spare 0"
	make_remap r0 4096 /dev/mapper/below_main /dev/mapper/below_spare 0 1600
	block_io fill /dev/mapper/r0 1
	below below_spare "$spare" flakey
	expect_equal "$(block_io flush /dev/mapper/r0)" ok "flush with a spare that fails and has no block"
	below below_spare "$spare" linear
	message r0 remap 160
	for turn in main spare; do
		expect_equal "$(block_io write /dev/mapper/r0 160 8 1)" ok "write to the spare"
		below "below_$turn" "${!turn}" flakey
		expect_match "$(block_io flush /dev/mapper/r0)" '^E' "flush with a $turn that fails"
		expect_state r0 "1 0 0 0 ok" "after a flush with a $turn that fails"
		below "below_$turn" "${!turn}" linear
		expect_equal "$(block_io flush /dev/mapper/r0)" ok "flush once $turn works"
		below below_spare "$spare" flakey
		expect_equal "$(block_io flush /dev/mapper/r0)" ok "flush with nothing new on a spare that fails"
		below below_spare "$spare" linear
		expect_state r0 "1 0 0 0 ok" "after a flush once $turn works"
	done
	expect_equal "$(block_io write /dev/mapper/r0 160 8 1)" ok "write to the spare"
	message r0 unremap 160
	below below_spare "$spare" flakey
	expect_equal "$(block_io flush /dev/mapper/r0)" ok "flush when the spare that fails has no block any more"
	below below_spare "$spare" linear
	expect_equal "$(counter r0 auto_remaps)" 0 "automatic remaps"
	block_io check /dev/mapper/r0 1
	remove_mapped r0

	# A pass of a volatile table that has copied nothing flushes nothing.
	make_remap r0 4096 /dev/mapper/below_main /dev/mapper/below_spare 0 1600 volatile format
	ask replace below_spare "0 2048 flakey $spare 0 0 1"
	expect_errno ENOLINK message r0 remap 80
	expect_equal "$(counter r0 spare_errors)" 1 "spare_errors when nothing was copied"
}
