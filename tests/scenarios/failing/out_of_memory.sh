# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="with any one allocation failing during error handling, a write succeeds or fails with EIO, no data is wrong, and nothing hangs"
MACHINES=uml-debug
LONG_MACHINES=uml-smp
TIMEOUT=120

requires() {
	need_target dust || return
	if [[ ! -e /proc/self/fail-nth ]]; then
		echo "no fault injection"
		return 1
	fi
}

test() {
	# null_blk would inject faults of its own.
	make_brd 2 4096
	make_dust main /dev/ram0 4096
	echo 0 >/sys/kernel/debug/failslab/ignore-gfp-wait
	echo 0 >/sys/kernel/debug/fail_page_alloc/ignore-gfp-wait
	echo 0 >/sys/kernel/debug/fail_page_alloc/min-order
	# brd allocates a page at its first write.
	block_io fill /dev/ram1 1
	make_remap r0 8192 /dev/mapper/main /dev/ram1 0 4096 format
	python3 -S - "$SEED" <<'END'
import glob
import random
import sys

from block_io import SECTOR, Disk, Model, outcome, pattern
from device_mapper import Control, settle

chance, control = random.Random(int(sys.argv[1])), Control()
disk = Disk("/dev/mapper/r0")
model = Model(disk, 8192)
model.fill(1)


def queues():
    """Yields the fail-nth files of the threads that may run the work of the target."""
    for path in glob.glob("/proc/[0-9]*/comm"):
        try:
            with open(path) as file:
                if file.read().startswith(("kworker/u", "kworker/R-dm_rem", "dm_remap_keeper")):
                    yield path.replace("comm", "fail-nth")
        except FileNotFoundError:
            pass


class Faults:
    """Makes the n-th allocation of every thread of `queues` fail."""

    def __init__(self):
        self.armed, self.fired = set(), False

    def arm(self, nth):
        self.fired = False
        for path in queues():
            try:
                with open(path, "w") as file:
                    file.write(str(nth))
                self.armed.add(path)
            except (FileNotFoundError, ProcessLookupError):
                pass

    def disarm(self):
        for path in self.armed:
            try:
                with open(path) as file:
                    # The allocations that are left to count; 0 once the fault has fired.
                    self.fired |= int(file.read()) == 0
                with open(path, "w") as file:
                    file.write("0")
            except (FileNotFoundError, ProcessLookupError):
                pass
        self.armed.clear()


faults = Faults()


def bad(block, sign="add"):
    control.message("main", f"{sign}badblock {block}" + (" 255" if sign == "add" else ""))


def write(start, count, seed):
    """Writes. If the write fails, each sector may have the old or the new contents until it is repeated."""
    data = pattern(seed, start, count)
    end = outcome(disk.write, start, data)
    assert end in ("ok", "EIO"), end
    faults.disarm()
    if end != "ok":
        for sector in range(start, start + count):
            found = bytearray()
            if outcome(lambda: found.extend(disk.read(sector, 1))) == "ok":
                at = (sector - start) * SECTOR
                assert found in (data[at : at + SECTOR], model.wanted(sector, 1)), f"sector {sector}"
        again = outcome(disk.write, start, data)
        assert again == "ok", f"sectors {start} to {start + count}, once there is memory: {again}"
    model.remember(start, data)
    model.check(start, count)
    return end


def whole(seed):
    """Writes a whole block, of which no old data is needed."""
    bad(10)
    end = write(80, 8, seed)
    bad(10, "remove")
    return end


def part(seed):
    """Writes a part of a block whose rest is unreadable, then the whole block."""
    bad(20)
    end = write(163, 2, seed)
    lost = [sector for sector in range(160, 168) if outcome(disk.read, sector, 1) != "ok"]
    assert lost == [160, 161, 162, 165, 166, 167], lost
    write(160, 8, seed)
    bad(20, "remove")
    return end


def many(seed):
    """Writes many blocks, some of which are bad."""
    blocks = chance.sample(range(30, 60), 7)
    for block in blocks:
        bad(block)
    end = write(30 * 8, 30 * 8, seed)
    for block in blocks:
        bad(block, "remove")
    return end


def read(seed):
    """Reads a bad block, which becomes pending if there is memory, then writes it."""
    bad(70)
    end = outcome(disk.read, 560, 8)
    assert end == "EIO", end
    # The keeper reads it again.
    settle()
    faults.disarm()
    assert control.status("r0").split()[2] in "01"
    write(560, 8, seed)
    bad(70, "remove")
    return "EIO"


seed = 1
for case in (whole, part, many, read):
    refused = nth = 0
    faults.fired = True
    while faults.fired:
        # From the 20th on allocations are alike, and only some of them fail.
        nth, seed = nth + (1 if nth < 20 else chance.randrange(1, 12)), seed + 1
        assert nth < 300, "more than 300 allocations"
        faults.arm(nth)
        refused += case(seed) != "ok"
        control.message("r0", "clear")
        remapped, lost, pending, *_ = control.status("r0").split()
        assert (remapped.split("/")[0], lost, pending) == ("0", "0", "0"), control.status("r0")
    print(f"{case.__name__}: up to {nth} allocations, refused {refused} times")
    assert nth > 1, "nothing was allocated: the faults were set for the wrong threads"
model.check_all()
END
}
