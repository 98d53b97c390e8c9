# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="while a block of 1 MiB is salvaged at 20 ms or 3 s a sector, a suspend, a failed read and a failing write elsewhere do not wait for it"
TIMEOUT=120

requires() { need_target delay && need_scsi_disk; }

# turn <milliseconds> <first sector of a block> <times>: moves a block of which main needs that long to read anything.
# Meanwhile suspends, reads bad sectors elsewhere and writes to them, so many times. Then main is quick again, and gives
# everything back.
turn() {
	python3 -S - "$1" "$2" "$3" "$SEED" "$main" "$medium" <<'END'
import random
import sys
import time

from block_io import Disk, Model, outcome, pattern
from device_mapper import Control, keepers_rest, settle
from failing import NullBlk

SECTORS, BLOCK, SLOW, MEDIUM = 65536, 2048, range(32768, 40960), range(57344, 65536)
delay, slow_block, times, seed = map(int, sys.argv[1:5])
below, medium = sys.argv[5:]
chance, control, disk = random.Random(seed), Control(), NullBlk("main")
model = Model(Disk("/dev/mapper/r0"), SECTORS)
model.fill(seed)


def set_delay(ms):
    """Sets the time that a read of the slow part takes."""
    slow = f"delay {below} {SLOW.start} {ms} {below} {SLOW.start} 0" if ms else f"linear {below} {SLOW.start}"
    table = (
        f"0 {SLOW.start} linear {below} 0",
        f"{SLOW.start} {len(SLOW)} {slow}",
        f"{SLOW.stop} {MEDIUM.start - SLOW.stop} linear {below} {SLOW.stop}",
        f"{MEDIUM.start} {len(MEDIUM)} linear {medium} 0",
    )
    control.replace("main", "\n".join(table))


def set_medium_errors(first, count):
    """Makes reads of some sectors of the last part fail with a medium error."""
    for name, value in ("medium_error_start", first), ("medium_error_count", count), ("opts", 2 if count else 0):
        with open(f"/sys/module/scsi_debug/parameters/{name}", "w") as file:
            file.write(str(value))


def timed(what, limit, call, *arguments):
    """Returns the outcome of a call that has to end within `limit` seconds."""
    began = time.monotonic()
    end = outcome(call, *arguments)
    took = time.monotonic() - began
    longest[what] = max(longest.get(what, 0), took)
    assert took < limit, f"{what}: {took * 1000:.0f} ms, the limit is {limit * 1000:.0f} ms"
    return end


def write_bad(what, sector, limit):
    """Writes a sector that is bad, which moves its block."""
    data = pattern(chance.randrange(1 << 30), sector, 1)
    assert timed(what, limit, model.disk.write, sector, data) == "ok", f"write of sector {sector}"
    model.remember(sector, data)
    written.add(sector)


written, longest, own = set(), {}, delay / 1000
# Each piece that is read at once has one.
for sector in range(slow_block + 3, slow_block + BLOCK, 64):
    disk.spoil(sector)
set_delay(delay)
moved = control.state("r0")["auto_remaps"]
write_bad("the write that moves the block", slow_block + 3, 1)
state = control.state("r0")
assert state["remapped"] == 1, state
assert state["unread"] > BLOCK / 2, f"{state}: the block is salvaged already"
# Blocks elsewhere, of which each is moved once.
elsewhere = [block for block in range(0, SECTORS, BLOCK) if block not in SLOW and block not in MEDIUM]
chance.shuffle(elsewhere)
for turn in range(times):
    time.sleep(chance.random() * min(own, 0.5))
    quick, slow = elsewhere.pop() + chance.randrange(BLOCK), SLOW.start + chance.randrange(BLOCK)
    disk.spoil(quick)
    end = timed("a failed read elsewhere", 0.1, model.disk.read, quick, 1)
    assert end == "EIO", end
    if turn < 2:
        disk.spoil(slow)
        end = timed("a failed read of another slow block", own + 0.1, model.disk.read, slow, 1)
        assert end == "EIO", end
    set_medium_errors(turn * 100, 8)
    end = timed("a read elsewhere with a medium error", 0.1, model.disk.read, MEDIUM.start + turn * 100, 1)
    assert end == "ENODATA", end
    write_bad("a failing write elsewhere", quick, 1)
    end = timed("a suspend", own + 0.1, control.suspend, "r0")
    assert end == "ok", end
    control.resume("r0")
    assert not keepers_rest(), "the block is salvaged already"
state = control.state("r0")
assert state["remapped"] == state["auto_remaps"] - moved == times + 1, state
assert state["lost"] == 0 and state["unread"] > BLOCK / 2, state
for what, took in longest.items():
    print(f"{delay} ms a sector: {what}: {took * 1000:.0f} ms at most")

set_delay(0)
set_medium_errors(0, 0)
settle()
bad = disk.bad - written
missing = {sector for sector in bad if sector // BLOCK == slow_block // BLOCK}
state = control.state("r0")
assert (state["unread"], state["lost"]) == (len(missing), 0), f"{state}, expected {len(missing)} unread sectors"
for start in range(0, SECTORS, 64):
    if bad.isdisjoint(range(start, start + 64)):
        model.check(start, 64)
        continue
    for sector in range(start, start + 64):
        end = outcome(model.check, sector, 1)
        assert end == ("EIO" if sector in bad else "ok"), f"sector {sector}: {end}"
disk.mend_all()
control.message("r0", "retry")
state = control.state("r0")
assert (state["unread"], state["lost"], state["pending"], state["health"]) == (0, 0, 0, "ok"), state
model.check_all("after retry")
control.message("r0", "clear")
model.disk = Disk("/dev/mapper/main")
model.check_all("main")
END
}

test() {
	make_null_blk main 32
	make_null_blk spare 64
	make_scsi_disk medium 4
	make_mapped main "0 57344 linear $main 0" "57344 8192 linear $medium 0"
	make_remap r0 65536 /dev/mapper/main "$spare" 0 131072 block_size 2048
	turn 20 34816 20
	turn 3000 36864 3
}
