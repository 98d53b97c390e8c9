# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="an outage of main or of the spare, under load and messages, moves, marks and loses nothing; health and I/O are back by themselves when the device is"
LONG_MACHINES="uml-smp uml-debug debian"
TIMEOUT=180

# outage <main|spare> <seconds>: makes all I/O of a device fail for that time.
outage() {
	local disk
	disk=${!1}
	ask replace "$1" "0 4096 error"
	sleep "$2"
	ask replace "$1" "0 4096 linear $disk 0"
}

# errors_go_on <pid>: writes, reads and flushes, and sends messages, all of which may fail, until the process ends.
errors_go_on() {
	while kill -0 "$1" 2>/dev/null; do
		block_io read /dev/mapper/r0 $((RANDOM % 3900)) $((1 + RANDOM % 64))
		block_io read /dev/mapper/r0 $((RANDOM % 3900)) 1
		block_io write /dev/mapper/r0 3992 $((1 + RANDOM % 8)) 2
		block_io write /dev/mapper/r0 $((4000 + RANDOM % 64)) $((1 + RANDOM % 32)) 2
		block_io flush /dev/mapper/r0
		message r0 remap 2000 800
		message r0 retry
		message r0 unremap 2000 800
		message r0 scrub start 1000
		message r0 save
		dmsetup suspend r0
		dmsetup resume r0
	done >/dev/null 2>&1
}

test() {
	local which seconds
	make_null_blk main 2
	make_null_blk spare 2
	make_mapped main "0 4096 linear $main 0"
	make_mapped spare "0 4096 linear $spare 0"
	make_remap r0 4096 /dev/mapper/main /dev/mapper/spare 0 4096
	block_io fill /dev/mapper/r0 1
	message r0 remap 80 80
	for which in main spare main spare; do
		for seconds in 0.1 1 4; do
			outage $which $seconds &
			errors_go_on $! || true
			wait $! || fail "the outage has not ended"
			# At most one pause between two probes.
			wait_until 31 is_health r0 ok
			expect_equal "$(counter r0 auto_remaps) $(missing r0) $(status_word r0 3)" "0 0 0 0" \
				"automatic remaps, unread and lost sectors, pending blocks after an outage of $which of $seconds s"
			block_io check /dev/mapper/r0 1 0 3984
			expect_equal "$(block_io write /dev/mapper/r0 3984 112 3)" ok "write after the outage"
			block_io check /dev/mapper/r0 3 3984 112
			expect_equal "$(block_io flush /dev/mapper/r0)" ok "flush after the outage"
		done
	done
	message r0 scrub stop
	# Messages say so, whatever error the device has.
	for which in main spare; do
		ask replace $which "0 4096 error"
		expect_errno ENOLINK message r0 unremap 80
		expect_errno ENOLINK message r0 clear
		expect_errno ENOLINK message r0 remap 8
		if [[ $which == spare ]]; then
			expect_errno ENOLINK message r0 bad 8
			expect_errno ENOLINK message r0 save
		fi
		ask replace $which "0 4096 linear ${!which} 0"
		wait_until 31 is_health r0 ok
	done
	expect_equal "$(state r0)" "10 0 0 0 ok" "the state after messages in outages"
	remove_mapped r0
	make_remap r0 4096 /dev/mapper/main /dev/mapper/spare 0 4096
	block_io check /dev/mapper/r0 1 0 3984
	message r0 clear
	block_io check "$main" 1 0 3984
	block_io check "$main" 3 3984 112
}
