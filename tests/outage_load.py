# SPDX-License-Identifier: GPL-2.0
"""Outages of the disks of a remap device under load, compared with a model of the contents.

    outage_load.py NAME SEED MAIN SPARE WAY...     MAIN and SPARE: the devices below /dev/mapper/main and spare
                                                   WAY: <main|spare> <seconds> <busy|idle>, in one word with commas

Bios of all kinds, messages, scrubs, suspensions and reloads go on all the time; with `idle` they rest from the middle
of the outage on until the device is back. Each sector has the contents of the last write that was acknowledged, or
of one that has failed since. Errors are allowed from the begin of an outage until health and metadata are what they
were, which has to be within 30 s of its end.
"""

import os
import random
import sys
import threading
import time

from block_io import MOST, SECTOR, Disk, outcome, pattern
from device_mapper import Control, settle
from failing import run_all
from in_guest import require_guest

RWF_DSYNC, RWF_NOWAIT = 2, 8
REGIONS, REGION = 4, 2048
CALM_ERRORS = {"EEXIST", "ENODATA", "EAGAIN", "EBUSY"}
OUTAGE_ERRORS = CALM_ERRORS | {"EIO", "ENOLINK", "ENOSPC"}
BACK_WITHIN = 30
# Seeds that stand for something else than a pattern.
ZEROS, ANYTHING = "zeros", "anything"


