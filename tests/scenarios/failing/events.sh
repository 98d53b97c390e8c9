# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="every automatic remap and every change of health raises a device-mapper event, and nothing else does"
MACHINES="uml debian"
LONG_MACHINES=uml-smp

# expect_event <cause> [<health after it>]: expects an event after the last one that was seen.
expect_event() {
	seen=$(next_event r0 "$seen") || fail "no event: $1"
	# One cause may raise two events, one after the other.
	sleep 0.2
	seen=$(last_event r0)
	[[ -z ${2:-} ]] || expect_equal "$(health r0)" "$2" "health after: $1"
}

# expect_no_event <cause>: expects no event after the last one that was seen.
expect_no_event() {
	sleep 0.5
	expect_equal "$(last_event r0)" "$seen" "the last event: $1"
}

test() {
	local seen waiting
	make_null_blk main 2
	make_null_blk spare 1
	make_remap r0 4096 "$main" "$spare" 0 224 # 20 blocks
	block_io fill /dev/mapper/r0 1
	seen=$(last_event r0)
	block_io check /dev/mapper/r0 1
	expect_reply pong r0 ping
	expect_no_event "reads and a message without errors"

	null_blk_set main badblocks=+83-83
	block_io write /dev/mapper/r0 80 8 2 >/dev/null
	expect_event "an automatic remap" ok
	# Another automatic remap raises an event, although the health does not change.
	null_blk_set main badblocks=+163-163
	block_io write /dev/mapper/r0 160 8 2 >/dev/null
	expect_event "another automatic remap" ok
	block_io write /dev/mapper/r0 160 8 3 >/dev/null
	expect_no_event "a write of a remapped block"

	null_blk_set main badblocks=+243-243
	block_io read /dev/mapper/r0 243 1 >/dev/null
	expect_event "a pending block" degraded
	block_io read /dev/mapper/r0 243 1 >/dev/null
	expect_no_event "the same error again"
	null_blk_set main badblocks=-243-243
	message r0 retry >/dev/null
	expect_event "a pending block that was cleared" ok
	message r0 bad 400
	expect_event "unread sectors" degraded
	block_io write /dev/mapper/r0 400 8 2 >/dev/null
	expect_event "no unread sectors" ok
	message r0 remap 800 128 >/dev/null
	expect_event "few spares" spare_low
	null_blk_set main badblocks=+2003-2003
	block_io write /dev/mapper/r0 2000 8 2 >/dev/null
	expect_event "an automatic remap to the last spare" spare_full
	message r0 unremap 800 128 >/dev/null
	expect_event "spares again" ok

	# dmsetup waits as a user does.
	dmsetup wait r0 "$seen" >"$work/waited" 2>&1 &
	waiting=$!
	sleep 0.3
	kill -0 $waiting || fail "dmsetup wait did not wait: $(<"$work/waited")"
	null_blk_set main badblocks=+3003-3003
	block_io write /dev/mapper/r0 3000 8 2 >/dev/null
	wait_until 10 has_ended $waiting
	wait $waiting || fail "dmsetup wait: $(<"$work/waited")"
	expect_match "$(dmsetup status r0)" ' auto_remaps=4 ' status
	remove_mapped r0

	# A new device has no events of the one before.
	make_remap r0 4096 "$main" "$spare" 0 224
	seen=$(last_event r0)
	expect_no_event "a new table"
	block_io check /dev/mapper/r0 2 3000 8
}

has_ended() { ! kill -0 "$1" 2>/dev/null; }
