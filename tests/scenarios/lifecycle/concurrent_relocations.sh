# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="of several concurrent relocations of one block exactly one is done, and its data stays right"
MACHINES="uml uml-smp"
TIMEOUT=120

test() {
	make_null_blk main 2
	# A copy takes some milliseconds, so that both relocations are in progress at once.
	make_null_blk spare 1 irqmode=2 completion_nsec=3000000
	make_remap r0 4096 "$main" "$spare" 0 1024
	python3 -S - "$(scaled 150)" <<'END'
import os
import random
import sys
import threading

from block_io import Disk, Model, pattern
from device_mapper import Control

control, device = Control(), Disk("/dev/mapper/r0")
model = Model(device, 4096)
model.fill(0)
chance = random.Random(int(os.environ["SEED"]))


def together(*texts):
    """Sends the messages at the same time, under I/O to the block. Returns the first words of their replies."""
    ends, barrier = [None] * len(texts), threading.Barrier(len(texts))

    def one(n):
        mine = Control()
        barrier.wait()
        ends[n] = mine.outcome("r0", texts[n])

    threads = [threading.Thread(target=one, args=(n,)) for n in range(len(texts))]
    for thread in threads:
        thread.start()
    # I/O to the block meanwhile.
    model.write(sector + 1, pattern(chance.random(), sector + 1, 3))
    model.check(sector, 8, "while it moves")
    for thread in threads:
        thread.join()
    return sorted(end.split(" ")[0] for end in ends)


for turn in range(int(sys.argv[1])):
    sector = chance.randrange(512) * 8
    ends = together(f"remap {sector}", f"remap {sector + 7}")
    assert ends == ["EEXIST", "sector"], ends
    model.check(sector, 8, "remapped by one of two")
    ends = together(f"unremap {sector}", f"unremap {sector + 3}", f"unremap {sector}")
    assert ends == ["ENODATA", "ENODATA", "unremapped"], ends
    model.check(sector, 8, "moved back by one of three")
    # A remap and an unremap: any order is right, but the state has to agree with the replies.
    ends = together(f"remap {sector}", f"unremap {sector}")
    assert ends in (["ENODATA", "sector"], ["sector", "unremapped"]), ends
    listed = len(control.remaps("r0"))
    assert listed == (1 if "ENODATA" in ends else 0), (ends, listed)
    model.check(sector, 8)
    control.message("r0", "clear")
model.check_all()
END
}
