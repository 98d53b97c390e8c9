# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="two devices, and two targets of one device, move blocks at the same time without touching each other's blocks"
MACHINES="uml uml-smp"
TIMEOUT=120

test() {
	make_null_blk main_a 8
	make_null_blk main_b 8
	make_null_blk spare 8
	make_remap r0 16384 "$main_a" "$spare" 0 2112
	make_remap r1 16384 "$main_b" "$spare" 2112 2112 block_size 16
	python3 -S "$tests/random_walk.py" r0 8 256 "$(scaled 600)" "$SEED" "$main_a" 0 "$spare" &
	local first=$!
	python3 -S "$tests/random_walk.py" r1 16 128 "$(scaled 600)" "$((SEED + 1))" "$main_b" 0 "$spare" &
	wait "$first" || fail "the walk on r0"
	wait $! || fail "the walk on r1"
	remove_mapped r0
	remove_mapped r1

	make_mapped both \
		"0 8192 remap $main_a $spare 0 576 1 format" \
		"8192 8192 remap $main_b $spare 576 576 1 format"
	block_io fill /dev/mapper/both one
	dmsetup message both 0 remap 8184
	# Messages count sectors from the start of the device, for every target.
	expect_equal "$(dmsetup message both 8192 remap 8192)" "sector 8192 -> spare 608" "the second target's reply"
	expect_errno EINVAL dmsetup message both 8192 remap 0
	block_io check /dev/mapper/both one
	block_io check "$spare" one 8184 8 2>/dev/null && fail "the block is in its own place on the spare device"
	block_io fill /dev/mapper/both two 8176 32
	block_io check /dev/mapper/both two 8176 32
	expect_equal "$(dmsetup status both | awk '{ print $4 }' | tr '\n' ' ')" "1/64 1/64 " "remaps of the two targets"
}
