#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Measures the cost of a million remaps, and of moving blocks under load, in a guest.

    moves.py [--only million|live] [--times N] [--rounds N] [--pace BLOCKS] [--json FILE]

`million`: the median of the seconds to load (resume), list (all pages, by ioctls) and save 1,000,000 remaps, and the
bytes of kernel memory of each. Measured with long ranges in shuffled order, and with single blocks scattered over
64 GiB, one message each, so that neither blocks nor slots are in order. The disks have no latency, and keep no
contents but the ends of the spare, which hold the metadata.

`live`: blocks move while fio reads and writes at random, 4 KiB, 32 bios in flight. In ranges and one by one (each
message waits for the one before), with metadata and volatile:

* the most blocks a second that move under that load;
* the rest of the load's throughput at a pace of 2,000 blocks a second (`--pace`).

The load runs all the time. Windows of a tenth of a second (half a second on machines other than `uml`) follow each
other in random order: in `moved` ones blocks move at that pace, in `asked` ones the same number of messages only asks
for their places (`verify`), in `quiet` ones there are no messages. A ratio is one of two windows of the same round.
The result is the median of all rounds with its 95 % interval. The target counts the bios, and does not count those of
its own moves.

On one CPU, with disks without latency, the load uses all the CPU time. So a move takes time from the load, and so does
the process that sends the messages, which is not a part of the move. The limit is therefore for `moved` in comparison
with `asked`; `quiet` is only shown. `uml` has to stay on one CPU of the host (taskset); otherwise the load varies with
the time that the host takes to wake up the other CPU.

Limits are for `uml`, and for other machines if a pace is given. On an emulated guest, or one with debugging options, a
move takes milliseconds of CPU time, and times mean little. The pace is then an eighth of the most blocks a second that
move one by one, which is the share that 2,000 has on `uml`.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from device_mapper import Control  # noqa: E402
from in_guest import require_guest  # noqa: E402
from contestants import BLOCK, null_disk, write  # noqa: E402
from measure import SEED, interval, limits, run  # noqa: E402

MILLION = 1_000_000
MAIN_MB = 65536
# Metadata takes 18 bytes of a slot in each half; the sectors between the halves are not kept.
END_BYTES = 20
CONFIG = "/sys/kernel/config"
RANGE = 50  # blocks of a message, under load
LONG_RANGE = 20_000
NATIVE = os.environ.get("DM_REMAP_MACHINE", "uml") == "uml"


def load_null_blk():
    """Loads null_blk without disks, for null_disk."""
    run("modprobe", "null_blk", "nr_devices=0")
    if not os.path.isdir(f"{CONFIG}/nullb"):
        run("busybox", "mount", "-t", "configfs", "none", CONFIG)