class Load:
    def __init__(self, name, seed):
        self.name, self.seed, self.control = name, seed, Control()
        self.sectors = Disk(f"/dev/mapper/{name}").sectors()
        # Seeds of the contents that each sector may have.
        self.held = [(1,)] * self.sectors
        self.is_over, self.may_run = threading.Event(), threading.Event()
        self.may_fail, self.out, self.changing = False, None, threading.Lock()
        self.done = {}
        self.may_run.set()

    @staticmethod
    def has(data, seed, sector):
        """Returns whether `data` is what a seed stands for in a sector."""
        return seed == ANYTHING or data == (bytes(SECTOR) if seed == ZEROS else pattern(seed, sector, 1))

    def count(self, what):
        self.done[what] = self.done.get(what, 0) + 1

    def until_over(self, call):
        """Repeats a call until the end of the load, which a failure is, too."""
        try:
            while not self.is_over.is_set():
                if self.may_run.wait(0.2):
                    call()
        finally:
            self.is_over.set()

    def judge(self, what, end, may_fail, allowed=frozenset()):
        """Checks the end of a request that began when errors were allowed or not. Returns whether it went well."""
        may_fail = may_fail or self.may_fail
        self.count(f"{what} {'ok' if end == 'ok' else 'failed'}")
        good = end == "ok" or end in allowed or may_fail and end in OUTAGE_ERRORS
        assert good, f"{what}: {end} without an outage; {self.control.status(self.name)}"
        return end == "ok"

    # Bios. Each region of the device has one writer. What follows the regions is never written.

    def read(self, disk, start, count, flags=0):
        may_fail, found = self.may_fail, bytearray()
        end = outcome(lambda: found.extend(disk.read(start, count, flags)))
        if self.judge("read", end, may_fail, {"EAGAIN", "ENOTSUP"} if flags else set()):
            self.compare(found, start, count)

    def compare(self, found, start, count):
        for n in range(count):
            data, held = bytes(found[n * SECTOR : (n + 1) * SECTOR]), self.held[start + n]
            if not any(self.has(data, seed, start + n) for seed in held):
                wanted = [seed if seed == ZEROS else pattern(seed, start + n, 1)[:16].hex() for seed in held]
                raise SystemExit(
                    f"FAIL: sector {start + n} begins {data[:16].hex()}, expected one of {wanted}; "
                    f"{self.control.status(self.name)}"
                )

    def put(self, what, start, count, seed, call, *arguments):
        """Writes by `call` what a seed stands for."""
        may_fail = self.may_fail
        done = self.judge(what, outcome(call, *arguments), may_fail)
        for sector in range(start, start + count):
            self.held[sector] = (seed,) if done else (*self.held[sector], seed)

    def write(self, number):
        """Sends one bio of any kind to a region."""
        chance, disk = self.chances[number], self.disks[number]
        start = chance.randrange(REGION)
        count = min(chance.choice((1, 1, 3, 8, 8, 64, 300, 2048)), REGION - start)
        start += number * REGION
        kinds = ("read",) * 6 + ("write",) * 5 + ("durable", "durable", "zero", "discard", "flush", "nowait")
        kind = chance.choice(kinds)
        if kind in ("write", "durable"):
            seed = chance.randrange(2, 1 << 30)
            data, flags = pattern(seed, start, count), RWF_DSYNC if kind == "durable" else 0
            self.put(kind, start, count, seed, disk.write, start, data, flags)
        elif kind == "zero":
            self.put(kind, start, count, ZEROS, disk.zero_out, start, count)
        elif kind == "discard":
            self.put(kind, start, count, ANYTHING, disk.discard, start, count)
        elif kind == "flush":
            may_fail = self.may_fail
            self.judge(kind, outcome(disk.flush), may_fail)
        else:
            self.read(disk, start, count, RWF_NOWAIT if kind == "nowait" else 0)

    def read_untouched(self):
        """Reads what is never written, with and without the page cache and its readahead."""
        start = self.chance.randrange(REGIONS * REGION, self.sectors - 256)
        if self.chance.random() < 0.5:
            return self.read(self.reader, start, self.chance.choice((1, 8, 256)))
        may_fail, start = self.may_fail, start // 8 * 8
        fd, found = os.open(self.reader.path, os.O_RDONLY), bytearray()
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        end = outcome(lambda: found.extend(os.pread(fd, 128 * SECTOR, start * SECTOR)))
        os.close(fd)
        if self.judge("cached read", end, may_fail):
            self.compare(found, start, len(found) // SECTOR)

    # Messages, and changes of the table.

    def tell(self):
        first = self.chance.randrange(self.sectors)
        text = self.chance.choice(
            (f"remap {first} {min(800, self.sectors - first)}", f"remap {first}", f"unremap {first}")
            + (f"unremap 0 {self.sectors}", "clear", "retry", "save", "list", "pending", f"verify {first}", "stats")
            + ("scrub start 1000", "scrub stop", "scrub status", "policy relocate", "ping")
        )
        may_fail = self.may_fail
        end = outcome(self.control.message, self.name, text)
        self.judge(text.split(" ")[0], end, may_fail, CALM_ERRORS)
        time.sleep(0.02)

    def change(self):
        time.sleep(0.2 * self.chance.random())
        with self.changing:
            # A table cannot be made while the spare does not answer, and the device would stay suspended.
            reloads = self.chance.random() < 0.3 and self.out != "spare"
            if reloads:
                self.control.load(self.name, f"0 {self.sectors} remap {self.control.table(self.name)}")
                self.suspend()
        if not reloads:
            self.suspend()

    def suspend(self):
        self.control.suspend(self.name, self.chance.random() < 0.5)
        may_fail = self.may_fail
        self.judge("resume", outcome(self.control.resume, self.name), may_fail)

    # Outages.

    def expect_unmarked(self):
        state = self.control.state(self.name)
        assert (state["auto_remaps"], state["pending"], state["lost"]) == (0, 0, 0), state
        return state

    def back(self):
        state = self.expect_unmarked()
        return state["health"] == "ok" and state["metadata"] in ("ok", "degraded")

    def outage(self, place, below, seconds, load):
        sectors, control = Disk(below).sectors(), Control()
        with self.changing:
            self.may_fail, self.out = True, place
        control.replace(place, f"0 {sectors} error")
        noticed, end = False, time.monotonic() + seconds
        try:
            while time.monotonic() < end and not self.is_over.is_set():
                noticed |= self.expect_unmarked()["health"] == {"main": "outage", "spare": "spare_failing"}[place]
                if load == "idle" and time.monotonic() > end - seconds / 2:
                    self.may_run.clear()
                time.sleep(0.2)
            assert noticed or self.is_over.is_set(), f"the outage of {place} was not noticed"
        finally:
            # What is suspended would wait for ever.
            control.replace(place, f"0 {sectors} linear {below} 0")
        began = time.monotonic()
        while not self.back():
            assert time.monotonic() < began + BACK_WITHIN, f"after {BACK_WITHIN} s: {self.control.status(self.name)}"
            time.sleep(0.05)
        print(f"{place} out for {seconds:g} s, {load}: back after {time.monotonic() - began:.2f} s")
        self.may_fail, self.out = False, None
        self.may_run.set()
        self.is_over.wait(1)

    def outages(self, ways, devices):
        try:
            self.is_over.wait(1)
            for way in ways:
                if self.is_over.is_set():
                    break
                place, seconds, load = way.split(",")
                self.outage(place, devices[place], float(seconds), load)
        finally:
            self.is_over.set()
            self.may_run.set()

    def run(self, ways, devices):
        path = f"/dev/mapper/{self.name}"
        self.chance = random.Random(self.seed)
        self.chances = [random.Random(self.seed + number) for number in range(REGIONS)]
        self.disks, self.reader = [Disk(path) for _ in range(REGIONS)], Disk(path)
        calls = [lambda number=number: self.until_over(lambda: self.write(number)) for number in range(REGIONS)]
        calls += [lambda call=call: self.until_over(call) for call in (self.read_untouched, self.tell, self.change)]
        run_all([lambda: self.outages(ways, devices)] + calls)
        print(dict(sorted(self.done.items())))
        for disk in self.disks:
            disk.close()

    def check_all(self, disk):
        for start in range(0, self.sectors, MOST):
            count = min(MOST, self.sectors - start)
            self.compare(disk.read(start, count), start, count)
        disk.close()

    def end(self, main):
        """Checks the contents, in this table, the next one, and on main alone."""
        self.control.message(self.name, "scrub stop")
        settle()
        state = self.expect_unmarked()
        assert (state["unread"], state["health"]) == (0, "ok"), state
        self.check_all(self.reader)
        self.control.replace(self.name, f"0 {self.sectors} remap {self.control.table(self.name)}")
        self.check_all(Disk(f"/dev/mapper/{self.name}"))
        self.control.message(self.name, "clear")
        self.check_all(Disk(main))


def main():
    name, seed, main_disk, spare_disk, *ways = sys.argv[1:]
    load = Load(name, int(seed))
    load.run(ways, {"main": main_disk, "spare": spare_disk})
    load.end(main_disk)


if __name__ == "__main__":
    require_guest()
    main()
