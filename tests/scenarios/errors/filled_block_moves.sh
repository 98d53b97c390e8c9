# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="a write that fills unread or lost sectors stays intact when another write, which fails, moves the block to another slot meanwhile"
MACHINES="uml uml-debug debian"
LONG_MACHINES=uml-smp

in_flight() { disk_stat /dev/mapper/r0 9; }
are_in_flight() { [[ $(in_flight) == "$1" ]]; }

# start_write <name> <sector> <sectors> <seed>: writes in the background; the outcome goes to $work/<name>.
start_write() {
	python3 -S "$tests/block_io.py" write /dev/mapper/r0 "$2" "$3" "$4" >"$work/$1" &
}

# Returns whether a read of the block waits because the block is held. A read of an unread or a lost sector fails at once.
reader_waits() {
	local reader
	dd if=/dev/mapper/r0 of=/dev/null skip=83 count=1 iflag=direct 2>/dev/null &
	reader=$!
	while kill -0 "$reader" 2>/dev/null; do
		if grep -qs blkdev_direct_IO "/proc/$reader/stack"; then return 0; fi
		sleep 0.05
	done
	return 1
}

# miss <unread|lost>: makes most sectors of a block unread or lost, and prints its place on the spare.
miss() {
	local place
	if [[ $1 == unread ]]; then
		place=$(message r0 bad 80)
	else
		# Two of eight sectors that main can read are written to a slot that fails, the others are lost with it.
		place=$(message r0 remap 80)
		place=${place##* }
		ask replace seg "0 $place linear $spare 0" "$place 8 error" "$((place + 8)) $(($(sectors_of "$spare") - place - 8)) linear $spare $((place + 8))"
		block_io fill /dev/mapper/r0 5 86 1
		place=$(message r0 verify 80)
	fi
	echo "${place##* }"
}

# race <unread|lost> <option>...: a slow write to sectors 80 to 82 is in flight while the write to 84 and 85 fails.
race() {
	local place size
	make_mapped slow "0 8 zero"
	make_segments seg "$spare"
	make_remap r0 4096 "$main" /dev/mapper/seg 0 1600 "${@:2}"
	# Takes the first slot, so that no segment of the spare is empty.
	message r0 remap 160
	place=$(miss "$1")
	size=$(sectors_of "$spare")
	ask replace slow "0 3 linear $spare $place"
	ask replace seg "0 $place linear $spare 0" "$place 3 linear /dev/mapper/slow 0" \
		"$((place + 3)) 1 linear $spare $((place + 3))" "$((place + 4)) 2 flakey $spare $((place + 4)) 0 1 1 error_writes" \
		"$((place + 6)) $((size - place - 6)) linear $spare $((place + 6))"
	dmsetup suspend --noflush --nolockfs slow
	start_write first 80 3 2
	wait_until 20 are_in_flight 1
	start_write second 84 2 3
	wait_until 20 reader_waits
	dmsetup resume slow
	wait
	expect_equal "$(cat "$work/first" "$work/second")" $'ok\nok' "both writes"
	[[ $(message r0 verify 80) != *" $place" ]] || fail "block 80 has not moved"
	expect_unfilled "$1" "after the move"
}

# expect_unfilled <unread|lost> <when>: expects the data of both writes, and the sectors that they have not filled as
# unread or lost.
expect_unfilled() {
	block_io check /dev/mapper/r0 2 80 3
	block_io check /dev/mapper/r0 3 84 2
	if [[ $1 == unread ]]; then
		expect_equal "$(block_io unreadable /dev/mapper/r0 80 8)" "83 86 87" "unread sectors $2"
		expect_state r0 "2 3 0 0 degraded" "$2"
	else
		expect_equal "$(block_io unreadable /dev/mapper/r0 80 8)" "83 87" "lost sectors $2"
		expect_state r0 "2 0 2 0 degraded" "$2"
		block_io check /dev/mapper/r0 5 86 1
	fi
}

test() {
	local kind
	make_null_blk main 2
	make_null_blk spare 1
	block_io fill "$main" 1
	block_io fill "$spare" 9
	for kind in unread lost; do
		race $kind format
		remove_mapped r0
		make_remap r0 4096 "$main" /dev/mapper/seg 0 1600
		expect_unfilled $kind "in the next table"
		# Main has what is unread, and something older in place of what is lost.
		message r0 retry
		if [[ $kind == unread ]]; then
			expect_missing r0 0 0 "after retry"
			block_io check /dev/mapper/r0 1 83 1
			block_io check /dev/mapper/r0 1 86 2
		else
			expect_unfilled $kind "after retry"
		fi
		block_io check /dev/mapper/r0 2 80 3
		block_io check /dev/mapper/r0 3 84 2
		remove_mapped r0
		remove_mapped seg
		remove_mapped slow
	done
	race unread volatile format
}
