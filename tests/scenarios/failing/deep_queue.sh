# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="one block in ten that is bad under 1024 writes in flight is relocated, once each, and no write fails"
LONG_MACHINES=uml-smp
TIMEOUT=120

requires() { need_target dust; }

test() {
	make_null_blk disk 64 hw_queue_depth=2048 irqmode=2 completion_nsec=20000000
	make_null_blk spare 16
	make_dust main "$disk" 4096
	make_remap r0 131072 /dev/mapper/main "$spare" 0 32768
	block_io fill /dev/mapper/r0 1
	python3 -S - "$SEED" "$(scaled 16000)" <<'END'
import random
import sys

from block_io import Disk, Model, WriteQueue, pattern
from device_mapper import Control, settle

IN_FLIGHT = 1024
seed, count = map(int, sys.argv[1:])
chance, control = random.Random(seed), Control()
model = Model(Disk("/dev/mapper/r0"), 131072)
for start in range(0, model.sectors, 2048):
    model.remember(start, pattern(1, start, 2048))
blocks = chance.sample(range(16384), count)
bad = set(chance.sample(blocks, count // 10))
for block in bad:
    control.message("main", f"addbadblock {block} 255")
queue = WriteQueue("/dev/mapper/r0", IN_FLIGHT, 8)
waiting = {block: (block * 8, pattern(seed, block * 8, 8)) for block in blocks}
for start, data in waiting.values():
    model.remember(start, data)
turns = most = 0
while waiting or queue.in_flight():
    waiting = queue.submit(waiting)
    most = max(most, queue.in_flight())
    for block, end in queue.wait():
        assert end == "ok", f"write of block {block}: {end}, {control.status('r0')}"
    turns += 1
    if turns % 16 == 0:
        health = control.state("r0")["health"]
        assert health in ("ok", "degraded"), health
queue.close()
print(f"{count} writes, {len(bad)} of bad blocks, up to {most} in flight")
assert most == IN_FLIGHT, most
settle()
state = control.state("r0")
assert state["auto_remaps"] == state["remapped"] == len(bad), (len(bad), state)
assert (state["unread"], state["lost"], state["pending"], state["health"]) == (0, 0, 0, "ok"), state
assert {sector // 8 for sector, _, _ in control.remaps("r0")} == bad
model.check_all()
END
}
