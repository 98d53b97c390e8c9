# SPDX-License-Identifier: GPL-2.0
"""Runs in a guest that will be killed: checks the disks that the guest before has left, then makes load.

    crash.py DIRECTORY SEED MAIN SPARE [last]

The directory is on the host, and outlives the guest. Its file `base` has the contents of the device at the start
of the guest before, and `journal` the operations of that guest. A line is on the host's disk before its operation
is submitted, or is written after the operation was acknowledged. With them each sector and block can be checked:
it has the last state that was acknowledged as durable, or one of a later operation.
"""

import json
import os
import random
import sys
import threading

from block_io import SECTOR, Disk, pattern
from device_mapper import Control
from in_guest import require_guest
from metadata import Area, File

BLOCK, BLOCKS, SPARE_SECTORS = 8, 1024, 10000
SECTORS = BLOCKS * BLOCK
TABLE = f"0 {SECTORS} remap {{}} {{}} 0 {SPARE_SECTORS}"


class Journal:
    """Journal whose lines are on the host's disk when write() returns."""

    def __init__(self, path):
        self.fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self.lock = threading.Lock()

    def write(self, *words):
        with self.lock:
            os.write(self.fd, (" ".join(map(str, words)) + "\n").encode())
            os.fsync(self.fd)


class Past:
    """States that the device may have, by base and journal."""

    def __init__(self, base, lines):
        # Seeds that each sector may have, the oldest first.
        self.contents = [[seed] for seed in base["contents"]]
        remapped = set(base["remapped"])
        self.remapped = [{block in remapped} for block in range(BLOCKS)]
        issued, acknowledged = {}, set()
        flushing = set()
        for line in lines:
            word, *numbers = line.split()
            numbers = list(map(int, numbers))
            if word == "write":
                seed, start, count = numbers
                issued[seed] = start, count
                for sector in range(start, start + count):
                    self.contents[sector].append(seed)
            elif word == "durable":
                self.settle(numbers[0], issued)
            elif word == "written":
                acknowledged.add(numbers[0])
            elif word == "flush":
                flushing = set(acknowledged)
            elif word == "flushed":
                for seed in sorted(flushing):
                    self.settle(seed, issued)
                acknowledged -= flushing
            elif word in ("remap", "unremap"):
                for block in range(numbers[0], numbers[0] + numbers[1]):
                    self.remapped[block].add(word == "remap")
            elif word in ("remapped", "unremapped"):
                for block in range(numbers[0], numbers[0] + numbers[1]):
                    self.remapped[block] = {word == "remapped"}
            else:
                raise SystemExit(f"FAIL: unknown line of the journal: {line}")

    def settle(self, seed, issued):
        """Removes the seeds older than `seed`."""
        start, count = issued[seed]
        for sector in range(start, start + count):
            seeds = self.contents[sector]
            if seed in seeds:
                del seeds[: seeds.index(seed)]


def seeds_of(disk, past):
    """Returns the seed of every sector. Fails if a sector has none that it may have."""
    found = []
    for start in range(0, SECTORS, 256):
        data = disk.read(start, 256)
        for n in range(256):
            sector, part = start + n, data[n * SECTOR : (n + 1) * SECTOR]
            for seed in reversed(past.contents[sector]):
                if part == pattern(seed, sector, 1):
                    found.append(seed)
                    break
            else:
                raise SystemExit(
                    f"FAIL: sector {sector} begins {part[:16].hex()}; expected the pattern of one of "
                    f"{past.contents[sector]}, such as {pattern(past.contents[sector][-1], sector, 1)[:16].hex()}"
                )
    return found


