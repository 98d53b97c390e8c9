# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="a disk whose first sector is bad, and takes 3 s to say so, passes for one that is out at most once; then blocks are relocated in less than a second"
TIMEOUT=90

requires() { need_target delay; }

test() {
	local sector began
	make_null_blk disk 8
	make_null_blk spare 4
	make_segments main "$disk"
	make_remap r0 16384 /dev/mapper/main "$spare" 0 8192
	block_io fill /dev/mapper/r0 1
	ask replace main "0 8 delay $disk 0 3000" "8 16376 linear $disk 8"
	for sector in 0 8000 8080 8160; do
		null_blk_set disk "badblocks=+$sector-$sector"
	done
	# The first sector is the first one to be asked whether main is alive.
	block_io write /dev/mapper/r0 8000 1 2 >"$work/output"
	wait_until 31 is_health r0 ok
	for sector in 8080 8160; do
		began=$(date +%s%N)
		expect_equal "$(block_io write /dev/mapper/r0 $sector 1 2)" ok "write of bad sector $sector"
		(($(date +%s%N) - began < 1000000000)) || fail "the write took $((($(date +%s%N) - began) / 1000000)) ms"
	done
	expect_equal "$(block_io write /dev/mapper/r0 8000 1 2)" ok "write of the first bad sector"
	wait_until 31 is_health r0 ok
	expect_state r0 "3 0 0 0 ok"
	block_io check /dev/mapper/r0 1 8 7992
	block_io check /dev/mapper/r0 1 8168 8216
	for sector in 8000 8080 8160; do
		block_io check /dev/mapper/r0 2 $sector 1
		block_io check /dev/mapper/r0 1 $((sector + 1)) 7
	done
}
