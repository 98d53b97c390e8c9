# SPDX-License-Identifier: GPL-2.0
"""Compares the writes of a production workload with docs/workloads.md, by the log of dm-log-writes
(Documentation/admin-guide/device-mapper/log-writes.rst).

    production_mix.py LOG SECTORS TYPE READS WRITES
"""

import collections
import struct
import sys

from in_guest import require_guest

MAGIC = 0x6A736677736872
FLUSH, FUA, DISCARD, MARK, METADATA = 1, 2, 4, 8, 16

Write = collections.namedtuple("Write", "sector sectors flags")


def read_log(path):
    """Yields all entries, oldest first."""
    with open(path, "rb") as log:
        magic, _version, entries, sector_size = struct.unpack("<QQQI", log.read(28))
        assert magic == MAGIC, hex(magic)
        position = sector_size
        for _ in range(entries):
            log.seek(position)
            sector, sectors, flags, data_len = struct.unpack("<QQQQ", log.read(32))
            position += sector_size
            if not flags & DISCARD:
                position += sectors * sector_size
            if not flags & MARK:
                unit = sector_size // 512
                yield Write(sector * unit, sectors * unit, flags)


def near(share, wanted, what, margin=6):
    """Checks that a share is near the expected one, both in percent."""
    assert abs(share - wanted) <= margin, f"{what}: {share:.1f} %, not {wanted} %"


def percent(part, whole):
    return 100 * len(part) / max(len(whole), 1)


def within(writes, size, start, end):
    """Returns the writes to a part of the device, whose limits are in percent."""
    return [w for w in writes if size * start // 100 <= w.sector < size * end // 100]


def check_sizes(writes, shares, what):
    for kib, wanted in shares.items():
        # Sizes are random, so with few writes a share may be further off by chance.
        deviation = (wanted * (100 - wanted) / max(len(writes), 1)) ** 0.5
        share = percent([w for w in writes if w.sectors == 2 * kib], writes)
        near(share, wanted, f"{what}, {kib} KiB of {len(writes)} writes", margin=max(6, 4 * deviation))


def check_database(writes, size):
    log = within(writes, size, 95, 100)
    pages = within(writes, size, 0, 95)
    assert len(pages) > 200 and len(log) > 50, (len(pages), len(log))
    assert all(w.flags & FUA for w in log), "writes of the log without FUA"
    assert not any(w.flags & FUA for w in pages), "writes of pages with FUA"
    check_sizes(pages, {8: 100}, "pages")
    check_sizes(log, {4: 60, 8: 30, 16: 10}, "log")
    follows = [1 for a, b in zip(log, log[1:]) if b.sector == a.sector + a.sectors]
    assert len(follows) > 0.9 * len(log) - 2, "the log is not sequential"
    # Four of five writes go to the hot fifth; the others go everywhere, a fifth of them also to the hot one.
    hot = [w for w in pages if w.sector < size * 95 // 100 // 5]
    near(percent(hot, pages), 84, "hot set")


def check_file_server(writes, size):
    metadata = within(writes, size, 0, 10)
    files = within(writes, size, 10, 100)
    assert len(files) > 100 and len(metadata) > 100, (len(files), len(metadata))
    check_sizes(metadata, {4: 100}, "metadata")
    check_sizes(files, {4: 30, 16: 20, 64: 25, 128: 15, 512: 5, 1024: 5}, "files")


def check_virtualization(writes, size):
    web, database, files, desktop = (within(writes, size, n, n + 25) for n in (0, 25, 50, 75))
    counts = [len(guest) for guest in (web, database, files, desktop)]
    assert min(counts) > 30, counts
    check_sizes(database, {8: 100}, "database guest")
    check_sizes(files, {64: 100}, "file guest")
    check_sizes(desktop, {4: 70, 32: 20, 64: 10}, "desktop guest")
    check_sizes(web, {4: 40, 16: 40, 64: 20}, "web guest")


# Percentages of reads by type, if every worker has the same rate: three workers for pages and one for the log;
# two for files and one for metadata; four guests, of which the desktop idles most of the time; and all streams.
READS = [(3 * 70 + 0) / 4, (2 * 65 + 30) / 3, (90 + 70 + 60 + 0.4 * 35) / 3.4, 59]


def main():
    path, size, kind, reads, writes_seen = sys.argv[1], *map(int, sys.argv[2:])
    entries = list(read_log(path))
    writes = [w for w in entries if w.sectors > 0 and not w.flags & DISCARD]
    flushes = [w for w in entries if w.flags & FLUSH]
    share = 100 * reads / (reads + writes_seen)
    print(f"{len(writes)} writes, {len(flushes)} flushes, {share:.0f} % reads")
    near(share, READS[kind], "reads", margin=8)
    checks = [check_database, check_file_server, check_virtualization]
    if kind < 3:
        checks[kind](writes, size)
    if kind in (1, 2):
        assert flushes, "no flush"
    if kind == 3:
        # All streams at once: the smallest and the largest sizes, FUA and flushes.
        sizes = {w.sectors for w in writes}
        assert {8, 16, 128, 2048} <= sizes, sizes
        assert flushes and any(w.flags & FUA for w in writes)


if __name__ == "__main__":
    require_guest()
    main()
