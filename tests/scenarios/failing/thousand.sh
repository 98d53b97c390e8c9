# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="a thousand blocks that fail under 32 writers are relocated fast and once each, and no acknowledged write is lost"
MACHINES="uml uml-smp"
TIMEOUT=120

requires() { need_target dust; }

test() {
	make_null_blk disk 64
	make_null_blk spare 16
	make_dust main "$disk" 4096
	make_remap r0 131072 /dev/mapper/main "$spare" 0 32768
	python3 -S - "$SEED" <<'END'
import random
import sys
import threading
import time

from block_io import Disk, outcome, pattern
from device_mapper import Control, settle
from failing import run_all

BAD, TORN, WRITERS, BLOCKS = 1000, 200, 32, 16384
chance, control = random.Random(int(sys.argv[1])), Control()
chosen = chance.sample(range(BLOCKS), 3 * BAD + TORN)
bad, torn, good = chosen[:BAD], chosen[BAD : BAD + TORN], chosen[BAD + TORN :]
filler = Disk("/dev/mapper/r0")
for start in range(0, BLOCKS * 8, 2048):
    filler.write(start, pattern(1, start, 2048))
for block in bad + torn:
    control.message("main", f"addbadblock {block} 255")
lock, written = threading.Lock(), {}


def timed(disk, block, first, data):
    began = time.monotonic()
    end = outcome(disk.write, block * 8 + first, data)
    if end != "ok":
        raise SystemExit(f"FAIL: write of block {block}: {end}; {control.status('r0')}")
    return 1000 * (time.monotonic() - began)


def storm(what, pieces, first_seed):
    """Writes pieces of bad blocks, as (block, first sector, sectors), by all writers at once, each with a
    good block behind it: otherwise the disk would pass for one that is gone. Returns the mean milliseconds
    of a piece and of a good block."""
    times, calm_times = [], []

    def write(n):
        disk = Disk("/dev/mapper/r0")
        for turn, (block, first, count) in enumerate(pieces[n::WRITERS]):
            calm = good[(n * 1000 + turn) % len(good)]
            seed = first_seed + (n << 16) + turn
            took = timed(disk, block, first, pattern(seed, block * 8 + first, count))
            with lock:
                times.append(took)
                written[block, first, count] = seed
            calm_times.append(timed(disk, calm, 0, pattern(1, calm * 8, 8)))
        disk.close()

    run_all([lambda n=n: write(n) for n in range(WRITERS)])
    mean, calm = sum(times) / len(times), sum(calm_times) / len(calm_times)
    print(f"{len(times)} {what}: {mean:.2f} ms on average, {max(times):.0f} ms at most; of good blocks {calm:.2f}")
    return mean, calm


mean, calm = storm("writes of bad blocks", [(block, 0, 8) for block in bad], 2)
# The halves of a bad block are written by two writers, so that two relocations of one block meet. The half
# that is not written first is unreadable.
halves = [(block, first, 4) for block in torn for first in (0, 4)]
storm("writes of halves of bad blocks", halves, 1 << 24)
settle()
state = control.state("r0")
assert state["auto_remaps"] == BAD + TORN and state["remapped"] == BAD + TORN, state
assert state["unread"] == state["lost"] == 0 and state["health"] == "ok", state
assert {sector // 8 for sector, _, _ in control.remaps("r0")} == set(bad + torn)
# 100 ms, or more on a machine where good blocks take long, too.
assert mean < max(100, 40 * calm), f"{mean:.1f} ms for a write that fails, on average"
with open("/tmp/scenario/written", "w") as file:
    for (block, first, count), seed in written.items():
        file.write(f"{block * 8 + first} {count} {seed}\n")
END
	remove_mapped r0
	make_remap r0 131072 /dev/mapper/main "$spare" 0 32768
	expect_state r0 "1200 0 0 0 ok" "in the next table"
	python3 -S - <<'END'
from block_io import Disk, expect, pattern

disk, wanted = Disk("/dev/mapper/r0"), bytearray(b"".join(pattern(1, start, 2048) for start in range(0, 131072, 2048)))
with open("/tmp/scenario/written") as file:
    for line in file:
        at, count, seed = map(int, line.split())
        wanted[at * 512 : (at + count) * 512] = pattern(seed, at, count)
for start in range(0, 131072, 2048):
    expect(disk.read(start, 2048), bytes(wanted[start * 512 : (start + 2048) * 512]), start, "after a reload")
END
}
