# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="iostat and io.stat of a control group count writes that an error or a pending block moves, while they are in flight, too"
MACHINES="uml debian"

# sees_one_in_flight: says "ready", and waits until the mapped device has one write in flight. A shell would look too seldom.
sees_one_in_flight() {
	python3 -S - <<'END'
import os
import sys
import time

number = os.stat("/dev/mapper/r0").st_rdev
path, end = f"/sys/dev/block/{os.major(number)}:{os.minor(number)}/stat", time.monotonic() + 30
print("ready", flush=True)
while time.monotonic() < end:
    with open(path) as file:
        if file.read().split()[8] == "1":
            sys.exit()
    time.sleep(0.01)
sys.exit("no write is in flight for 30 s")
END
}

is_ready() { [[ -s $1 ]]; }

test() {
	make_group
	make_null_blk main 2
	make_null_blk spare 1 irqmode=2 completion_nsec=200000000
	make_remap r0 4096 "$main" "$spare" 0 224 # 20 blocks
	block_io fill /dev/mapper/r0 1
	local watch writes sectors main_before
	writes=$(disk_stat /dev/mapper/r0 5) sectors=$(disk_stat /dev/mapper/r0 7)

	# A write that main fails. The rest of its block is copied by the target itself.
	null_blk_set main badblocks=+83-83
	expect_equal "$(in_group python3 -S "$tests/block_io.py" write /dev/mapper/r0 82 4 2)" ok "a write that fails on main"
	expect_equal "$(charged "$spare")" "0 2048" "the group on the spare, after a rescued write"
	expect_equal "$(($(disk_stat /dev/mapper/r0 5) - writes)) $(($(disk_stat /dev/mapper/r0 7) - sectors))" "1 4" \
		"writes and sectors by iostat, after a rescued write"

	# A write to a pending block, which main does not see.
	null_blk_set main badblocks=+163-163
	expect_equal "$(block_io read /dev/mapper/r0 160 8)" EIO "a read of a bad block"
	wait_until 10 is_pending r0 1
	main_before=$(charged "$main")
	sees_one_in_flight >"$work/watch" &
	watch=$!
	wait_until 30 is_ready "$work/watch"
	expect_equal "$(in_group python3 -S "$tests/block_io.py" write /dev/mapper/r0 160 8 2)" ok "a write to a pending block"
	wait $watch || fail "a write to a pending block was not counted while it was in flight"
	expect_equal "$(disk_stat /dev/mapper/r0 9)" 0 "writes in flight after the last one"
	expect_equal "$(charged "$spare")" "0 6144" "the group on the spare, after a diverted write"
	expect_equal "$(charged "$main")" "$main_before" "the group on main, after a diverted write"
	expect_equal "$(($(disk_stat /dev/mapper/r0 5) - writes)) $(($(disk_stat /dev/mapper/r0 7) - sectors))" "2 12" \
		"writes and sectors by iostat, after a diverted write"

	# A write to a pending block that finds no spare block, and fails on main.
	message r0 remap 2000 144 >/dev/null
	expect_equal "$(health r0)" spare_full health
	null_blk_set main badblocks=+243-243
	expect_equal "$(block_io read /dev/mapper/r0 240 8)" EIO "a read of a bad block"
	wait_until 10 is_pending r0 1
	expect_equal "$(block_io write /dev/mapper/r0 240 8 2)" EIO "a write to a bad block without a spare block"
	expect_equal "$(($(disk_stat /dev/mapper/r0 5) - writes))" 3 "writes by iostat, after one that failed"
}
