# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="suspend, reload and removal during relocations lose no acknowledged write, and nothing hangs"
MACHINES="uml uml-smp"
TIMEOUT=120

requires() { need_target delay; }

test() {
	local turn
	make_null_blk main 8
	make_null_blk spare 4
	# Each write to the spare, metadata included, takes 20 ms.
	make_mapped slow "0 8192 delay $spare 0 0 $spare 0 20"
	make_remap r0 16384 "$main" /dev/mapper/slow 0 8192
	block_io fill /dev/mapper/r0 1
	# 100 bad blocks, each behind a good one that is written in the same bio.
	for ((turn = 0; turn < 100; turn++)); do
		null_blk_set main badblocks="+$((turn * 160 + 11))-$((turn * 160 + 11))"
	done
	python3 -S - <<'END'
import os
import random
import threading
import time

from block_io import Disk, expect, pattern
from device_mapper import Control
from failing import run_all

# Enough blocks that every kind of disturbance has its turn on every machine.
bad_blocks, done = 40, threading.Event()
control, chance = Control(), random.Random(int(os.environ["SEED"]))
table = f"0 16384 remap {control.table('r0')}"
written, turns = {}, {"suspend": 0, "noflush": 0, "table": 0}


def write(first):
    disk = Disk("/dev/mapper/r0")
    for n in range(first, bad_blocks, 4):
        seed = 1000 + n
        disk.write(n * 160, pattern(seed, n * 160, 16))
        written[n] = seed
    disk.close()


def disturb():
    while not done.is_set():
        time.sleep(chance.random() * 0.1)
        way = min(turns, key=turns.get)
        if way == "table":
            control.load("r0", table)
        began = time.monotonic()
        control.suspend("r0", way != "noflush")
        control.resume("r0")
        took = time.monotonic() - began
        assert took < 30, f"{way} took {took:.1f} s"
        turns[way] += 1


disturber = threading.Thread(target=disturb)
disturber.start()
try:
    run_all([lambda n=n: write(n) for n in range(4)])
finally:
    done.set()
    disturber.join()
print(turns)
assert min(turns.values()) > 0, turns
assert len(written) == bad_blocks
moved = {sector for sector, _, _ in control.remaps("r0")}
assert moved == {n * 160 + 8 for n in range(bad_blocks)}, sorted(moved)
disk = Disk("/dev/mapper/r0")
for n, seed in written.items():
    expect(disk.read(n * 160, 16), pattern(seed, n * 160, 16), n * 160, "an acknowledged write")
disk.close()
END
	remove_mapped r0
	make_remap r0 16384 "$main" /dev/mapper/slow 0 8192
	python3 -S - "$(scaled 40)" <<'END'
import sys

from block_io import Disk, expect, pattern

disk = Disk("/dev/mapper/r0")
for n in range(max(16, int(sys.argv[1]))):
    expect(disk.read(n * 160, 16), pattern(1000 + n, n * 160, 16), n * 160, "an acknowledged write, in the next table")
    expect(disk.read(n * 160 + 16, 144), pattern(1, n * 160 + 16, 144), n * 160 + 16, "sectors that were not written")
END

	# The table is replaced by an error table while writers have the device open.
	for turn in 1 2 3; do
		remove_mapped r0
		make_remap r0 16384 "$main" /dev/mapper/slow 0 8192 format
		python3 -S - "$turn" <<'END' &
import sys

from block_io import Disk, outcome, pattern
from failing import run_all

acknowledged = []


def write(first):
    disk = Disk("/dev/mapper/r0")
    for n in range(first, 100, 8):
        if outcome(disk.write, n * 160 + 8, pattern(int(sys.argv[1]), n * 160 + 8, 8)) == "ok":
            acknowledged.append(n)
    disk.close()


run_all([lambda n=n: write(n) for n in range(8)])
print("acknowledged:", len(acknowledged))
with open("/tmp/scenario/acknowledged", "w") as file:
    file.write("\n".join(map(str, acknowledged)))
END
		local writers=$!
		sleep 0.3
		timeout 30 dmsetup wipe_table r0 || fail "the table cannot be wiped"
		wait $writers || fail "a writer failed"
		dmsetup remove --retry r0
		make_remap r0 16384 "$main" /dev/mapper/slow 0 8192
		python3 -S - "$turn" <<'END'
import sys

from block_io import Disk, expect, pattern

disk = Disk("/dev/mapper/r0")
with open("/tmp/scenario/acknowledged") as file:
    for n in map(int, file.read().split()):
        expect(disk.read(n * 160 + 8, 8), pattern(int(sys.argv[1]), n * 160 + 8, 8), n * 160 + 8, "an acknowledged write")
END
	done
}
