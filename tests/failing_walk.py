# SPDX-License-Identifier: GPL-2.0
"""Random operations on a remap device whose disks fail, compared with a model.

    failing_walk.py NAME MAIN SPARE STEPS SEED START     MAIN and SPARE: the variables of make_null_blk

The remap device exists. It begins at sector START of main and uses the whole of SPARE; logical blocks have one
sector. The model has the contents of each sector, or several if a write has failed. A read has to return one of
them, or EIO if one of its sectors is bad in its present place, may be unread because it was bad on main when its block
moved, or may be lost because it was bad in the slot that its block left. Anything else is an error: zeros, older data,
EIO for readable sectors, an unread sector that main can read after `retry` or `unremap`, and a failed write while a
spare block is free.
"""

import os
import random
import re
import sys
import time

from block_io import MOST, SECTOR, Disk, outcome, pattern
from device_mapper import Control, settle
from failing import NullBlk
from in_guest import require_guest

ANYTHING = None
RANGE_REPLY = re.compile(r"sector \d+ -> spare \d+|remapped \d+ already \d+")


class Walk:
    def __init__(self, name, main, spare, seed, start):
        self.name, self.random, self.control = name, random.Random(seed), Control()
        self.main, self.spare = NullBlk(main, start), NullBlk(spare)
        self.disk = Disk(f"/dev/mapper/{name}")
        self.sectors = self.disk.sectors()
        state = self.control.state(name)
        self.block, self.slots = state["block"], state["slots"]
        self.blocks = -(-self.sectors // self.block)
        # Contents that each sector may have: bytes, or ANYTHING.
        self.held = [()] * self.sectors
        self.places, self.flags, self.may_be_unread, self.may_be_lost = {}, {}, set(), set()
        # Slots that have ever been bad: the target may have set them aside.
        self.spoilt_slots = set()
        self.policy, self.done, self.ends = "relocate", {}, {}
        self.hot = [0, self.blocks - 1] + [self.random.randrange(self.blocks) for _ in range(8)]

    # Rules of the model.

    def fill(self, seed):
        for start in range(0, self.sectors, MOST):
            count = min(MOST, self.sectors - start)
            data = pattern(seed, start, count)
            self.disk.write(start, data)
            self.hold(start, data)

    def hold(self, start, data):
        for n in range(len(data) // SECTOR):
            self.held[start + n] = (data[n * SECTOR : (n + 1) * SECTOR],)

    def blocks_of(self, start, count):
        return range(start // self.block, (start + count - 1) // self.block + 1)

    def sectors_of(self, block):
        return range(block * self.block, min(self.sectors, (block + 1) * self.block))

    def bad_below(self, sector):
        """Returns whether the sector is bad in its present place."""
        place = self.places.get(sector // self.block)
        if place is None:
            return sector in self.main.bad
        return place + sector % self.block in self.spare.bad

    def may_fail(self, sector):
        return sector in self.may_be_unread or sector in self.may_be_lost or self.bad_below(sector)

    def is_tried(self, block):
        """Returns whether main was asked for all unread sectors of the block. It was not if they have no slot to go to."""
        return "unread" not in self.flags.get(block, "-") or self.places[block] not in self.spoilt_slots

    def are_tried(self):
        return all(map(self.is_tried, self.places))

    def look(self, written=range(0), ended=True):
        """Updates the places of the blocks. `written`: sectors that were just written."""
        settle()
        before, self.places, self.flags = self.places, {}, {}
        for sector, place, flags in self.control.remaps(self.name):
            self.places[sector // self.block] = place
            self.flags[sector // self.block] = flags
        for block in before.keys() | self.places.keys():
            old, new = before.get(block), self.places.get(block)
            if old == new:
                continue
            for sector in self.sectors_of(block):
                if new is None or sector in written and ended:
                    # A block with lost sectors never moves back to main, which has the unread ones.
                    continue
                if old is None and sector in self.main.bad:
                    self.may_be_unread.add(sector)
                if old is not None and old + sector % self.block in self.spare.bad:
                    self.may_be_lost.add(sector)
        for sector in list(self.may_be_unread):
            if "unread" not in self.flags.get(sector // self.block, "-"):
                self.may_be_unread.remove(sector)
        for sector in list(self.may_be_lost):
            if "lost" not in self.flags.get(sector // self.block, "-"):
                self.may_be_lost.remove(sector)
        slots = list(self.places.values())
        assert len(set(slots)) == len(slots), f"a spare block has two blocks: {self.places}"
        return {block for block, place in self.places.items() if before.get(block) != place}

    def free_at_least(self):
        used = {place for place in self.places.values()}
        return self.slots - len(used | self.spoilt_slots)

    def may_refuse(self, start, count):
        """Returns whether the policy, or too few spares, may make a write fail."""
        touched = self.blocks_of(start, count)
        if self.policy != "relocate" and any(map(self.bad_below, range(start, start + count))):
            return True
        return self.free_at_least() < len(touched)

    # Operations.

    def a_range(self, most):
        """Returns a random range of sectors, often near the hot blocks."""
        if self.random.random() < 0.5:
            block = max(0, min(self.blocks - 1, self.random.choice(self.hot) + self.random.randrange(-2, 3)))
        else:
            block = self.random.randrange(self.blocks)
        start = block * self.block + self.random.choice((0, 0, 1, self.block - 1, self.random.randrange(self.block)))
        start = min(start, self.sectors - 1)
        kind = self.random.random()
        if kind < 0.4:
            count = self.random.randrange(1, 9)
        elif kind < 0.8:
            count = self.block * self.random.randrange(1, 4)
        else:
            count = 1 << self.random.randrange(11)
        return start, max(1, min(count, most, self.sectors - start))

    def check(self, start, count, what="read"):
        end = None
        try:
            data = self.disk.read(start, count)
        except OSError as error:
            end = error.errno
        if end is not None:
            failing = [sector for sector in range(start, start + count) if self.may_fail(sector)]
            assert end == 5 and failing, f"{what} of {count} at {start}: errno {end}, although no sector is bad; {self.describe(start)}"
            return False
        for n in range(count):
            sector, found = start + n, data[n * SECTOR : (n + 1) * SECTOR]
            # A sector that may be unread or lost has the right contents, too, if it can be read.
            wanted = self.held[sector]
            if ANYTHING not in wanted and found not in wanted:
                raise SystemExit(
                    f"FAIL: {what}: sector {sector} begins {found[:16].hex()}, "
                    f"expected one of {[value[:16].hex() for value in wanted]}; {self.describe(sector)}"
                )
            self.held[sector] = (found,)
            self.may_be_lost.discard(sector)
            if self.is_tried(sector // self.block):
                self.may_be_unread.discard(sector)
        return True

    def describe(self, sector):
        return (
            f"block {sector // self.block} is at {self.places.get(sector // self.block, 'main')}, bad there: "
            f"{[s for s in self.sectors_of(sector // self.block) if self.bad_below(s)]}; {self.control.status(self.name)}"
        )

    def read(self):
        untried = {block for block in self.places if not self.is_tried(block)}
        self.check(*self.a_range(MOST))
        # The keeper moves what has no slot to go to.
        assert self.look() <= untried, "a read has moved a block"

    def put(self, start, data, call, *arguments):
        """Carries out a write by `call`, checks its end, and updates the model."""
        count = len(data) // SECTOR
        sectors = range(start, start + count)
        end = outcome(call, *arguments)
        may = self.may_refuse(start, count)
        assert end == "ok" or (may and end in ("EIO", "ENOSPC")), f"write of {count} at {start}: {end}; {self.describe(start)}"
        self.look(sectors, end == "ok")
        self.ends[end] = self.ends.get(end, 0) + 1
        if end == "ok":
            self.hold(start, data)
            self.may_be_lost.difference_update(sectors)
            self.may_be_unread.difference_update(sectors)
            stuck = [sector for sector in sectors if self.bad_below(sector)]
            assert not stuck, f"write of {count} at {start} succeeded with bad sectors {stuck}; {self.describe(stuck[0])}"
            return
        for n, sector in enumerate(sectors):
            # Each sector has the old or the new contents.
            self.held[sector] += (data[n * SECTOR : (n + 1) * SECTOR],)

    def write(self):
        start, count = self.a_range(MOST)
        data = pattern(self.random.randrange(1 << 30), start, count)
        self.put(start, data, self.disk.write, start, data)

    def zero(self):
        start, count = self.a_range(256)
        self.put(start, bytes(count * SECTOR), self.disk.zero_out, start, count)

    def discard(self):
        start, count = self.a_range(256)
        end = outcome(self.disk.discard, start, count)
        failing = any(self.may_fail(sector) for sector in range(start, start + count))
        assert end in ("ok", "EOPNOTSUPP") or failing, f"discard of {count} at {start}: {end}"
        for sector in range(start, start + count):
            self.held[sector] = (ANYTHING,)
        self.look()

    def flush(self):
        self.disk.flush()

    def tell(self, text):
        """Sends a message. Returns the reply, or the name of the errno."""
        end = self.control.outcome(self.name, text)
        self.done[text.split(" ")[0]] = self.done.get(text.split(" ")[0], 0) + 1
        return end

    def remap(self):
        start, count = self.a_range(self.block * 4)
        end = self.tell(f"remap {start} {count}")
        free = self.free_at_least()
        self.look()
        blocks = set(self.blocks_of(start, count))
        if RANGE_REPLY.fullmatch(end):
            assert blocks <= self.places.keys(), f"remap {start} {count}: {end}, {self.places}"
        else:
            # A message may fail on a bad spare block; the sender may repeat it.
            assert end == "EEXIST" or (end in ("ENOSPC", "EIO") and (free < len(blocks) or self.spare.bad)), f"remap {start} {count}: {end}"

    def bad(self):
        start, count = self.a_range(self.block * 2)
        end = self.tell(f"bad {start} {count}")
        free = self.free_at_least()
        moved = self.places.keys()
        for block in self.look() - moved:
            self.may_be_unread.update(self.sectors_of(block))
        blocks = set(self.blocks_of(start, count))
        if RANGE_REPLY.fullmatch(end):
            assert blocks <= self.places.keys(), f"bad {start} {count}: {end}"
        else:
            assert end == "EEXIST" or (end in ("ENOSPC", "EIO") and (free < len(blocks) or self.spare.bad)), f"bad {start} {count}: {end}"

    def unremap(self):
        start, count = self.a_range(self.block * 8)
        end = self.tell(f"unremap {start} {count}")
        blocks = set(self.blocks_of(start, count)) & self.places.keys()
        sectors = [sector for block in blocks for sector in self.sectors_of(block)]
        trouble = any(sector in self.may_be_lost or sector in self.main.bad or self.bad_below(sector) for sector in sectors)
        self.look()
        assert end == "ENODATA" or end.startswith("unremapped ") or (end == "EIO" and trouble), f"unremap {start} {count}: {end}"
        if end.startswith("unremapped ") or end == "ENODATA":
            assert not set(self.blocks_of(start, count)) & self.places.keys(), f"unremap {start} {count}: {end}"

    def retry(self):
        end = self.tell("retry")
        reply = re.fullmatch(r"cleared \d+ pending (\d+) unread (\d+)", end)
        assert reply, f"retry: {end}"
        self.look()
        state = self.control.state(self.name)
        assert (state["pending"], state["unread"]) == tuple(map(int, reply.groups())), f"retry: {end}, and then {state}"
        if not self.main.bad:
            assert state["pending"] == 0, f"retry: {end} on a disk without bad sectors"
        for sector in list(self.may_be_unread):
            # What main can read has come back.
            if self.is_tried(sector // self.block) and sector not in self.main.bad:
                self.may_be_unread.remove(sector)
        assert state["unread"] <= len(self.may_be_unread), f"retry: {end}, but main can read all but {self.may_be_unread}"

    def set_policy(self):
        self.policy = self.random.choice(("relocate", "relocate", "relocate", "record", "off"))
        end = self.tell(f"policy {self.policy}")
        assert end is None, f"policy: {end}"

    def save(self):
        end = self.tell("save")
        assert end == "metadata saved", f"save: {end}"

    def spoil(self):
        if len(self.main.bad) > self.sectors // 16:
            return self.mend()
        first, _ = self.a_range(1)
        self.main.spoil(first, min(self.random.choice((1, 1, 2, 9)), self.sectors - first))

    def mend(self):
        if self.main.bad:
            self.main.mend(self.random.choice(sorted(self.main.bad)))

    def spoil_spare(self):
        # Only slots become bad, and not too many: other tests cover bad metadata.
        if not self.places or len(self.spoilt_slots) > self.slots // 4:
            return self.mend_spare()
        slot = self.random.choice(sorted(self.places.values()))
        if self.random.random() < 0.5:
            # A slot further on, which may be the next free one.
            slot += self.block * self.random.randrange(3)
            if slot > max(self.places.values()):
                slot = max(self.places.values())
        sector = slot + self.random.randrange(self.block)
        self.spare.spoil(sector)
        self.spoilt_slots.add(slot)

    def mend_spare(self):
        if self.spare.bad:
            self.spare.mend(self.random.choice(sorted(self.spare.bad)))

    def reload(self):
        """Replaces the table, with the device open or closed. Remaps, unread and lost sectors have to stay."""
        control, before = self.control, self.kept()
        table = f"0 {self.sectors} remap {control.table(self.name)}"
        if self.random.random() < 0.5:
            control.replace(self.name, table, self.random.random() < 0.5)
        else:
            self.disk.close()
            control.suspend(self.name)
            control.load(self.name, table)
            control.resume(self.name)
            self.disk = Disk(f"/dev/mapper/{self.name}")
        after = self.kept()
        assert after == before, f"after a reload: {after}, before: {before}"

    def kept(self):
        """Returns what a new table has to know: remaps, unread and lost sectors."""
        settle()
        remaps, state = self.control.remaps(self.name), self.control.state(self.name)
        if not self.are_tried():
            # The new table tries again, and what it salvages may go to another slot.
            return [sector for sector, _, _ in remaps]
        return remaps, state["unread"], state["lost"]

    def again(self):
        """Removes the device and makes it again, as a reboot does. Remaps, unread and lost sectors have to stay."""
        control, before = self.control, self.kept()
        table = f"0 {self.sectors} remap {control.table(self.name)}"
        self.disk.close()
        for _ in range(100):
            try:
                control.remove(self.name)
                break
            except OSError:
                # udev, or another process that probes the device, has it open.
                time.sleep(0.05)
        control.create(self.name)
        control.load(self.name, table)
        control.resume(self.name)
        path = f"/dev/mapper/{self.name}"
        if os.path.lexists(path):
            os.unlink(path)
        os.mknod(path, 0o60600, control.number(self.name))
        self.disk = Disk(path)
        after = self.kept()
        assert after == before, f"in the next table: {after}, before: {before}"

    # Runs of random operations.

    def check_all(self):
        """Reads everything. Returns the number of unreadable sectors, each of which has a reason."""
        unreadable = set()
        for start in range(0, self.sectors, 64):
            count = min(64, self.sectors - start)
            if self.check(start, count, "read of everything"):
                continue
            for sector in range(start, start + count):
                if not self.check(sector, 1, "read of everything, one by one"):
                    unreadable.add(sector)
        state = self.control.state(self.name)
        missing, found = state["unread"] + state["lost"], unreadable & (self.may_be_unread | self.may_be_lost)
        # What is in a slot and cannot be read there may be neither.
        least = sum(not self.bad_below(sector) for sector in found)
        if self.are_tried():
            assert least <= missing <= len(found), f"{state}, but {sorted(found)} have no contents, {least} of them for sure"
        return len(unreadable)

    def check_state(self):
        state = self.control.state(self.name)
        assert state["remapped"] == len(self.places), f"{state}, {len(self.places)} are listed"
        assert state["lost"] <= len(self.may_be_lost), f"{state}, but only {len(self.may_be_lost)} sectors may be lost"
        assert state["unread"] <= len(self.may_be_unread), f"{state}, but only {len(self.may_be_unread)} sectors may be unread"
        assert state["metadata"] in ("ok", "degraded"), state
        assert state["health"] in ("ok", "degraded", "spare_low", "spare_full"), state
        if state["health"] == "ok":
            assert state["unread"] == state["lost"] == state["pending"] == 0, state
        if self.policy == "relocate" and state["unread"] + state["lost"] + state["pending"] > 0:
            assert state["health"] != "ok", state

    def ways(self):
        ways = [self.read] * 12 + [self.write] * 12 + [self.zero] * 2 + [self.discard, self.flush]
        ways += [self.remap, self.bad] + [self.unremap] * 3 + [self.retry, self.set_policy, self.save]
        return ways + [self.spoil] * 4 + [self.mend] * 2 + [self.spoil_spare, self.mend_spare, self.reload]

    def go(self, steps):
        ways = self.ways()
        for n in range(steps):
            way = self.random.choice(ways)
            if self.random.random() < 0.01:
                way = self.again
            self.done[way.__name__] = self.done.get(way.__name__, 0) + 1
            way()
            if n % 50 == 49:
                self.look()
                self.check_all()
                self.check_state()

    def end(self, seed):
        """Repairs all disks. Checks that all unread sectors come back, that everything can be written, and that no sector
        is unread or lost and no block pending then."""
        unreadable = self.check_all()
        print(f"{len(self.places)} blocks remapped, {unreadable} sectors unreadable, {len(self.main.bad)} bad ones of main")
        self.main.mend_all()
        self.spare.mend_all()
        self.tell("policy relocate")
        self.policy = "relocate"
        self.retry()
        state = self.control.state(self.name)
        if self.free_at_least() > 0:
            assert state["unread"] == 0, f"{state} after a retry on good disks"
        assert self.check_all() == state["unread"] + state["lost"], f"{state} on good disks"
        self.fill(seed)
        self.may_be_lost.clear()
        self.may_be_unread.clear()
        self.look()
        self.check_all()
        self.tell("retry")
        state = self.control.state(self.name)
        assert (state["unread"], state["lost"], state["pending"]) == (0, 0, 0), state
        self.again()
        assert self.check_all() == 0
        end = self.control.outcome(self.name, "clear")
        assert end.startswith("cleared "), end
        self.look()
        assert not self.places
        assert self.check_all() == 0


def main():
    name, main_disk, spare_disk, steps, seed, start = sys.argv[1:]
    print("seed", seed)
    walk = Walk(name, main_disk, spare_disk, int(seed), int(start))
    walk.fill(seed)
    walk.go(int(steps))
    walk.end(f"{seed} again")
    print(walk.done, "writes:", walk.ends)


if __name__ == "__main__":
    require_guest()
    main()
