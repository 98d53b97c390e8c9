# SPDX-License-Identifier: GPL-2.0
"""Checks every state in which a power cut can leave a spare area, by a log of dm-log-writes.

    log_replay.py MAIN SPARE LOGGED LOG REPLAY OPERATIONS SEED [VARIABLE]

LOGGED is a mapped device over SPARE that logs its writes to LOG. Blocks of MAIN are remapped, unremapped and
written through a table with its spare area on LOGGED. Then the log is replayed to REPLAY. At every flush and every
FUA write the kernel and a second reader of the format load the metadata: each block has to be in its old or its new
place, with contents that it had.

With VARIABLE, the variable of make_null_blk that has MAIN, sectors of MAIN become bad meanwhile, so that writes
relocate blocks and sectors are unread. They are never lost: MAIN has them, and `retry` brings them back.
"""

import itertools
import os
import random
import struct
import sys

from block_io import SECTOR, Disk, expect, outcome, pattern
from device_mapper import Control, settle
from failing import NullBlk
from in_guest import require_guest
from metadata import Area

FLUSH, FUA, DISCARD, MARK = 1, 2, 4, 8
BLOCK, BLOCKS, SPARE_SECTORS = 8, 512, 4800
SECTORS = BLOCK * BLOCKS


class Done:
    """Operation that was carried out, and its changes."""

    def __init__(self, operation, before, after, bad, unread):
        self.verb, *self.what = operation
        # For each block that has changed, true if it is remapped now.
        self.changed = {block: block in after for block in before ^ after}
        self.moved = after - before
        written, _ = self.writes()
        relocates = self.verb in ("write", "durable")
        # Sectors that the operation leaves unread, those that it makes unread only for a moment, and those that it
        # brings back, by a write or from main.
        self.unread, self.briefly, self.back = set(), set(), set(unread) & set(written)
        for block in self.moved:
            sectors = set(range(block * BLOCK, (block + 1) * BLOCK)) - set(written)
            self.unread |= sectors & bad
            if relocates or sectors & bad:
                self.briefly |= sectors - bad
        if self.verb == "retry":
            self.back |= set(unread) - bad

    def writes(self):
        """Returns the sectors that were written, with their seed."""
        if self.verb not in ("write", "durable"):
            return range(0), None
        start, count, seed = self.what
        return range(start, start + count), seed

    def must_be_logged(self):
        """Returns whether the operation needs a flush or a FUA write of the spare."""
        return bool(self.changed or self.back) or self.verb == "flush"


class Past:
    """States that each block and sector may have: the last one that is durable, and all later ones."""

    def __init__(self):
        self.remapped = [{False} for _ in range(BLOCKS)]
        self.seeds = [[0] for _ in range(SECTORS)]
        # For each sector whether it may be unread in its slot, and whether it may have contents there.
        self.unread = [{False} for _ in range(SECTORS)]
        self.unflushed = set()

    def begin(self, done):
        for block, remapped in done.changed.items():
            self.remapped[block].add(remapped)
        sectors, seed = done.writes()
        for sector in sectors:
            self.seeds[sector].append(seed)
        for block in done.moved:
            for sector in range(block * BLOCK, (block + 1) * BLOCK):
                self.unread[sector] = {sector in done.unread}
        for sector in done.briefly | done.back:
            self.unread[sector] = {True, False}

    def end(self, done):
        # The move of a block makes earlier writes to it durable. So is what has come back.
        for block, remapped in done.changed.items():
            self.remapped[block] = {remapped}
        for sector in done.briefly | done.back:
            self.unread[sector] = {False}
        sectors, _ = done.writes()
        for sector in sectors:
            # A write to an unread sector, or with a relocation, is durable when it is acknowledged.
            if done.verb == "durable" or sector // BLOCK in done.moved or sector in done.back:
                self.settle([sector])
            else:
                self.unflushed.add(sector)
        if done.verb == "flush":
            self.settle(self.unflushed)
            self.unflushed = set()

    def settle(self, sectors):
        for sector in sectors:
            del self.seeds[sector][:-1]


