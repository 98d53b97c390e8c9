# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="a thousand blocks that fail under 32 writers are relocated once each, fast, and no acknowledged write is lost"
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

from block_io import Disk, expect, outcome, pattern
from device_mapper import Control
from failing import run_all

BAD, WRITERS, BLOCKS = 1000, 32, 16384
chance, control = random.Random(int(sys.argv[1])), Control()
bad = chance.sample(range(BLOCKS), BAD)
good = [block for block in chance.sample(range(BLOCKS), 3 * BAD) if block not in set(bad)][: 2 * BAD]
filler = Disk("/dev/mapper/r0")
for start in range(0, BLOCKS * 8, 2048):
    filler.write(start, pattern(1, start, 2048))
for block in bad:
    control.message("main", f"addbadblock {block} 255")

# Either half of each bad block by another writer, so that two relocations of one block meet; and a
# good block in between, else the disk would pass for one that is gone.
halves = [(block, half) for block in bad for half in (0, 4)]
shares = [halves[n::WRITERS] for n in range(WRITERS)]
for share in shares[1::2]:
    chance.shuffle(share)
lock, times, calm_times, written = threading.Lock(), [], [], {}


def write(n):
    disk = Disk("/dev/mapper/r0")
    for turn, (block, half) in enumerate(shares[n]):
        calm = good[(n * len(shares[n]) + turn) % len(good)]
        seed = (n << 20) + turn + 2
        data, began = pattern(seed, block * 8 + half, 4), time.monotonic()
        end = outcome(disk.write, block * 8 + half, data)
        took = time.monotonic() - began
        if end != "ok":
            raise SystemExit(f"FAIL: write of bad block {block}: {end}; {control.status('r0')}")
        with lock:
            times.append(took)
            written[block, half] = seed
        data, began = pattern(1, calm * 8, 8), time.monotonic()
        end = outcome(disk.write, calm * 8, data)
        calm_times.append(time.monotonic() - began)
        if end != "ok":
            raise SystemExit(f"FAIL: write of good block {calm}: {end}; {control.status('r0')}")
    disk.close()


run_all([lambda n=n: write(n) for n in range(WRITERS)])
state = control.state("r0")
mean = 1000 * sum(times) / len(times)
calm = 1000 * sum(calm_times) / len(calm_times)
print(f"{len(times)} writes of bad blocks: {mean:.2f} ms on average, {1000 * max(times):.0f} ms at most; of good ones {calm:.2f}")
assert state["auto_remaps"] == BAD and state["remapped"] == BAD, state
# The half that was not written first was unreadable; then it was written.
assert state["lost"] == 0 and state["health"] == "ok", state
assert {sector // 8 for sector, _, _ in control.remaps("r0")} == set(bad)
assert mean < 100, f"{mean:.1f} ms for a write that fails, on average"
with open("/tmp/scenario/written", "w") as file:
    for (block, half), seed in written.items():
        file.write(f"{block} {half} {seed}\n")
END
	remove_mapped r0
	make_remap r0 131072 /dev/mapper/main "$spare" 0 32768
	expect_state r0 "1000 0 0 ok" "in the next table"
	python3 -S - <<'END'
from block_io import Disk, expect, pattern

disk, wanted = Disk("/dev/mapper/r0"), bytearray(b"".join(pattern(1, start, 2048) for start in range(0, 131072, 2048)))
with open("/tmp/scenario/written") as file:
    for line in file:
        block, half, seed = map(int, line.split())
        at = block * 8 + half
        wanted[at * 512 : (at + 4) * 512] = pattern(seed, at, 4)
for start in range(0, 131072, 2048):
    expect(disk.read(start, 2048), bytes(wanted[start * 512 : (start + 2048) * 512]), start, "after a reload")
END
}