class Disks:
    """Main device, and spare devices that keep only their ends."""

    def __init__(self):
        self.control = Control()
        load_null_blk()
        self.main = null_disk("main", MAIN_MB, memory_backed=0)
        self.sectors = MAIN_MB * 2048
        self.made = 0

    def spare(self, slots):
        """Makes a spare area for so many blocks. Returns its device and its length."""
        self.made += 1
        end = slots * END_BYTES // 512 // BLOCK * BLOCK
        name, length = f"spare_{self.made}", slots * BLOCK + 2 * end
        ends = null_disk(f"ends_{self.made}", end * 2 // 2048 + 1, memory_backed=1)
        middle = null_disk(f"middle_{self.made}", length // 2048 + 1, memory_backed=0)
        self.control.create(name)
        self.control.load(
            name,
            f"0 {end} linear {ends} 0\n{end} {length - 2 * end} linear {middle} 0\n"
            f"{length - end} {end} linear {ends} {end}",
        )
        self.control.resume(name)
        number = self.control.number(name)
        return f"{os.major(number)}:{os.minor(number)}", length

    def remap(self, name, spare, *options):
        """Makes a remap device. Returns the seconds of its resume."""
        device, length = spare
        table = f"0 {self.sectors} remap {self.main} {device} 0 {length}"
        if options:
            table += f" {len(options)} {' '.join(options)}"
        self.control.create(name)
        self.control.load(name, table)
        return timed(self.control.resume, name)


def timed(call, *arguments):
    began = time.monotonic()
    call(*arguments)
    return time.monotonic() - began


def kernel_memory():
    """Returns the bytes of memory that the kernel uses and cannot reclaim."""
    write("/proc/sys/vm/drop_caches", "3")
    time.sleep(0.5)
    with open("/proc/meminfo", encoding="ascii") as file:
        values = {line.split(":")[0]: int(line.split()[1]) for line in file}
    return 1024 * (values["SUnreclaim"] + values["VmallocUsed"] + values["Percpu"])


class Report:
    """Results, as printed lines and as records."""

    def __init__(self, at_most):
        self.limits, self.results = at_most, []
        print(f"{'':<48} {'median':>10} {'lowest':>10} {'highest':>10}  limit", flush=True)

    def add(self, name, values, limit=None):
        """Adds values, whose median is compared with `limit`, a key of limits.json: an upper limit, but a lower one for
        ratios and blocks a second."""
        median, low, high = interval(values)
        record = {"name": name, "median": median, "low": low, "high": high, "limit": None, "reached": None}
        verdict = ""
        if limit:
            record["limit"] = bound = self.limits[limit]
            at_least = limit in ("blocks a second", "failing blocks a second", "rest of the load")
            record["reached"] = median >= bound if at_least else median <= bound
            verdict = f"{bound} {'reached' if record['reached'] else 'MISSED'}"
        digits = 3 if high < 100 else 0
        print(f"{name:<48} {median:10.{digits}f} {low:10.{digits}f} {high:10.{digits}f}  {verdict}", flush=True)
        self.results.append(record)

    def end(self, path):
        """Writes the records to a file, if there is a path, and prints how many limits are reached. Returns the status
        for the shell."""
        reached = sum(result["reached"] is True for result in self.results)
        missed = sum(result["reached"] is False for result in self.results)
        if path:
            with open(path, "w", encoding="ascii") as out:
                json.dump(self.results, out, indent=1)
        print(f"{reached} passed, {missed} failed, 0 skipped")
        return 1 if missed else 0


def list_all(control, name):
    """Reads all pages of a list. Returns the number of lines."""
    lines, at = 0, 0
    while True:
        reply = control.message(name, f"list {at}")
        last = reply[reply.rfind("\n") + 1 :]
        lines += reply.count("\n")
        if last == "end":
            return lines
        at = int(last.split(" ")[1])


def measure_million(disks, report, times):
    """Measures a million remaps, made in long ranges and one by one."""
    control, chance = disks.control, random.Random(SEED)
    long = list(range(0, MILLION, LONG_RANGE))
    chance.shuffle(long)
    scattered = chance.sample(range(disks.sectors // BLOCK), MILLION)
    for kind, messages in (
        ("in ranges", (f"remap {first * BLOCK} {LONG_RANGE * BLOCK}" for first in long)),
        ("scattered", (f"remap {block * BLOCK}" for block in scattered)),
    ):
        spare = disks.spare(MILLION + 20_000)
        disks.remap("million", spare)
        began = time.monotonic()
        for message in messages:
            control.message("million", message)
        print(f"# {kind}: made in {time.monotonic() - began:.0f} s")
        # The first time as they were made, and then as they were loaded.
        listed, saved, loaded, memory = [], [], [], []
        for _ in range(times):
            listed.append(timed(list_all, control, "million"))
            saved.append(timed(control.message, "million", "save"))
            control.remove("million")
            free = kernel_memory()
            loaded.append(disks.remap("million", spare))
            memory.append((kernel_memory() - free) / MILLION)
        assert list_all(control, "million") == MILLION
        control.remove("million")
        report.add(f"{kind}: load, seconds", loaded, "load seconds")
        report.add(f"{kind}: list, seconds", listed, "list seconds")
        report.add(f"{kind}: save, seconds", saved, "save seconds")
        report.add(f"{kind}: memory, bytes each", memory, "bytes a remap")


class Load:
    """Running fio, until it is stopped."""

    def __init__(self, path):
        self.fio = subprocess.Popen(
            ["fio", "--name=rest", f"--filename={path}", "--rw=randrw", "--bs=4k", "--direct=1", "--norandommap"]
            + ["--ioengine=libaio", "--iodepth=32", "--time_based", "--runtime=3600", "--thread"]
            + [f"--randseed={SEED}", "--gtod_reduce=1", "--output=/dev/null"],
            stdout=subprocess.DEVNULL,
        )

    def stop(self):
        assert self.fio.poll() is None, "fio has ended by itself"
        self.fio.terminate()
        self.fio.wait()


class Traffic:
    """Messages of one kind to a table under load, in windows."""

    # Seconds. Messages are sent in bursts, so that the process does not wake up for each, which would cost time.
    WINDOW, BURST = 0.1 if NATIVE else 0.5, 0.01

    def __init__(self, disks, name, each):
        self.control, self.name, self.each = disks.control, name, each
        # Ranges and blocks are not adjacent, so that none is merged with the one before.
        self.stride, self.next = 2 * each, 0

    def bios(self):
        state = self.control.state(self.name)
        return state["reads"] + state["writes"]

    def send(self, verb):
        """Sends the next message."""
        sector = self.next * BLOCK
        if verb == "remap":
            self.next += self.stride
            count = f" {self.each * BLOCK}" if self.each > 1 else ""
            self.control.message(self.name, f"remap {sector}{count}")
        else:
            self.control.message(self.name, f"verify {sector}")

    def window(self, verb, pace):
        """Sends messages for a window, at a pace or without a pause. Returns the bios a second of the load, and the
        blocks a second of the messages."""
        before, began = self.bios(), time.monotonic()
        end, done = began + self.WINDOW, 0
        while (now := time.monotonic()) < end:
            due = (now - began + self.BURST) * (pace or 0)
            if not verb:
                time.sleep(end - now)
            elif pace and done + self.each > due:
                time.sleep(min(end - now, max((done + self.each - due) / pace, self.BURST)))
            else:
                self.send(verb)
                done += self.each
        seconds = time.monotonic() - began
        return (self.bios() - before) / seconds, done / seconds


def measure_live(disks, report, rounds, pace):
    """Measures moves under load, with metadata and volatile."""
    for options in ((), ("volatile",)):
        kept = "volatile" if options else "metadata"
        name = f"live_{kept}"
        disks.remap(name, disks.spare(2 * MILLION), *options)
        load = Load(f"/dev/dm-{os.minor(disks.control.number(name))}")
        time.sleep(2)
        ranges, singles = Traffic(disks, name, RANGE), Traffic(disks, name, 1)
        # The two use different halves of the device.
        singles.next = disks.sectors // BLOCK // 2
        most = {}
        for kind, traffic in (("ranges", ranges), ("one by one", singles)):
            most[kind] = [traffic.window("remap", None)[1] for _ in range(9)]
            limit = "blocks a second" if NATIVE or pace else None
            report.add(f"{kind}, {kept}: blocks a second at most", most[kind], limit)
        here = pace or (2000 if NATIVE else min(2000, statistics.median(most["one by one"]) / 8))
        for kind, traffic in (("ranges", ranges), ("one by one", singles)):
            # At least three messages in a window.
            least = 3 * traffic.each / Traffic.WINDOW
            measure_traffic(report, f"{kind}, {kept}", traffic, rounds, max(here, least), bool(limit))
        load.stop()
        disks.control.remove(name)


def measure_traffic(report, kind, traffic, rounds, pace, judged):
    order, windows = random.Random(SEED), {None: [], "verify": [], "remap": []}
    for _ in range(rounds):
        for verb in order.sample(list(windows), len(windows)):
            windows[verb].append(traffic.window(verb, pace))
    rest = {verb: [bios for bios, _ in values] for verb, values in windows.items()}
    moved = [blocks for _, blocks in windows["remap"]]
    print(f"# the load alone: {statistics.median(rest[None]):.0f} bios a second", flush=True)
    report.add(f"{kind}: blocks a second at a pace of {pace:.0f}", moved)

    def ratios(one, other):
        return [a / b for a, b in zip(rest[one], rest[other]) if b]

    assert not judged or statistics.median(moved) > 0.95 * pace, "the pace was not kept"
    limit = "rest of the load" if judged else None
    report.add(f"{kind}: the rest, moved to asked", ratios("remap", "verify"), limit)
    report.add(f"{kind}: the rest, moved to quiet", ratios("remap", None))


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--only", choices=("million", "live"))
    options.add_argument("--times", type=int, default=7)
    options.add_argument("--rounds", type=int, default=101)
    options.add_argument("--pace", type=float)
    options.add_argument("--json")
    options = options.parse_args()

    run("insmod", os.environ["DM_REMAP_KO"], "debug_level=0")
    disks, report = Disks(), Report(limits("moves"))
    if options.only != "live":
        measure_million(disks, report, options.times)
    if options.only != "million":
        measure_live(disks, report, options.rounds, options.pace)
    return report.end(options.json)


if __name__ == "__main__":
    require_guest()
    sys.exit(main())