class Image:
    """Contents of the spare after a power cut."""

    def __init__(self, disk):
        self.disk = disk
        self.bytes = bytearray(SPARE_SECTORS * SECTOR)

    def put(self, sector, data):
        self.bytes[sector * SECTOR : sector * SECTOR + len(data)] = data
        for at in range(0, len(data), 1 << 20):
            self.disk.write(sector + at // SECTOR, data[at : at + (1 << 20)])

    def read(self, offset, size):
        return bytes(self.bytes[offset : offset + size])

    def restore(self, sector, sectors):
        self.disk.write(sector, self.read(sector * SECTOR, sectors * SECTOR))


def entries(log):
    """Returns (flags, sector, data) of all logged requests, in order."""
    magic, _, count, size = struct.unpack_from("<QQQI", log.read(0, 1))
    assert (magic, size) == (0x6A736677736872, SECTOR), "no log"
    at = 1
    for _ in range(count):
        sector, sectors, flags, length = struct.unpack_from("<QQQQ", log.read(at, 1))
        at += 1
        if flags & MARK:
            text = log.read(at - 1, 1)[32 : 32 + length]
            yield flags, 0, text
            continue
        data = b""
        if flags & DISCARD:
            data = bytes(sectors * SECTOR)
        else:
            while len(data) < sectors * SECTOR:
                part = min(1024, sectors - len(data) // SECTOR)
                data += log.read(at, part)
                at += part
        yield flags, sector, data


class Test:
    def __init__(self, words):
        self.main, spare, self.logged, log, replay, count, seed, *variable = words
        self.disk = NullBlk(variable[0]) if variable else None
        self.unread, self.relocations = set(), 0
        self.count, self.chance = int(count), random.Random(int(seed))
        self.control = Control()
        self.log, self.image = Disk(log), Image(Disk(replay))
        self.replay, self.unflushed = replay, set()
        for start in range(0, SPARE_SECTORS, 64):
            self.image.disk.write(start, bytes(min(64, SPARE_SECTORS - start) * SECTOR))

    def table(self, spare):
        return f"0 {SECTORS} remap {self.main} {spare} 0 {SPARE_SECTORS}"

    def an_operation(self, seed):
        verbs = ["remap", "unremap", "write", "write", "durable", "flush"]
        if self.disk:
            verbs += ["spoil", "write", "durable", "read", self.chance.choice(("mend", "spoil", "retry"))]
        verb = self.chance.choice(verbs)
        if verb in ("flush", "mend", "retry"):
            return (verb,)
        if verb == "spoil":
            return verb, self.chance.randrange(SECTORS), 1
        if verb in ("remap", "unremap"):
            first = self.chance.randrange(BLOCKS)
            return verb, first, min(BLOCKS, first + self.chance.choice((1, 1, 1, 3, 40)))
        start = self.chance.randrange(SECTORS)
        if self.disk and self.disk.bad and self.chance.random() < 0.5:
            # Often starts at or before a bad sector.
            start = max(0, self.chance.choice(sorted(self.disk.bad)) - self.chance.randrange(4))
        count = min(self.chance.choice((1, 3, 8, 20)), SECTORS - start)
        if verb == "durable" and not self.unflushed.isdisjoint(range(start, start + count)):
            # A FUA write to sectors with unflushed writes: dm-log-writes would log these behind the mark.
            return ("flush",)
        return verb, start, count, seed

    def carry_out(self, operation, plain, durable):
        verb, *what = operation
        if verb in ("remap", "unremap"):
            first, end = what
            return self.control.outcome("r0", f"{verb} {first * BLOCK} {(end - first) * BLOCK}")
        if verb == "flush":
            return outcome(plain.flush)
        if verb == "spoil":
            # null_blk has room for 512 ranges.
            if len(self.disk.bad) < 300:
                self.disk.spoil(*what)
        elif verb == "mend":
            if self.disk.bad:
                self.disk.mend(self.chance.choice(sorted(self.disk.bad)))
        elif verb == "mend all":
            self.disk.mend_all()
        elif verb == "retry":
            return self.control.outcome("r0", "retry")
        elif verb == "read":
            return outcome(plain.read, *what[:2])
        else:
            disk = durable if verb == "durable" else plain
            return outcome(disk.write, what[0], pattern(what[2], *what[:2]))
        return "ok"

    def places(self):
        return {sector // BLOCK for sector, _, _ in self.control.remaps("r0")}

    def one(self, operation, plain, durable):
        """Carries out an operation, checks its end, and returns its changes."""
        verb, *what = operation
        before = self.places()
        end = self.carry_out(operation, plain, durable)
        settle()
        after = self.places()
        bad = self.disk.bad if self.disk else set()
        done = Done(operation, before, after, bad, self.unread)
        sectors, _ = done.writes()
        if verb in ("remap", "unremap"):
            # Blocks stay on the spare whose contents are to go to bad sectors of main. Unread sectors have none.
            left = set(range(*what)) & after if verb == "unremap" else set(range(*what)) - after
            stuck = {sector // BLOCK for sector in bad - self.unread}
            assert not left or (verb == "unremap" and left & stuck), f"{operation}: {end}, {left}"
        elif verb == "read":
            readable = not any(self.unreadable(sector, after) for sector in range(what[0], what[0] + what[1]))
            assert end == ("ok" if readable else "EIO"), f"{operation}: {end}"
        elif verb == "retry":
            assert end.startswith("cleared ") and end.endswith(f" unread {len(self.unread & bad)}"), f"{operation}: {end}"
        else:
            # No writer sees an error.
            assert end == "ok", f"{operation}: {end}"
        if verb in ("write", "durable"):
            self.relocations += len(done.moved)
            struck = {sector // BLOCK for sector in sectors if sector in bad}
            assert struck <= after, f"{operation} has not moved {struck - after}"
        self.unread = {sector for sector in (self.unread | done.unread) - done.back if sector // BLOCK in after}
        state = self.control.state("r0")
        assert (state["unread"], state["lost"]) == (len(self.unread), 0), f"{operation}: {state}, expected {len(self.unread)} unread"
        return done

    def unreadable(self, sector, places):
        return sector in self.unread if sector // BLOCK in places else sector in self.disk.bad

    def work(self):
        """Carries out all operations, with a mark in the log after each."""
        control = self.control
        control.create("r0")
        control.load("r0", self.table(f"/dev/mapper/{self.logged}"))
        control.resume("r0")
        os.mknod("/dev/mapper/r0", 0o60600, control.number("r0"))
        plain = Disk("/dev/mapper/r0")
        durable = Disk("/dev/mapper/r0", os.O_DSYNC)
        for start in range(0, SECTORS, 256):
            plain.write(start, pattern(0, start, 256))
        plain.flush()
        for _ in range(40 if self.disk else 0):
            self.disk.spoil(self.chance.randrange(SECTORS))
        control.message(self.logged, "mark begin")
        done, held = [], [0] * SECTORS
        operations = (self.an_operation(n + 1) for n in range(self.count))
        for operation in itertools.chain(operations, [("mend all",), ("retry",)] if self.disk else []):
            verb, *what = operation
            if verb in ("write", "durable"):
                held[what[0] : what[0] + what[1]] = [what[2]] * what[1]
            if verb == "write":
                self.unflushed.update(range(what[0], what[0] + what[1]))
            elif verb == "flush":
                self.unflushed.clear()
            done.append(self.one(operation, plain, durable))
            control.message(self.logged, "mark done")
        assert not self.unread, f"{len(self.unread)} sectors are unread on a good disk"
        for sector, seed in enumerate(held):
            expect(plain.read(sector, 1), pattern(seed, sector, 1), sector, "at the end")
        plain.close()
        durable.close()
        control.remove("r0")
        os.unlink("/dev/mapper/r0")
        # The log is complete when its device has gone.
        control.remove(self.logged)
        return done

    def load(self, read_only):
        """Returns the remaps that the kernel loads."""
        self.control.create("replay")
        try:
            self.control.load("replay", self.table(self.replay), read_only)
            self.control.resume("replay")
            return self.control.remaps("replay")
        finally:
            self.control.remove("replay")

    def check(self, past, cut):
        remaps = self.load(read_only=True)
        area = Area(self.image, 0, SPARE_SECTORS)
        places = {sector // BLOCK: place for sector, place, _ in remaps}
        found = area.remaps()
        seen = {block: area.slot_sector(slot) for block, (slot, _) in found.items()}
        assert seen == places, f"cut {cut}: the kernel finds {places}, the second reader {seen}"
        for block in range(BLOCKS):
            if (block in places) not in past.remapped[block]:
                raise SystemExit(f"FAIL: cut {cut}: block {block} remapped: {block in places}, expected one of {past.remapped[block]}")
        for block, place in places.items():
            data = self.image.read(place * SECTOR, BLOCK * SECTOR)
            for n in range(BLOCK):
                sector = block * BLOCK + n
                part = data[n * SECTOR : (n + 1) * SECTOR]
                states = found[block][1]
                if states.lost >> n & 1:
                    raise SystemExit(f"FAIL: cut {cut}: sector {sector} is lost")
                unread = bool(states.unread >> n & 1)
                if unread not in past.unread[sector]:
                    raise SystemExit(f"FAIL: cut {cut}: sector {sector} unread: {unread}, expected one of {past.unread[sector]}")
                if unread:
                    continue
                if not any(part == pattern(seed, sector, 1) for seed in past.seeds[sector]):
                    held = [seed for seed in range(self.count + 1) if part == pattern(seed, sector, 1)]
                    raise SystemExit(
                        f"FAIL: cut {cut}: sector {sector}, in {place + n}, has the seeds {held}, expected one of {past.seeds[sector]}"
                    )
        # A load that may write repairs the area, which then has to have the same remaps. It may have begun to salvage
        # what main was not asked for.
        repaired = self.load(read_only=False)
        untried = {block * BLOCK for block, (_, states) in found.items() if states.untried}
        same = [(sector, place, flags) for sector, place, flags in repaired if sector not in untried or flags != "-"]
        salvaged = [(sector, place, "unread") for sector, place, flags in repaired if sector in untried and flags == "-"]
        assert sorted(same + salvaged) == remaps, f"cut {cut}: the repair changes the remaps"
        for sector in untried:
            self.image.restore(places[sector // BLOCK], BLOCK)
        self.image.restore(0, area.half)
        self.image.restore(SPARE_SECTORS - area.half, area.half)

    def run(self):
        done = self.work()
        past, n, cuts, due, begun = Past(), 0, 0, 0, False
        for flags, sector, data in entries(self.log):
            if flags & MARK:
                if data.startswith(b"done"):
                    past.end(done[n])
                    n += 1
                begun = True
                if n < len(done):
                    due += done[n].must_be_logged()
                    past.begin(done[n])
                continue
            if data:
                self.image.put(sector, data)
            if begun and flags & (FLUSH | FUA):
                self.check(past, cuts)
                cuts += 1
        assert n == len(done), f"{n} of {len(done)} operations in the log"
        print(f"{len(done)} operations, {cuts} cuts, {self.relocations} blocks relocated by errors")
        assert bool(self.disk) == (self.relocations > 0)
        # There is at least a cut for each operation that needs one. A short run may have few of these.
        assert cuts >= due > max(0, len(done) - 60) // 6, f"{cuts} cuts, but {due} operations need a flush or a FUA write"


if __name__ == "__main__":
    require_guest()
    Test(sys.argv[1:]).run()
