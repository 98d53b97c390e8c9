# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="a spare area in use is refused for another device, by path or by number, and accepted for a new table of the same device"
MACHINES="uml uml-debug debian"
LONG_MACHINES=uml-smp

# expect_refused <make_remap arguments behind the name>: expects that the spare area is refused.
expect_refused() {
	log_mark
	expect_errno EBUSY make_remap r1 "$@"
	expect_log "'$3'" 'overlaps with a spare area in use'
}

test() {
	make_null_blk main 4
	make_null_blk other 4
	make_null_blk spare 4
	make_remap r0 4096 "$main" "$spare" 1000 1000
	message r0 remap 8 >/dev/null
	expect_refused 4096 "$other" "$spare" 1000 1000
	expect_refused 4096 "$other" "$spare" 0 1001
	expect_refused 4096 "$other" "$spare" 1999 500
	expect_refused 4096 "$other" "$spare" 1500 80
	# The spare device by its number.
	log_mark
	expect_errno EBUSY make_remap r1 4096 "$other" "$(cat "/sys/block/$(basename "$spare")/dev")" 1500 80
	# A target over the spare area of another device, and a spare area over the target of another device.
	log_mark
	expect_errno EBUSY make_remap r1 1500 "$spare" "$other" 0 1000
	expect_errno EBUSY make_remap r1 4096 "$other" "$main" 4000 1000

	make_remap r1 4096 "$other" "$spare" 2000 1000
	make_remap r2 500 "$spare" "$other" 4096 1000
	remove_mapped r2
	remove_mapped r1

	# A table of the same device may use the area, which is free once the device is removed.
	load_remap r0 4096 "$main" "$spare" 1000 1000
	dmsetup suspend r0
	dmsetup resume r0
	load_remap r0 4096 "$main" "$spare" 1500 1000
	dmsetup clear r0
	remove_mapped r0
	make_remap r1 4096 "$other" "$spare" 1000 1000 format
}
