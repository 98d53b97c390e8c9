# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="fio with verify sees no error on a disk on which more and more sectors fail writes"
LONG_MACHINES="uml-smp debian"
TIMEOUT=120

requires() { need_target flakey; }

test() {
	make_null_blk disk 16
	make_null_blk spare 8
	make_mapped main "0 32768 linear $disk 0"
	make_remap r0 32768 /dev/mapper/main "$spare" 0 16384
	verifying_fio /dev/mapper/r0 "$(scaled 60)" &
	local fio=$!
	python3 -S "$tests/failing.py" spoil main "$disk" 32768 "$(scaled 160)" "$SEED" $fio
	wait "$fio" || fail "fio: $(cat "$work/fio")"
	expect_match "$(cat "$work/fio")" 'err= 0' "output of fio"
	expect_match "$(state r0)" '^[1-9][0-9]* 0 0 0 ok$' "state"
	expect_equal "$(counter r0 auto_remaps)" "$(status_word r0 1 | cut -d/ -f1)" "automatic remaps"
	block_io fill /dev/mapper/r0 3
	remove_mapped r0
	make_remap r0 32768 /dev/mapper/main "$spare" 0 16384
	block_io check /dev/mapper/r0 3
}
