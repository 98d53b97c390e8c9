# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="bios of 512 bytes to 1 MiB over scattered remaps, with remap and unremap in between, agree with a model in every byte"
MACHINES="uml uml-debug debian"
LONG_MACHINES=uml-smp
TIMEOUT=120

# walk <sectors> <block size> <spare blocks> <main_start> <steps>
walk() {
	local sectors=$1 block=$2 slots=$3 start=$4
	make_null_blk main $(((start + sectors) / 2048 + 1))
	make_null_blk spare $((slots * block / 2048 + 3))
	# Head and tail have two pages of metadata, each with two places.
	local first=$(((32 + block - 1) / block * block))
	make_remap r0 "$sectors" "$main" "$spare" 40 $((first + slots * block + 32 + block - 1)) \
		main_start "$start" block_size "$block"
	expect_equal "$(status_word r0 1)" "0/$slots" "spare blocks"
	python3 -S "$tests/random_walk.py" r0 "$block" "$slots" "$5" "$SEED" "$main" "$start" "$spare"
	remove_mapped r0
	remove_null_blk nb_main
	remove_null_blk nb_spare
}

test() {
	# The last block is cut short by the target's end where the block size allows it.
	walk $((4096 + 777)) 1 304 0 "$(scaled 500)"
	walk $((16384 + 5)) 8 256 3 "$(scaled 1000)"
	walk $((16384 + 1)) 16 60 2048 "$(scaled 500)"
	walk $((16384 + 1023)) 2048 4 17 "$(scaled 150)"
}
