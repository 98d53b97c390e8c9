# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="flush and FUA reach the device that holds the block, and a moved block is durable before its metadata"
MACHINES="uml uml-debug"
LONG_MACHINES=uml-smp

requires() {
	dmsetup targets | grep -q log-writes || modprobe -q dm-log-writes || {
		echo "no dm-log-writes"
		return 1
	}
}

# make_logged <name>: makes a disk with a write cache, and a device on top that logs all writes.
make_logged() {
	make_null_blk "$1" 4 cache_size=1 fua=1
	make_null_blk "log_$1" 16
	local disk=$1 log=log_$1
	make_mapped "logged_$1" "0 8192 log-writes ${!disk} ${!log}"
}

test() {
	make_logged main
	make_logged spare
	make_remap r0 8192 /dev/mapper/logged_main /dev/mapper/logged_spare 0 1088
	expect_equal "$(cat "$(sysfs_of /dev/mapper/r0)/queue/fua")" 1 "FUA of the device"
	python3 -S - "$log_main" "$log_spare" <<'END'
import os
import struct
import sys
import time

from block_io import Disk, expect, pattern
from device_mapper import Control

FLUSH, FUA, DISCARD, MARK = 1, 2, 4, 8


class Log:
    """Log of the writes that became durable on a device: dm-log-writes logs a write when it is flushed."""

    def __init__(self, path, name):
        self.disk, self.name, self.at = Disk(path), name, 1
        device = os.stat(path).st_rdev
        self.inflight = f"/sys/dev/block/{os.major(device)}:{os.minor(device)}/inflight"

    def news(self):
        """Returns (sector, sectors, flags, data) of all entries since the last call."""
        control.message(f"logged_{self.name}", "mark here")
        found = []
        while True:
            sector, sectors, flags, data_len = struct.unpack_from("<QQQQ", self.disk.read(self.at, 1))
            if flags == 0 and sectors == 0:
                # A thread of dm-log-writes writes the log, so the entry may not be there yet.
                time.sleep(0.01)
                continue
            self.at += 1
            if flags & MARK:
                break
            found.append((sector, sectors, flags, self.at))
            self.at += 0 if flags & DISCARD else sectors
        # Entries are written before their data, and dm-log-writes waits for neither.
        while self.is_busy():
            time.sleep(0.01)
        return [(sector, sectors, flags, self.data(at, sectors, flags)) for sector, sectors, flags, at in found]

    def is_busy(self):
        with open(self.inflight) as file:
            return any(int(count) for count in file.read().split())

    def data(self, at, sectors, flags):
        return b"" if flags & DISCARD else b"".join(self.disk.read(at + n, 1) for n in range(sectors))


def fua_of(entries):
    return [(sector, sectors) for sector, sectors, flags, _ in entries if flags & FUA and sectors]


def flushes(entries):
    return [n for n, (_, _, flags, _) in enumerate(entries) if flags & FLUSH]


control = Control()
device = Disk("/dev/mapper/r0")
durable = Disk("/dev/mapper/r0", os.O_DSYNC)
main, spare = Log(sys.argv[1], "main"), Log(sys.argv[2], "spare")
device.write(0, pattern(1, 0, 64))
device.flush()
main.news(), spare.news()

# A block that moves is written to the spare and flushed there; then metadata is written, first in the head
# and then in the tail.
assert control.message("r0", "remap 8") == "sector 8 -> spare 32"
entries = spare.news()
expect(entries[0][3], pattern(1, 8, 8), 8, "the copy in the spare's log")
assert entries[0][:2] == (32, 8), entries[0][:3]
assert flushes(entries), "the copy was not flushed"
metadata = fua_of(entries)
assert metadata == [(24, 8), (1088 - 24, 8)], metadata
assert flushes(entries)[0] < min(n for n, entry in enumerate(entries) if entry[2] & FUA and entry[1]), "metadata was written before the copy was flushed"
assert not main.news(), "a remap wrote to main"

# FUA writes to main, to the spare, and to both.
durable.write(0, pattern(2, 0, 8))
assert (fua_of(main.news()), fua_of(spare.news())) == ([(0, 8)], []), "FUA to main"
durable.write(8, pattern(3, 8, 8))
assert (fua_of(main.news()), fua_of(spare.news())) == ([], [(32, 8)]), "FUA to the spare"
durable.write(4, pattern(4, 4, 16))
assert (fua_of(main.news()), fua_of(spare.news())) == ([(4, 4), (16, 4)], [(32, 8)]), "FUA to both"

# A flush reaches both devices.
device.write(32, pattern(5, 32, 8))
device.write(8, pattern(6, 8, 8))
device.flush()
for log in main, spare:
    entries = log.news()
    assert flushes(entries), f"no flush of {log.name}: {[entry[:3] for entry in entries]}"
    assert not fua_of(entries)

# A block that moves back is written to main and flushed there.
assert control.message("r0", "unremap 8") == "unremapped 1"
entries = main.news()
expect(entries[0][3], pattern(6, 8, 8), 8, "the copy in main's log")
assert flushes(entries), "the copy back was not flushed"
assert len(fua_of(spare.news())) == 2, "the release of the spare is not durable"
END
}
