# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="random operations on a device whose disks go bad at random return the data of a model, or an error that has a reason"
MACHINES="uml uml-smp debian"
TIMEOUT=150

# walk <sectors> <block size> <sectors of the spare area> <steps> [<start on main>]
walk() {
	make_null_blk main $(($1 / 2048 + 1)) discard=1
	make_null_blk spare $(($3 / 2048 + 1)) discard=1
	make_remap r0 "$1" "$main" "$spare" 0 "$3" block_size "$2" main_start "${5:-0}"
	python3 -S "$tests/failing_walk.py" r0 main spare "$4" "$SEED" "${5:-0}"
	remove_mapped r0
	remove_null_blk nb_main
	remove_null_blk nb_spare
}

test() {
	walk 4096 8 1600 "$(scaled "${STEPS:-1200}")"
	walk $((4096 + 5)) 32 4096 "$(scaled "${STEPS:-600}")"
	# So few spares that they run out.
	walk 2000 8 224 "$(scaled "${STEPS:-600}")" 43
	walk 1024 1 512 "$(scaled "${STEPS:-600}")"
}
