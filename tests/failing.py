# SPDX-License-Identifier: GPL-2.0
"""Disks whose sectors become bad under load, and calls that run in parallel.

    failing.py spoil NAME DEVICE SECTORS COUNT SEED PID    makes more and more ranges of /dev/mapper/NAME, a linear
                                                           device over DEVICE, fail writes, COUNT in all; fails
                                                           if the process ends before
"""

import os
import random
import sys
import threading
import time

from device_mapper import Control
from in_guest import require_guest
from random_moves import lives


class NullBlk:
    """Bad sectors of a disk of make_null_blk, counted from `start`. Their reads and writes fail."""

    def __init__(self, variable, start=0):
        self._start = start
        self._path = f"/sys/kernel/config/nullb/nb_{variable}/badblocks"
        self.bad = set()

    def _tell(self, sign, sectors):
        """Sets (+) or clears (-) bad sectors, by ranges. null_blk refuses sectors that are so already, so callers
        leave them out."""
        while sectors:
            first = last = min(sectors)
            while last + 1 in sectors:
                last += 1
            with open(self._path, "w") as file:
                file.write(f"{sign}{self._start + first}-{self._start + last}")
            sectors -= set(range(first, last + 1))

    def spoil(self, first, count=1):
        sectors = set(range(first, first + count)) - self.bad
        self.bad |= sectors
        self._tell("+", sectors)

    def mend(self, first, count=1):
        sectors = set(range(first, first + count)) & self.bad
        self.bad -= sectors
        self._tell("-", sectors)

    def mend_all(self):
        self._tell("-", self.bad)
        self.bad = set()


class Segments:
    """Mapped device over another one, with ranges that fail writes, or reads and writes."""

    def __init__(self, name, device, sectors):
        self.name, self.device, self.sectors = name, device, sectors
        self.ways = {}
        self.control = Control()

    def table(self):
        lines, at = [], 0
        for first in sorted(self.ways):
            count, way = self.ways[first]
            if first > at:
                lines.append(f"{at} {first - at} linear {self.device} {at}")
            if way == "writes":
                lines.append(f"{first} {count} flakey {self.device} {first} 0 1 1 error_writes")
            else:
                lines.append(f"{first} {count} error")
            at = first + count
        if at < self.sectors:
            lines.append(f"{at} {self.sectors - at} linear {self.device} {at}")
        return "\n".join(lines)

    def is_free(self, first, count):
        return all(first + count < at or at + many < first for at, (many, _) in self.ways.items())

    def set(self, ways):
        """Sets the ranges: {first sector: (sectors, "writes" or "error")}, without overlaps."""
        self.ways = dict(ways)
        self.control.replace(self.name, self.table())


def run_all(calls):
    """Runs each call in a thread of its own. Raises the first exception, SystemExit included."""
    failures = []

    def run(call):
        try:
            call()
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def spoil(name, device, sectors, count, seed, pid):
    segments, chance = Segments(name, device, sectors), random.Random(seed)
    while len(segments.ways) < count and lives(pid):
        ways = dict(segments.ways)
        for _ in range(max(1, count // 20)):
            first, many = chance.randrange(sectors - 4), chance.choice((1, 1, 1, 2, 3))
            if segments.is_free(first, many):
                ways[first] = many, "writes"
                segments.ways = ways
        segments.set(ways)
        time.sleep(0.05)
    bad = sum(many for many, _ in segments.ways.values())
    print(f"{bad} sectors fail writes, in {len(segments.ways)} ranges")
    assert len(segments.ways) >= count, "the process has ended before all ranges failed"


if __name__ == "__main__":
    require_guest()
    command, disk_name, below, *numbers = sys.argv[1:]
    assert command == "spoil", command
    assert os.path.exists("/dev/mapper/" + disk_name)
    spoil(disk_name, below, *map(int, numbers))
