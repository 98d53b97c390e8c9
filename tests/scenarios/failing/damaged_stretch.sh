# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="a damaged stretch of 10,000 blocks is written over in order without an error, in pieces of any size, until the spare is full; main is never failing"
LONG_MACHINES="uml-smp debian"
TIMEOUT=120

test() {
	make_null_blk disk 64
	make_null_blk spare 64
	make_segments main "$disk"
	# Room for 10,000 blocks.
	make_remap r0 131072 /dev/mapper/main "$spare" 0 80832
	block_io fill /dev/mapper/r0 1
	# 100 blocks more than that are damaged.
	set_segments main "$disk" 8000-88799:error
	python3 -S - "$SEED" <<'END'
import random
import sys

from block_io import Disk, Model, outcome, pattern
from device_mapper import Control, settle

FIRST, END, MORE = 8000, 88000, 800
chance, control = random.Random(int(sys.argv[1])), Control()
model = Model(Disk("/dev/mapper/r0"), 131072)
for start in range(0, model.sectors, 2048):
    model.remember(start, pattern(1, start, 2048))
at, writes = FIRST, 0
while at < END:
    count = min(chance.choice((1, 3, 8, 8, 64, 256, 1000, 2048)), END - at)
    data = pattern(2, at, count)
    end = outcome(model.disk.write, at, data)
    assert end == "ok", f"write of {count} at {at}: {end}, {control.status('r0')}"
    model.remember(at, data)
    at, writes = at + count, writes + 1
    if writes % 32 == 0:
        health = control.state("r0")["health"]
        assert health in ("ok", "degraded", "spare_low"), health
settle()
state = control.state("r0")
print(f"{writes} writes")
assert state["slots"] == state["remapped"] == state["auto_remaps"] == 10000, state
assert (state["unread"], state["lost"], state["pending"], state["health"]) == (0, 0, 0, "spare_full"), state
for start in range(END, END + MORE, 8):
    end = outcome(model.disk.write, start, pattern(3, start, 8))
    assert end == "EIO", f"write at {start} without a spare block: {end}"
state = control.state("r0")
assert (state["remapped"], state["health"]) == (10000, "spare_full"), state
END
	remove_mapped r0
	set_segments main "$disk"
	make_remap r0 131072 /dev/mapper/main "$spare" 0 80832
	block_io check /dev/mapper/r0 1 0 8000
	block_io check /dev/mapper/r0 2 8000 80000
	# The disk has never taken the writes that have failed.
	block_io check /dev/mapper/r0 1 88000 43072
	expect_reply 'cleared 10000' r0 clear
	block_io check "$disk" 1 0 8000
	block_io check "$disk" 2 8000 80000
	block_io check "$disk" 1 88000 43072
}
