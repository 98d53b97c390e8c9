# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="fio with verify passes while another process remaps and unremaps at random"
MACHINES="uml uml-smp"
TIMEOUT=120

test() {
	make_null_blk main 16
	make_null_blk spare 4
	make_remap r0 32768 "$main" "$spare" 0 4096
	verifying_fio /dev/mapper/r0 "$(scaled 4)" &
	local fio=$!
	python3 -S "$tests/random_moves.py" r0 32768 "$SEED" "$fio"
	wait "$fio" || fail "fio: $(cat "$work/fio")"
	expect_match "$(cat "$work/fio")" 'err= 0' "output of fio"
}
