# SPDX-License-Identifier: GPL-2.0
"""Reads, writes, remaps and unremaps at random, and compares all results with a model.

    random_walk.py NAME BLOCK SPARE_BLOCKS STEPS SEED [MAIN MAIN_START SPARE]

The model has the contents of /dev/mapper/NAME and the blocks that are remapped, so that every reply is known in
advance, too. If MAIN and SPARE are given, their contents are compared as well.
"""

import random
import sys

from block_io import MOST, SECTOR, Disk, Model, expect, pattern
from device_mapper import Control
from in_guest import require_guest


class Walk:
    def __init__(self, name, block, slots, seed):
        self.name, self.block, self.slots = name, block, slots
        self.random = random.Random(seed)
        self.control = Control()
        disk = Disk(f"/dev/mapper/{name}")
        self.model = Model(disk, disk.sectors())
        self.blocks = -(-self.model.sectors // block)
        self.remapped = set()
        # Blocks that are chosen often: the first, the last, and some others with their neighbours, which share a
        # word of the index.
        self.hot = [0, self.blocks - 1] + [self.random.randrange(self.blocks) for _ in range(8)]
        self.done = {}

    def a_block(self):
        if self.random.random() < 0.5:
            return max(0, min(self.blocks - 1, self.random.choice(self.hot) + self.random.randrange(-2, 3)))
        return self.random.randrange(self.blocks)

    def a_range(self, most):
        """Returns a range of sectors, often around the edge of a block."""
        start = self.a_block() * self.block + self.random.choice((0, 0, 1, self.block - 1, self.random.randrange(self.block)))
        start = min(start, self.model.sectors - 1)
        kind = self.random.random()
        if kind < 0.3:
            count = self.random.randrange(1, 9)
        elif kind < 0.6:
            count = self.block * self.random.randrange(1, 4)
        else:
            count = 1 << self.random.randrange(12)
        return start, max(1, min(count, most, self.model.sectors - start))

    def read(self):
        self.model.check(*self.a_range(MOST), "read")

    def write(self):
        start, count = self.a_range(MOST)
        self.model.write(start, pattern(self.random.randrange(1 << 30), start, count))

    def touched(self, start, count):
        return range(start // self.block, (start + count - 1) // self.block + 1)

    def remap(self):
        start, count = self.a_range(max(1, self.slots * self.block // 4))
        blocks, moved = self.touched(start, count), 0
        wanted = None
        for block in blocks:
            if block in self.remapped:
                continue
            if len(self.remapped) == self.slots:
                wanted = "ENOSPC"
                break
            self.remapped.add(block)
            moved += 1
        found = self.control.outcome(self.name, f"remap {start} {count}")
        if wanted is None and len(blocks) > 1:
            wanted = f"remapped {moved} already {len(blocks) - moved}"
        elif wanted is None and moved == 0:
            wanted = "EEXIST"
        elif wanted is None:
            first = blocks[0] * self.block
            wanted = self.control.message(self.name, f"verify {start}")
            assert wanted.startswith(f"sector {first} -> spare "), wanted
        assert found == wanted, f"remap {start} {count}: {found}, expected {wanted}"

    def unremap(self):
        start, count = self.a_range(self.model.sectors)
        blocks = self.touched(start, count)
        moved = self.remapped.intersection(blocks)
        self.remapped -= moved
        found = self.control.outcome(self.name, f"unremap {start} {count}")
        wanted = "ENODATA" if len(blocks) == 1 and not moved else f"unremapped {len(moved)}"
        assert found == wanted, f"unremap {start} {count}: {found}, expected {wanted}"

    def check_list(self):
        listed = self.control.remaps(self.name, self.random.choice((None, 1, 7)))
        sectors = [sector for sector, _, _ in listed]
        wanted = [block * self.block for block in sorted(self.remapped)]
        assert sectors == wanted, f"list: {sectors}, expected {wanted}"
        places = [spare for _, spare, _ in listed]
        assert len(set(places)) == len(places), f"list: two blocks have one spare block: {listed}"
        return listed

    def go(self, steps):
        ways = [self.read] * 6 + [self.write] * 6 + [self.remap] * 3 + [self.unremap] * 2
        for _ in range(steps):
            step = self.random.choice(ways)
            step()
            self.done[step.__name__] = self.done.get(step.__name__, 0) + 1
        self.model.check_all()
        self.check_list()

    def check_below(self, main, main_start, spare):
        """Checks that every block is in the place that `list` prints."""
        places = {sector // self.block: place for sector, place, _ in self.check_list()}
        for block in range(self.blocks):
            start = block * self.block
            count = min(self.block, self.model.sectors - start)
            disk, at = (spare, places[block]) if block in places else (main, main_start + start)
            expect(disk.read(at, count), self.model.wanted(start, count), at, f"block {block} on {disk.path}")


def main():
    name, block, slots, steps, seed, *below = sys.argv[1:]
    walk = Walk(name, int(block), int(slots), int(seed))
    walk.model.fill(seed)
    walk.go(int(steps))
    if below:
        walk.check_below(Disk(below[0]), int(below[1]), Disk(below[2]))
    print(f"{name}: {walk.done}, {len(walk.remapped)} remapped at the end, {len(walk.model.bytes) // SECTOR} sectors compared")


if __name__ == "__main__":
    require_guest()
    main()
