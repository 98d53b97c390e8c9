#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Measures the cost of one bio on each contestant, in a guest and in interleaved rounds.

    measure.py BIO_BENCH_KO SERIES --measure time|instructions [--rounds N] [--bios N] [--json FILE]

The unit is a nanosecond of the guest's clock: of CPU time if the guest runs natively on one CPU and its devices
complete bios at once, and an instruction if the emulator counts them. The main result is the ratio to dm-linear, of
two measurements of one round. The last column compares it with limits.json.
"""

import argparse
import datetime
import json
import os
import random
import re
import statistics
import sys
import time

from contestants import BENCH, BLOCK, STRESS, Disks, linear, others, read, remapped, run, write
from in_guest import require_guest

SEED = 20260101
FOLDER = os.path.dirname(os.path.abspath(__file__))


class Cell:
    """Kind of bios that all contestants are measured with."""

    def __init__(self, *, size=4096, direction="read", order="random", depth=32, batch=False, cpus=1):
        self.labels = {
            "bytes": size,
            "direction": direction,
            "order": order,
            "in_flight": depth if batch else 1,
            "cpus": cpus,
        }
        self.size, self.depth, self.batch, self.cpus = size, depth, batch, cpus
        self.direction, self.order = direction[0], order[0]

    def __str__(self):
        size = f"{self.size >> 20} MiB" if self.size >> 20 else f"{self.size / 1024:g} KiB"
        words = [size, self.labels["order"], self.labels["direction"]]
        if self.batch:
            words.append(f"{self.depth} in flight")
        if self.cpus > 1:
            words.append(f"{self.cpus} CPUs")
        return ", ".join(words)

    def cost(self, contestant, bios, seed):
        """Returns the mean cost of one bio on a contestant."""
        run_of, stride, hits = contestant.pick(self.size)
        write(
            f"{BENCH}/run",
            f"{contestant.path} {bios} {self.depth} {self.size} {self.direction} {self.order} {seed}"
            f" {run_of} {stride} {hits} {int(self.batch)} {self.cpus}",
        )
        return int(read(f"{BENCH}/run")) / (bios * self.cpus)


def interval(values):
    """Returns the median and its 95 % interval, by order statistics."""
    ordered = sorted(values)
    n = len(ordered)
    reach = int(0.98 * n**0.5 + 0.5)
    low, high = max(0, n // 2 - reach), min(n - 1, n // 2 + reach)
    return statistics.median(ordered), ordered[low], ordered[high]


def limits(part):
    """Returns a part of limits.json."""
    return json.loads(read(f"{FOLDER}/limits.json"))[part]


def limit_of(record):
    """Returns the limit of a record's ratio, by the first rule that matches, or None."""
    for rule in limits("bios"):
        if all(record.get(key) in values for key, values in rule["where"].items()):
            return rule["most"]
    return None


class Recorded:
    """
    Recorded instruction counts, which must not grow unnoticed. Counts vary by two tenths of a percent, so an
    increase of a hundredth is due to a change.
    """

    MOST = 1.01

    def __init__(self, path):
        self.path = path
        self.counts = json.loads(read(path)) if os.path.exists(path) else {}

    @staticmethod
    def key(record):
        return f"{record['bytes']} {record['order']} {record['direction']}: {record['contestant']}"

    def judge(self, records):
        """
        Prints the counts that have grown. Returns how many have not, and how many have. Another kernel or compiler
        changes the counts of dm-linear, too, so the recorded counts are scaled by the change of these.
        """
        by_key = {self.key(record): record for record in records}
        grown = kept = 0
        for key in self.counts.keys() - by_key.keys():
            if ": remap, " in key:
                print(f"FAILED   {key} is on record, and was not counted")
                grown += 1
        for key, record in by_key.items():
            base = self.key({**record, "contestant": "linear"})
            if record["remaps"] is None or base not in by_key:
                continue
            if key not in self.counts:
                print(f"FAILED   no count of {key} is recorded")
                grown += 1
                continue
            expected = self.counts[key] * by_key[base]["median"] / self.counts[base]
            if record["median"] <= expected * self.MOST:
                kept += 1
                continue
            grown += 1
            print(f"FAILED   {key}: {record['median']} instructions, {expected:.1f} are on record")
        return kept, grown

    def keep(self, records):
        self.counts = {self.key(record): record["median"] for record in records}
        write(self.path, json.dumps(self.counts, indent=1) + "\n")


