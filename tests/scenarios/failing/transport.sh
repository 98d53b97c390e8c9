# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="requests that time out fail for the caller and mark no block; requests that are requeued complete"
MACHINES=uml-debug
LONG_MACHINES=uml-smp
TIMEOUT=60

requires() {
	# null_blk injects faults only in such a kernel.
	[[ -e /proc/self/fail-nth ]] || {
		echo "no fault injection"
		return 1
	}
}

# inject <timeout|requeue> <percent>: makes so many of main's requests time out, or be requeued.
inject() {
	local directory=/sys/kernel/config/nullb/nb_main/$1_inject
	echo 0 >"$directory/verbose"
	echo -1 >"$directory/times"
	echo "$2" >"$directory/probability"
}

test() {
	make_null_blk main 2
	make_null_blk spare 1
	make_remap r0 4096 "$main" "$spare" 0 1600
	block_io fill /dev/mapper/r0 1
	echo 200 >"$(sysfs_of "$main")/queue/io_timeout"
	inject timeout 100
	expect_equal "$(block_io write /dev/mapper/r0 80 8 1)" ETIMEDOUT "write that times out"
	expect_equal "$(block_io read /dev/mapper/r0 160 8)" ETIMEDOUT "read that times out"
	expect_equal "$(block_io read /dev/mapper/r0 240 80)" ETIMEDOUT "long read that times out"
	inject timeout 0
	sleep 1
	expect_state r0 "0 0 0 0 ok" "after time-outs"
	expect_equal "$(counter r0 auto_remaps)" 0 "automatic remaps"
	expect_equal "$(counter r0 write_errors)" 1 write_errors
	block_io check /dev/mapper/r0 1
	inject requeue 30
	block_io fill /dev/mapper/r0 2
	block_io check /dev/mapper/r0 2
	inject requeue 0
	expect_state r0 "0 0 0 0 ok" "after requeued requests"
	# A bad sector of the same disk is relocated: the policy is in force.
	null_blk_set main badblocks=+83-83
	expect_equal "$(block_io write /dev/mapper/r0 80 8 3)" ok "write of a bad sector"
	expect_state r0 "1 0 0 0 ok" "after a bad sector"
	block_io check /dev/mapper/r0 3 80 8
}
