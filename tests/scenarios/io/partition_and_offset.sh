# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="data lies at the start of the partition plus main_start plus the sector, and nothing outside the target changes"
MACHINES="uml debian"
LONG_MACHINES=uml-smp

test() {
	make_null_blk disk 8
	make_null_blk spare 2
	# A partition at sector 2048, 8192 sectors long.
	sfdisk -q --label dos --no-reread --no-tell-kernel "$disk" 2>/dev/null <<<'start=2048, size=8192, type=83'
	partx -a "$disk"
	local partition=${disk}1
	[[ -b $partition ]] || partition=${disk}p1
	[[ -b $partition ]] || fail "no partition of $disk: $(ls "$disk"*)"
	block_io fill "$disk" outside 2048 8192
	make_remap r0 4000 "$partition" "$spare" 16 1088 main_start 1003
	block_io check /dev/mapper/r0 none 2>/dev/null && fail "check accepts wrong data"
	python3 -S "$tests/random_walk.py" r0 8 128 "$(scaled 300)" "$SEED" "$partition" 1003 "$spare"
	message r0 clear
	# Sector 0 of the target is sector 2048 + 1003 of the disk, remapped or not.
	block_io fill /dev/mapper/r0 inside
	message r0 remap 0 64
	block_io fill /dev/mapper/r0 moved 0 64
	message r0 unremap 0 64
	python3 -S - "$disk" <<'END'
import sys
from block_io import Disk, expect, pattern
disk = Disk(sys.argv[1])
base = 2048 + 1003
expect(disk.read(base, 64), pattern("moved", 0, 64), base, "blocks that have moved back")
expect(disk.read(base + 64, 1000), pattern("inside", 64, 1000), base + 64, "blocks that have never moved")
expect(disk.read(2048, 1003), pattern("outside", 2048, 1003), 2048, "the partition before the target")
behind = base + 4000
expect(disk.read(behind, 1000), pattern("outside", behind, 1000), behind, "the partition behind the target")
END
	remove_mapped r0
	partx -d "$disk"
}
