# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="a table retries pending blocks and scrubs itself at the intervals that are set, never while it is suspended, and what was due then is done after the resume"
MACHINES="uml uml-debug"
LONG_MACHINES="uml-smp debian"

# scrubbed: the log tells of a scrub since it was last looked at.
scrubbed() { [[ $(log_lines) == *'scrub has read'* ]]; }

test() {
	local reads
	make_null_blk main 2
	make_null_blk spare 1
	make_remap r0 4096 "$main" "$spare" 0 1600 retry_interval 1
	block_io fill /dev/mapper/r0 1

	# A block that can be read again is not pending for long.
	null_blk_set main badblocks=+83-83
	expect_equal "$(block_io read /dev/mapper/r0 80 8)" EIO "a read of a bad block"
	expect_state r0 "0 0 0 1 degraded"
	sleep 1.5
	expect_state r0 "0 0 0 1 degraded" "while it cannot be read"
	null_blk_set main badblocks=-83-83
	wait_until 5 is_pending r0 0
	expect_state r0 "0 0 0 0 ok" "when it can be read"

	# A scrub finds what nobody has read. Its interval counts from one start to the next.
	message r0 set retry_interval 0
	null_blk_set main badblocks=+803-803
	log_mark
	message r0 set scrub_interval 2
	sleep 1
	! scrubbed || fail "a scrub before its interval has passed"
	wait_until 5 is_pending r0 1
	wait_until 5 scrubbed
	wait_until 5 scrubbed

	# While the table is suspended nothing is read, by a retry neither.
	message r0 set retry_interval 2
	null_blk_set main badblocks=-803-803
	dmsetup suspend r0
	log_mark
	reads=$(disk_stat "$main" 1)
	sleep 3
	expect_equal "$(disk_stat "$main" 1)" "$reads" "reads of main while the table is suspended"
	dmsetup resume r0
	wait_until 2 is_pending r0 0
	wait_until 2 scrubbed

	# Without an interval nothing is done.
	message r0 set scrub_interval 0
	message r0 set retry_interval 0
	wait_until 10 is_done
	reads=$(disk_stat "$main" 1)
	sleep 3
	expect_equal "$(disk_stat "$main" 1)" "$reads" "reads of main without an interval"

	# A table with intervals can be replaced and removed, and the module unloaded.
	message r0 set scrub_interval 3600
	message r0 set retry_interval 1
	load_remap r0 4096 "$main" "$spare" 0 1600 scrub_interval 1
	log_mark
	dmsetup suspend r0
	dmsetup resume r0
	wait_until 5 scrubbed
	remove_mapped r0
	rmmod dm_remap
	sleep 2
	load_module
}

is_done() { [[ $(message r0 scrub status) == done* ]]; }
