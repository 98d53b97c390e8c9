# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="a scrub reads the whole target at the requested rate, marks unreadable blocks as pending, changes no data, and ends or is stopped"
MACHINES="uml uml-debug"
LONG_MACHINES=uml-smp
TIMEOUT=90

is_done() { [[ $(message r0 scrub status) == done* ]]; }
is_idle() { [[ $(message r0 scrub status) != running* ]]; }

test() {
	local bad seen began took lines
	make_null_blk main 16
	make_null_blk spare 2
	make_remap r0 32768 "$main" "$spare" 0 1600
	block_io fill /dev/mapper/r0 1
	expect_match "$(message r0 scrub status)" '^idle' "status before any scrub"
	[[ $(ask status r0) != *scrub=* ]] || fail "the status shows a scrub before any has begun"
	message r0 scrub stop
	seen=$(last_event r0)
	message r0 scrub start
	wait_until 30 is_done
	expect_match "$(message r0 scrub status)" '^done 32768 unreadable 0' "status of a scrub of a good disk"
	next_event r0 "$seen" >/dev/null
	expect_state r0 "0 0 0 0 ok" "after a scrub of a good disk"

	# Blocks that it cannot read become pending, and their next write relocates them. A scrub moves nothing itself.
	for bad in 83 4095 4096 20000 32767; do
		null_blk_set main badblocks="+$bad-$bad"
	done
	message r0 scrub start
	wait_until 30 is_done
	expect_match "$(message r0 scrub status)" '^done 32768 unreadable 5' "status of a scrub of a bad disk"
	expect_state r0 "0 0 0 5 degraded" "after a scrub of a bad disk"
	expect_equal "$(block_io write /dev/mapper/r0 80 8 2)" ok "write of a pending block"
	expect_state r0 "1 0 0 4 degraded" "after a write"
	# Moved blocks are read in their place, and unread sectors do not make a block pending.
	message r0 bad 8000
	message r0 scrub start
	wait_until 30 is_done
	expect_equal "$(status_word r0 3)" 4 "pending blocks"
	expect_missing r0 8 0 "after a scrub"
	block_io fill /dev/mapper/r0 3
	# 4095 and 4096 are in two blocks.
	expect_state r0 "6 0 0 0 ok" "after everything was written"

	# At a pace: 16 MiB in four seconds.
	began=${EPOCHREALTIME/[.,]/}
	message r0 scrub start 4
	expect_errno EBUSY message r0 scrub start
	expect_match "$(message r0 scrub status)" '^running [0-9]+/32768' "status of a scrub that runs"
	expect_match "$(ask status r0)" ' scrub=[0-9]+/32768$' "the device's status"
	block_io check /dev/mapper/r0 3
	block_io fill /dev/mapper/r0 4
	wait_until 60 is_done
	took=$(((${EPOCHREALTIME/[.,]/} - began) / 100000))
	((took >= 25)) || fail "a scrub of 16 MiB at 4 MB/s took $took tenths of a second"
	[[ $DM_REMAP_MACHINE != uml ]] || ((took <= 80)) || fail "a scrub of 16 MiB at 4 MB/s took $took tenths of a second"
	[[ $(ask status r0) != *scrub=* ]] || fail "the status shows a scrub that has ended"

	# A scrub stops at once, and can be stopped repeatedly. Messages, suspend and reload do not wait for it.
	message r0 scrub start 1
	message r0 scrub stop
	is_idle || fail "the scrub runs after stop: $(message r0 scrub status)"
	message r0 scrub stop
	message r0 scrub start 1
	message r0 remap 1000 >/dev/null
	dmsetup suspend r0
	dmsetup resume r0
	load_remap r0 32768 "$main" "$spare" 0 1600
	dmsetup suspend r0
	dmsetup resume r0
	message r0 scrub stop
	message r0 scrub start 1
	block_io check /dev/mapper/r0 4
	log_mark
	remove_mapped r0
	lines=$(log_lines)
	[[ $lines != *'scrub stopped'* ]] || fail "removal of the device was logged as a stop of its scrub: $lines"
	make_remap r0 32768 "$main" "$spare" 0 1600
	expect_match "$(message r0 scrub status)" '^idle' "status in a new device"

	# The scrub repairs a bad copy of the metadata, too.
	dd if=/dev/urandom of="$spare" bs=4096 count=1 oflag=direct status=none
	message r0 scrub start
	wait_until 30 is_done
	expect_match "$(status_word r0 6)" '^(ok|degraded)$' metadata
	remove_mapped r0
	make_remap r0 32768 "$main" "$spare" 0 1600
	expect_equal "$(status_word r0 6)" ok "metadata in the next table, after the scrub has repaired it"
	block_io check /dev/mapper/r0 4

	expect_errno EINVAL message r0 scrub
	expect_errno EINVAL message r0 scrub start fast
	expect_errno EINVAL message r0 scrub sometimes
}