class Bench:
    """Takes and prints measurements, and keeps a record of each."""

    def __init__(self, options):
        self.options = options
        self.order = random.Random(SEED)
        self.records = []

    def compare(self, cell, field):
        """Measures all of a field in interleaved rounds, each next to dm-linear."""
        # Larger bios are fewer, so that the number of bytes is the same.
        bios = max(self.options.bios * 4096 // max(cell.size, 4096), 64)
        field = [contestant for contestant in field if contestant.goes_in(cell.size)]
        references = self.references(cell, field)
        measured = field + [reference for reference in set(references.values()) if reference not in field]
        measured.sort(key=lambda contestant: contestant.name)
        for contestant in measured:
            cell.cost(contestant, bios, 1)
            contestant.cost = []
        for number in range(self.options.rounds):
            for contestant in self.order.sample(measured, len(measured)):
                contestant.cost.append(cell.cost(contestant, bios, SEED + number))
        self.heading(cell)
        for contestant in field:
            reference = references[contestant]
            self.keep(cell, contestant, contestant.cost, reference.cost if reference is not contestant else None)

    @staticmethod
    def references(cell, field):
        """
        Returns the reference of each contestant, which is dm-linear. Written data stays in the caches if it is
        little, so writes to few remapped blocks are compared with writes to the same blocks of dm-linear.
        """
        linear = next(contestant for contestant in field if contestant.name == "linear")
        few = {}
        for contestant in field:
            if cell.direction != "r" and contestant.hits == 1000:
                few[contestant] = contestant.on(linear)
        return {contestant: few.get(contestant, linear) for contestant in field}

    @staticmethod
    def heading(cell):
        print(f"\n{str(cell):<40} {'median':>9} {'95 % interval':>19} {'ratio':>7} {'95 % interval':>15}  limit")

    def keep(self, cell, contestant, cost, other, measure=None):
        """Prints and records the costs of a contestant, and their ratio to those of another one."""
        median, low, high = interval(cost)
        digits = 1 if median >= 10 else 3
        record = {
            "series": self.options.series,
            "machine": os.environ["DM_REMAP_MACHINE"],
            "measure": measure or self.options.measure,
            "contestant": contestant.name,
            **contestant.labels,
            **cell.labels,
            "median": round(median, 4),
            "interval": [round(low, 4), round(high, 4)],
            "limit": None,
        }
        line = f"{contestant.name:<40} {median:9.{digits}f} {low:9.{digits}f}-{high:9.{digits}f}"
        judged = median
        if other:
            # Ratios are within a round, whose measurements share the state of the machine.
            judged, low, high = interval([a / b for a, b in zip(cost, other)])
            record.update(ratio=round(judged, 4), ratio_interval=[round(low, 4), round(high, 4)])
            line += f" {judged:7.3f} {low:7.3f}-{high:7.3f}"
        limit = limit_of(record)
        if limit:
            record["limit"] = limit
            # A limit of 1: two equal contestants are as often slightly above 1 as below.
            record["reached"] = judged <= limit or limit == 1 and low <= 1 and judged <= 1.05
            line += f"  {limit:.3f} {'reached' if record['reached'] else 'MISSED'}"
        print(line, flush=True)
        self.records.append(record)


def field_of_all(bench):
    """Measures all contestants with bios of 4 KiB, the usual size."""
    disks = Disks(512, 128)
    field = others(disks) + remapped(disks, 0) + remapped(disks, 10_000, bench.options.run_of)
    bench.compare(Cell(), field)
    disks.fill()
    bench.compare(Cell(direction="write"), field)


def sizes(bench):
    """Measures bios from a sector to 1 MiB, none of which is split."""
    disks = Disks(256, 128)
    field = [linear(disks)] + remapped(disks, 0)
    # Runs of 1 MiB, so that no bio spans the end of one.
    field += remapped(disks, 32 * 256, 256, layout="clustered")
    for direction in "read", "write", "mixed":
        if direction == "write":
            disks.fill()
        for order in "random", "sequential":
            for size in 512, 4096, 16384, 65536, 262144, 1048576:
                depth = 4 if size > 65536 else 32
                bench.compare(Cell(size=size, direction=direction, order=order, depth=depth), field)


def remaps(bench):
    """Measures none to 100,000 remaps, scattered or in runs of 64."""
    disks = Disks(4096, 1024)
    field = [linear(disks)] + remapped(disks, 0)
    for exponent in range(6):
        field += remapped(disks, 10**exponent)
        if exponent > 1:
            field += remapped(disks, 10**exponent, 64, layout="clustered")
    # A turn begins with the caches as the others have left them. It is so long that warming them is a small part
    # of its cost.
    bench.options.bios *= 10
    bench.compare(Cell(), field)


def million(bench):
    """Measures a million remaps, and fewer for comparison, on a disk of 16 GiB."""
    disks = Disks(16384, 16384)
    field = [linear(disks)] + remapped(disks, 0) + remapped(disks, 10_000)
    field += remapped(disks, 1_000_000) + remapped(disks, 1_000_000, 64, layout="clustered")
    field += remapped(disks, 1_000_000, layout="shuffled", shares=(1000,))
    # So many bios that the caches do not hold the data of the turn before.
    bench.options.bios *= 50
    bench.compare(Cell(), field)


def hits(bench):
    """Measures shares of remapped bios, from none to all."""
    disks = Disks(512, 128)
    field = [linear(disks)] + remapped(disks, 10_000, shares=(0, 10, 500, 1000))
    bench.compare(Cell(), field)


def depths(bench):
    """Measures 1 to 64 bios in flight, on a disk with a queue."""
    disks = Disks(512, 128, "null")
    field = [linear(disks)] + remapped(disks, 0) + remapped(disks, 10_000)
    for exponent in range(7):
        bench.compare(Cell(depth=1 << exponent, batch=True), field)


def cpus(bench):
    """Measures the cost of a bio on two CPUs as a ratio to that on one, compared with the ratio of dm-linear."""
    disks = Disks(512, 128)
    field = [linear(disks)] + remapped(disks, 0) + remapped(disks, 10_000, bench.options.run_of)
    one, two = Cell(), Cell(cpus=2)
    for contestant in field:
        contestant.cost = []
    for number in range(bench.options.rounds):
        for contestant in bench.order.sample(field, len(field)):
            seed, bios = SEED + number, bench.options.bios
            alone = one.cost(contestant, bios, seed)
            contestant.cost.append(two.cost(contestant, bios, seed) / alone)
    bench.options.measure = "scaling"
    bench.heading(two)
    for contestant in field:
        bench.keep(two, contestant, contestant.cost, field[0].cost if contestant is not field[0] else None)


def latency(bench):
    """Measures the latency that the target adds to a bio by its own account, with 1024 bios in flight."""
    disks = Disks(512, 128, "later")
    cell = Cell(size=4096, direction="mixed", depth=1024, batch=True)
    # The target reads the clock four times; two of these are within the measured time.
    clock = 2 * int(read(f"{BENCH}/clock")) / 1000
    print(f"\nadded to {cell}, by its own account, less {clock:.1f} for two looks at the clock")
    # A stress test uses the whole device.
    remaps = 10_000
    hits = round(1000 * remaps * BLOCK / disks.sectors)
    for contestant in remapped(disks, 0) + remapped(disks, remaps, bench.options.run_of, shares=(hits,)):
        write(f"{STRESS}/set_target", os.path.basename(contestant.path))
        means, tails = [], []
        for seed in range(1, bench.options.rounds + 1):
            report = stress(f"read=70 random=100 bs=4096 queue_depth=256 workers=4 duration_ms=1000 seed={seed}")
            added = dict(word.split("=") for word in value_of(report, "Added Latency").split())
            if int(value_of(report, "Peak In Flight")) < 1024:
                raise RuntimeError("fewer than 1024 were in flight")
            means.append(int(added["avg"]) - clock)
            tails.append(int(added["p99.9"]) - clock)
        for what, values in ("mean", means), ("p99.9", tails):
            bench.keep(cell, contestant, values, None, f"{bench.options.measure}, added {what}")


def stress(workload):
    """Runs a stress test. Returns its results."""
    write(f"{STRESS}/custom_workload", workload)
    while read(f"{STRESS}/stress_test_status").startswith("RUNNING"):
        time.sleep(0.05)
    return read(f"{STRESS}/stress_test_results")


def value_of(report, key):
    """Returns the value in the line of the key."""
    return next(re.sub(r"^[^:]*: *", "", line) for line in report.splitlines() if line.strip().startswith(key))


SERIES = {
    "latency": latency,
    "cpus": cpus,
    "contestants": field_of_all,
    "sizes": sizes,
    "remaps": remaps,
    "million": million,
    "hits": hits,
    "depths": depths,
}


def setting(options):
    """Returns the conditions of the measurement."""
    return {
        "date": datetime.date.today().isoformat(),
        "kernel": os.uname().release,
        "machine": os.environ["DM_REMAP_MACHINE"],
        "processor": options.processor,
        "seed": SEED,
        "rounds": options.rounds,
        "bios": options.bios,
    }


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("module")
    options.add_argument("series", choices=SERIES)
    options.add_argument("--measure", choices=("time", "instructions"), default="time")
    options.add_argument("--rounds", type=int, default=31)
    options.add_argument("--bios", type=int, default=4000, help="bios of 4 KiB in a round")
    options.add_argument("--run-of", type=int, default=1, help="neighbouring blocks remapped")
    options.add_argument("--processor", default="unknown", help="processor that the guest runs on")
    options.add_argument("--json")
    options.add_argument("--recorded", help="instruction counts that must not grow")
    options.add_argument("--record", action="store_true", help="record the counts instead")
    options = options.parse_args()

    run("insmod", os.environ["DM_REMAP_KO"], "debug_level=0")
    run("insmod", options.module)
    print(f"# seed {SEED}, {options.rounds} rounds", flush=True)
    bench = Bench(options)
    SERIES[options.series](bench)
    if options.json:
        with open(options.json, "w", encoding="ascii") as out:
            json.dump({"setting": setting(options), "results": bench.records}, out, indent=1)
    judged = [record["reached"] for record in bench.records if "reached" in record]
    passed, failed = sum(judged), len(judged) - sum(judged)
    if options.recorded:
        recorded = Recorded(options.recorded)
        if options.record:
            recorded.keep(bench.records)
        kept, grown = recorded.judge(bench.records)
        passed, failed = passed + kept, failed + grown
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    require_guest()
    sys.exit(main())
