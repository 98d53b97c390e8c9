# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="a thousand pending blocks that are rewritten on a disk that works move to the spare, each with its first write, and main is never failing"
LONG_MACHINES="uml-smp debian"
TIMEOUT=120

test() {
	make_null_blk disk 64
	make_null_blk spare 16
	make_segments main "$disk"
	make_remap r0 131072 /dev/mapper/main "$spare" 0 32768
	block_io fill /dev/mapper/r0 1
	# 500 ranges of two blocks each.
	python3 -S - "$SEED" "$disk" <<'END'
import random
import sys

from block_io import Disk, Model, outcome, pattern
from device_mapper import Control, settle
from failing import Segments

seed, below = int(sys.argv[1]), sys.argv[2]
chance, control = random.Random(seed), Control()
model = Model(Disk("/dev/mapper/r0"), 131072)
for start in range(0, model.sectors, 2048):
    model.remember(start, pattern(1, start, 2048))
segments = Segments("main", below, model.sectors)
firsts = chance.sample(range(0, model.sectors // 8, 2), 500)
blocks = [block for first in firsts for block in (first, first + 1)]
segments.set({first * 8: (16, "error") for first in firsts})
for number, block in enumerate(blocks, 1):
    end = outcome(model.disk.read, block * 8 + chance.randrange(8), 1)
    assert end == "EIO", f"read of block {block}: {end}"
    # No more suspects than are remembered.
    if number % 8 == 0:
        settle()
settle()
state = control.state("r0")
assert (state["pending"], state["remapped"], state["health"]) == (1000, 0, "degraded"), state
segments.set({})
chance.shuffle(blocks)
for number, block in enumerate(blocks, 1):
    first = chance.randrange(8)
    model.write(block * 8 + first, pattern(seed + block, block * 8 + first, chance.randrange(1, 9 - first)))
    if number % 100 == 0:
        settle()
        state = control.state("r0")
        assert (state["auto_remaps"], state["pending"]) == (number, 1000 - number), state
        assert state["health"] == ("ok" if number == 1000 else "degraded"), state
assert (state["remapped"], state["unread"], state["lost"]) == (1000, 0, 0), state
assert {sector // 8 for sector, _, _ in control.remaps("r0")} == set(blocks)
model.check_all()
control.message("r0", "clear")
model.disk = Disk(below)
model.check_all("main")
END
}
