# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="a write of one sector moves its block of 1 MiB at once; reads return all other sectors while these are salvaged, and the bad ones stay unread until retry or unremap brings them back"
MACHINES="uml uml-debug"
LONG_MACHINES="uml-smp debian"
TIMEOUT=120

# turn <retry|unremap> <first sector of a block>: damages the block, moves it, uses it while it is salvaged, repairs main
# and brings everything back.
turn() {
	python3 -S - "$1" "$2" "$SEED" "$main" <<'END'
import random
import sys
import time

from block_io import Disk, Model, outcome, pattern
from device_mapper import Control, keepers_rest, settle
from failing import NullBlk

back, first, seed, below = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Disk(sys.argv[4])
chance, control, main = random.Random(seed), Control(), NullBlk("main")
model = Model(Disk("/dev/mapper/r0"), 8192)
model.fill(back)
for sector in (0, 1, 700, 1100, 1500, 2047):
    main.spoil(first + sector)
written = set()


def write(start, count):
    model.write(start, pattern(chance.randrange(1 << 30), start, count))
    written.update(range(start, start + count))


def unread():
    return main.bad - written


def read(start, count):
    """Reads. Only sectors that are bad, and were not written, may make it fail."""
    end = outcome(model.check, start, count)
    bad = unread() & set(range(start, start + count))
    assert end == ("EIO" if bad else "ok"), f"read of {count} at {start}: {end}, bad are {bad}"


began = time.monotonic()
write(first + 1, 1)
took = time.monotonic() - began
state = control.state("r0")
assert (state["remapped"], state["auto_remaps"]) == (1, 1), state
assert state["unread"] > len(unread()), f"{state}: the block was salvaged before the write ended, after {took:.1f} s"
turns = 0
while not keepers_rest():
    turns += 1
    start = first + chance.randrange(2048)
    count = min(chance.choice((1, 1, 8, 100, 2048)), first + 2048 - start)
    if chance.random() < 0.1:
        write(start, min(count, 8))
    read(start, count)
    read(start, 1)
    if turns == 20:
        # The next table goes on where this one has stopped.
        control.replace("r0", f"0 8192 remap {control.table('r0')}")
print(f"written in {took * 1000:.0f} ms, {turns} turns until all was salvaged")
assert turns > 20, f"{turns} turns: too quick to show anything"


def expect_unread(sectors):
    state = control.state("r0")
    assert (state["unread"], state["lost"], state["pending"]) == (len(sectors), 0, 0), f"{state}, expected {sectors}"


expect_unread(unread())
assert unread(), "all bad sectors were written"
with open("/sys/block/nb_main/stat") as file:
    reads = int(file.read().split()[0])
for sector in range(first, first + 2048):
    read(sector, 1)
with open("/sys/block/nb_main/stat") as file:
    assert int(file.read().split()[0]) == reads, "main is read for sectors that it has refused"
main.mend_all()
for sector in range(first, first + 2048):
    bad = sector in {first, first + 700, first + 1100, first + 1500, first + 2047} - written
    assert outcome(model.check, sector, 1) == ("EIO" if bad else "ok"), f"sector {sector} before {back}"
if back == "retry":
    end = control.message("r0", "retry")
    assert end == "cleared 0 pending 0 unread 0", end
else:
    end = control.message("r0", f"unremap {first}")
    assert end == "unremapped 1", end
settle()
expect_unread(set())
model.check_all(f"after {back}")
control.message("r0", "clear")
model.check_all("after clear")
model.disk = below
model.check_all("main")
END
}

test() {
	# Requests take so long that salvage takes many turns even where Python is slow.
	make_null_blk main 4 irqmode=2 completion_nsec=4000000
	make_null_blk spare 8
	make_remap r0 8192 "$main" "$spare" 0 16384 block_size 2048
	turn retry 2048
	turn unremap 4096
}
