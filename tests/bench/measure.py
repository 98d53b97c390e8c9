#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Measures in a guest what one bio costs on each contestant, in interleaved rounds.

    measure.py BIO_BENCH_KO time|instructions [--rounds N] [--bios N] [--million] [--json FILE]

The last column compares the ratio to dm-linear with the limit in limits.json. The unit is the nanosecond of the guest's clock: of CPU time where the guest runs natively on one
CPU and its devices complete at once, an instruction where the emulator counts them.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from device_mapper import Control  # noqa: E402

BENCH = "/sys/kernel/debug/bio_bench"
BLOCK = 8  # sectors
SEED = 20260101


def run(*words):
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def dmsetup_create(name, table):
    subprocess.run(
        ["dmsetup", "create", name], input=table, check=True, capture_output=True, text=True
    )
    return f"/dev/mapper/{name}"


class Contestant:
    """A device and which of its blocks are read."""

    def __init__(self, name, path, pick, against):
        self.name, self.path, self.pick, self.against = name, path, pick, against
        self.cost = []

    def round(self, bios, seed):
        run_of, stride, hit = self.pick
        line = f"{self.path} {bios} 32 4096 r {seed} {run_of} {stride} {hit}"
        with open(BENCH, "w", encoding="ascii") as control:
            control.write(line)
        with open(BENCH, encoding="ascii") as control:
            self.cost.append(int(control.read()) / bios)


class Disks:
    """The RAM disks below, and remap tables over them."""

    def __init__(self, main_mb, spare_mb):
        self.control = Control()
        run("modprobe", "brd", "rd_nr=2", f"rd_size={max(main_mb, spare_mb) * 1024}")
        self.main, self.spare = "/dev/ram0", "/dev/ram1"
        self.sectors = main_mb * 2048
        self.spare_sectors = spare_mb * 2048
        self.used = 0

    def forget_contents(self):
        """Gives the memory of the spare blocks back, which have been written to."""
        run("blkdiscard", "-f", self.spare)

    def remap(self, name, remaps, run_of=1):
        """A remap target with that many remaps: the first `run_of` blocks of every stride."""
        blocks = self.sectors // BLOCK
        stride = blocks * run_of // remaps if remaps else 0
        spare = max(remaps * BLOCK, 1024)
        path = dmsetup_create(
            name,
            f"0 {self.sectors} remap {self.main} {self.spare} {self.used} {spare} 1 volatile",
        )
        self.used += spare
        if remaps:
            for start in range(0, remaps // run_of):
                self.control.message(name, f"remap {start * stride * BLOCK} {run_of * BLOCK}")
        return path, run_of, stride


def contestants(disks, million, run_of_10000):
    """The devices to compare, and for each whose cost is the measure."""
    # The RAM disks below are empty: what it costs to copy memory is not what is compared.
    everything = (1, 0, "a")
    size = f"0 {disks.sectors}"
    field = [
        Contestant("RAM disk", disks.main, everything, None),
        Contestant("linear", dmsetup_create("linear", f"{size} linear {disks.main} 0"), everything, None),
    ]
    for name, table in (
        ("flakey", f"{size} flakey {disks.main} 0 3600 0"),
        ("dust", f"{size} dust {disks.main} 0 4096"),
    ):
        try:
            field.append(Contestant(name, dmsetup_create(name, table), everything, "linear"))
        except subprocess.CalledProcessError:
            print(f"# {name}: this kernel has none", flush=True)
    sizes = [(0, 1), (10_000, run_of_10000)] + ([(1_000_000, 8)] if million else [])
    for remaps, run_of in sizes:
        path, run_of, stride = disks.remap(f"remap_{remaps}", remaps, run_of)
        pick = (run_of, stride, "o") if remaps else everything
        field.append(Contestant(f"remap, {remaps} remaps, unmapped", path, pick, "linear"))
        if remaps:
            hits = (run_of, stride, "i")
            field.append(Contestant(f"remap, {remaps} remaps, remapped", path, hits, "linear"))
    return field


def interval(values):
    """The median and the interval that holds it with 95 % (by order statistics)."""
    ordered = sorted(values)
    n = len(ordered)
    reach = int(0.98 * n**0.5 + 0.5)
    low, high = max(0, n // 2 - reach), min(n - 1, n // 2 + reach)
    return statistics.median(ordered), ordered[low], ordered[high]


def limits(measure):
    """What the ratios may be at most, by contestant."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "limits.json")
    with open(path, encoding="ascii") as known:
        return json.load(known)[measure]


def judge(field, at_most):
    """Prints a line for each contestant and returns the same as records."""
    by_name = {contestant.name: contestant for contestant in field}
    results = []
    print(f"{'contestant':<36} {'median':>9} {'95 % interval':>19} {'ratio':>7}  limit")
    for contestant in field:
        median, low, high = interval(contestant.cost)
        ratio = reached = None
        verdict = ""
        if contestant.against:
            # Pair by pair: what was measured in one round was measured under one weather.
            other = by_name[contestant.against]
            ratio = statistics.median(a / b for a, b in zip(contestant.cost, other.cost))
            verdict = f"{ratio:7.3f}"
        limit = at_most.get(contestant.name)
        if ratio and limit:
            reached = ratio <= limit
            verdict += f"  {limit:.3f} {'reached' if reached else 'MISSED'}"
        print(f"{contestant.name:<36} {median:9.1f} {low:9.1f}-{high:9.1f} {verdict}")
        results.append(
            {
                "name": contestant.name,
                "median": median,
                "low": low,
                "high": high,
                "ratio": ratio,
                "limit": limit,
                "reached": reached,
            }
        )
    return results


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("module")
    options.add_argument("measure", choices=("time", "instructions"))
    options.add_argument("--rounds", type=int, default=101)
    options.add_argument("--bios", type=int, default=4000)
    options.add_argument("--main-mb", type=int, default=512)
    options.add_argument("--spare-mb", type=int, default=64)
    options.add_argument("--run-of", type=int, default=1, help="neighbouring blocks remapped")
    options.add_argument("--million", action="store_true")
    options.add_argument("--json")
    options = options.parse_args()

    run("insmod", os.environ["DM_REMAP_KO"], "debug_level=0")
    run("insmod", options.module)
    disks = Disks(options.main_mb, options.spare_mb)
    field = contestants(disks, options.million, options.run_of)
    disks.forget_contents()
    order = random.Random(SEED)
    print(f"# seed {SEED}, {options.rounds} rounds of {options.bios} reads of 4 KiB", flush=True)
    for contestant in field:
        contestant.round(options.bios, 1)
        contestant.cost.clear()
    for number in range(options.rounds):
        for contestant in order.sample(field, len(field)):
            contestant.round(options.bios, SEED + number)

    results = judge(field, limits(options.measure))
    missed = sum(result["reached"] is False for result in results)
    reached = sum(result["reached"] is True for result in results)
    if options.json:
        with open(options.json, "w", encoding="ascii") as out:
            json.dump(results, out, indent=1)
    print(f"{reached} passed, {missed} failed, 0 skipped")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
