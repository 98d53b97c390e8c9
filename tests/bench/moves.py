#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Measures in a guest what a million remaps cost their owner, and what blocks that move cost the rest.

    moves.py [--only million|live] [--times N] [--rounds N] [--pace BLOCKS] [--json FILE]

`million`: seconds to load (resume), list (all pages, by ioctls as dmsetup's) and save 1,000,000 remaps,
the median of several times, and bytes of kernel memory each. Once in long ranges, in shuffled order,
and once scattered over 64 GiB, one message each, so that neither order says anything of the other.
Disks without latency, whose contents nobody keeps but for the ends of the spare, which hold the
metadata.

`live`: blocks move while fio reads and writes at random, 4 KiB, 32 bios in flight. In ranges and one by
one (every message waits for the one before), with metadata and volatile:

* how many blocks a second move at most beside that load;
* what is left of the load's throughput at a pace of 2,000 blocks a second (`--pace`).

The load runs all the time, in windows of a tenth of a second (half of one off `uml`) that follow each
other at random: in `moved` ones blocks are moved at that pace, in `asked` ones the same messages only
ask where they are (`verify`), in `quiet` ones there are none. A ratio is that of two windows of the same
round; what is shown is the median of all rounds and the interval that holds it with 95 %. The bios are
counted by the target, which does not count what a move reads and writes itself.

On one CPU with disks that answer at once the load takes all the time that there is, so that every
microsecond of a move is one less for the load, and so is every one of the process that sends the
messages, which is no part of a move. So the limit is for `moved` against `asked`; `quiet` is shown next
to it. `uml` is to be kept on one CPU of the host (taskset), or the load comes and goes with how fast
that wakes the other one up.

Limits are for `uml`, and for other machines where a pace is given: where the guest is emulated or full
of checks a block takes milliseconds of its CPU, and times say little. The pace is then an eighth of
what it can do one by one, as 2,000 is on `uml`.
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
# Metadata takes 18 bytes a slot in each half; what lies between is not kept.
END_BYTES = 20
CONFIG = "/sys/kernel/config"
RANGE = 50  # blocks in a message, at a pace
LONG_RANGE = 20_000
NATIVE = os.environ.get("DM_REMAP_MACHINE", "uml") == "uml"


class Disks:
    """A main device, and spares of which only the ends are kept."""

    def __init__(self):
        self.control = Control()
        run("modprobe", "null_blk", "nr_devices=0")
        if not os.path.isdir(f"{CONFIG}/nullb"):
            run("busybox", "mount", "-t", "configfs", "none", CONFIG)
        self.main = null_disk("main", MAIN_MB, memory_backed=0)
        self.sectors = MAIN_MB * 2048
        self.made = 0

    def spare(self, slots):
        """A spare area for so many blocks: its device and its length."""
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
        """A remap table; the seconds that its activation took."""
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
    """Bytes that the kernel holds for good."""
    write("/proc/sys/vm/drop_caches", "3")
    time.sleep(0.5)
    with open("/proc/meminfo", encoding="ascii") as file:
        values = {line.split(":")[0]: int(line.split()[1]) for line in file}
    return 1024 * (values["SUnreclaim"] + values["VmallocUsed"] + values["Percpu"])


class Report:
    """Lines, and the same as records."""

    def __init__(self, at_most):
        self.limits, self.results = at_most, []
        print(f"{'':<48} {'median':>10} {'lowest':>10} {'highest':>10}  limit", flush=True)

    def add(self, name, values, limit=None):
        """Values of one kind, the median of which may be `limit` at most: a key of limits.json; or, of
        ratios and blocks a second, at least."""
        median, low, high = interval(values)
        record = {"name": name, "median": median, "low": low, "high": high, "limit": None, "reached": None}
        verdict = ""
        if limit:
            record["limit"] = bound = self.limits[limit]
            at_least = limit in ("blocks a second", "rest of the load")
            record["reached"] = median >= bound if at_least else median <= bound
            verdict = f"{bound} {'reached' if record['reached'] else 'MISSED'}"
        digits = 3 if high < 100 else 0
        print(f"{name:<48} {median:10.{digits}f} {low:10.{digits}f} {high:10.{digits}f}  {verdict}", flush=True)
        self.results.append(record)


def list_all(control, name):
    """Asks for all pages of a list; the number of lines."""
    lines, at = 0, 0
    while True:
        reply = control.message(name, f"list {at}")
        last = reply[reply.rfind("\n") + 1 :]
        lines += reply.count("\n")
        if last == "end":
            return lines
        at = int(last.split(" ")[1])


def measure_million(disks, report, times):
    """A million remaps, made in two ways."""
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
        # As they were made, and then as they were loaded.
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
    """fio at work, until it is stopped."""

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
    """A table under load, and messages to it: of one kind, in windows."""

    # Seconds; messages go out in bursts, as a process that wakes up for each would be measured, too.
    WINDOW, BURST = 0.1 if NATIVE else 0.5, 0.01

    def __init__(self, disks, name, each):
        self.control, self.name, self.each = disks.control, name, each
        # Nobody's neighbours: every range or block is one of its own.
        self.stride, self.next = 2 * each, 0

    def bios(self):
        state = self.control.state(self.name)
        return state["reads"] + state["writes"]

    def ask(self, verb):
        sector = self.next * BLOCK
        if verb == "remap":
            self.next += self.stride
            count = f" {self.each * BLOCK}" if self.each > 1 else ""
            self.control.message(self.name, f"remap {sector}{count}")
        else:
            self.control.message(self.name, f"verify {sector}")

    def window(self, verb, pace):
        """The load's bios a second, and the blocks a second that were moved or asked for: at a pace, as
        fast as they go without one."""
        before, began = self.bios(), time.monotonic()
        end, done = began + self.WINDOW, 0
        while (now := time.monotonic()) < end:
            due = (now - began + self.BURST) * (pace or 0)
            if not verb:
                time.sleep(end - now)
            elif pace and done + self.each > due:
                time.sleep(min(end - now, max((done + self.each - due) / pace, self.BURST)))
            else:
                self.ask(verb)
                done += self.each
        seconds = time.monotonic() - began
        return (self.bios() - before) / seconds, done / seconds


def measure_live(disks, report, rounds, pace):
    """Blocks move beside a load, with metadata and without."""
    for options in ((), ("volatile",)):
        kept = "volatile" if options else "metadata"
        name = f"live_{kept}"
        disks.remap(name, disks.spare(2 * MILLION), *options)
        load = Load(f"/dev/dm-{os.minor(disks.control.number(name))}")
        time.sleep(2)
        ranges, singles = Traffic(disks, name, RANGE), Traffic(disks, name, 1)
        # Apart from each other.
        singles.next = disks.sectors // BLOCK // 2
        most = {}
        for kind, traffic in (("ranges", ranges), ("one by one", singles)):
            most[kind] = [traffic.window("remap", None)[1] for _ in range(9)]
            limit = "blocks a second" if NATIVE or pace else None
            report.add(f"{kind}, {kept}: blocks a second at most", most[kind], limit)
        here = pace or (2000 if NATIVE else min(2000, statistics.median(most["one by one"]) / 8))
        for kind, traffic in (("ranges", ranges), ("one by one", singles)):
            # A few messages in a window at least.
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
    reached = sum(result["reached"] is True for result in report.results)
    missed = sum(result["reached"] is False for result in report.results)
    if options.json:
        with open(options.json, "w", encoding="ascii") as out:
            json.dump(report.results, out, indent=1)
    print(f"{reached} passed, {missed} failed, 0 skipped")
    return 1 if missed else 0


if __name__ == "__main__":
    require_guest()
    sys.exit(main())