def check(directory, control, main, spare):
    """Checks the contents of the device, and makes them the new base."""
    with open(f"{directory}/base") as file:
        base = json.load(file)
    path = f"{directory}/journal"
    with open(path) as file:
        lines = file.read().split("\n")[:-1]
    past = Past(base, lines)
    image = File(spare)
    seen = {block: slot for block, (slot, _) in Area(image, 0, SPARE_SECTORS).remaps().items()}
    os.close(image.fd)
    control.create("crash")
    control.load("crash", TABLE.format(main, spare))
    control.resume("crash")
    os.mknod("/dev/mapper/crash", 0o60600, control.number("crash"))
    remaps = control.remaps("crash")
    assert sorted(seen) == [sector // BLOCK for sector, _, _ in remaps], "the second reader of the metadata finds other remaps"
    assert all(flags == "-" for _, _, flags in remaps), remaps
    remapped = {sector // BLOCK for sector, _, _ in remaps}
    for block in range(BLOCKS):
        if (block in remapped) not in past.remapped[block]:
            raise SystemExit(f"FAIL: block {block} is remapped: {block in remapped}, expected one of {past.remapped[block]}")
    disk = Disk("/dev/mapper/crash")
    contents = seeds_of(disk, past)
    disk.close()
    new = f"{directory}/base.new"
    with open(new, "w") as file:
        json.dump({"contents": contents, "remapped": sorted(remapped)}, file)
        file.flush()
        os.fsync(file.fileno())
    os.rename(new, f"{directory}/base")
    os.unlink(path)
    uncertain = sum(len(seeds) > 1 for seeds in past.contents)
    print(f"{len(lines)} lines, {len(remapped)} remaps, {uncertain} sectors in doubt", flush=True)
    return max(contents)


def prepare(directory, main, spare):
    """Prepares the disks for the first guest: pattern 0 on main, and an empty spare area."""
    disk = Disk(main)
    for start in range(0, SECTORS, 256):
        disk.write(start, pattern(0, start, 256))
    disk.flush()
    control = Control()
    control.create("crash")
    control.load("crash", TABLE.format(main, spare))
    control.resume("crash")
    control.remove("crash")
    with open(f"{directory}/base", "w") as file:
        json.dump({"contents": [0] * SECTORS, "remapped": []}, file)
    open(f"{directory}/journal", "w").close()


def write(journal, chance, seed):
    plain = Disk("/dev/mapper/crash")
    durable = Disk("/dev/mapper/crash", os.O_DSYNC)
    while True:
        seed += 1
        start = chance.randrange(SECTORS)
        count = min(chance.choice((1, 2, 8, 16, 64)), SECTORS - start)
        journal.write("write", seed, start, count)
        if chance.random() < 0.5:
            durable.write(start, pattern(seed, start, count))
            journal.write("durable", seed)
        else:
            plain.write(start, pattern(seed, start, count))
            journal.write("written", seed)
        if chance.random() < 0.1:
            journal.write("flush")
            plain.flush()
            journal.write("flushed")


def move(journal, chance, table):
    control = Control()
    while True:
        verb = chance.choice(("remap", "unremap"))
        first = chance.randrange(BLOCKS)
        count = min(chance.choice((1, 1, 2, 10, 300)), BLOCKS - first)
        journal.write(verb, first, count)
        end = control.outcome("crash", f"{verb} {first * BLOCK} {count * BLOCK}")
        assert end in ("EEXIST", "ENODATA") or end.startswith(verb) or end.startswith("sector"), end
        journal.write(verb + "ped", first, count)
        if chance.random() < 0.02:
            control.load("crash", table)
            control.suspend("crash")
            control.resume("crash")


def main():
    directory, seed, main_disk, spare, *last = sys.argv[1:]
    control = Control()
    if not os.path.exists(f"{directory}/base"):
        prepare(directory, main_disk, spare)
    seed_of_writes = check(directory, control, main_disk, spare)
    if last:
        control.remove("crash")
        return
    chance = random.Random(int(seed))
    journal = Journal(f"{directory}/journal")
    table = TABLE.format(main_disk, spare)

    def guarded(call, *arguments):
        try:
            call(*arguments)
        except BaseException as error:
            print(f"FAIL: {call.__name__}: {error}", flush=True)
            os._exit(1)

    threading.Thread(
        target=guarded, args=(move, journal, random.Random(chance.random()), table), daemon=True
    ).start()
    print("@@ load", flush=True)
    guarded(write, journal, random.Random(chance.random()), seed_of_writes)


if __name__ == "__main__":
    require_guest()
    main()
