#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Measures in a guest what one bio costs on each contestant, in interleaved rounds.

    measure.py BIO_BENCH_KO SERIES --measure time|instructions [--rounds N] [--bios N] [--json FILE]

The unit is the nanosecond of the guest's clock: of CPU time where the guest runs natively on one CPU
and its devices end bios as they come, an instruction where the emulator counts them. What leads is the
ratio to dm-linear, of two measurements of one round; the last column holds it against limits.json.
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
    """What all contestants are asked for."""

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
        """Of one bio of that contestant, on average."""
        run_of, stride, hits = contestant.pick(self.size)
        write(
            f"{BENCH}/run",
            f"{contestant.path} {bios} {self.depth} {self.size} {self.direction} {self.order} {seed}"
            f" {run_of} {stride} {hits} {int(self.batch)} {self.cpus}",
        )
        return int(read(f"{BENCH}/run")) / (bios * self.cpus)


def interval(values):
    """The median and the interval that holds it with 95 % (by order statistics)."""
    ordered = sorted(values)
    n = len(ordered)
    reach = int(0.98 * n**0.5 + 0.5)
    low, high = max(0, n // 2 - reach), min(n - 1, n // 2 + reach)
    return statistics.median(ordered), ordered[low], ordered[high]


def limits(part):
    """What is measured may be at most."""
    return json.loads(read(f"{FOLDER}/limits.json"))[part]


def limit_of(record):
    """What its ratio may be at most: that of the first rule that fits."""
    for rule in limits("bios"):
        if all(record.get(key) in values for key, values in rule["where"].items()):
            return rule["most"]
    return None


class Recorded:
    """
    Instruction counts as they were when somebody last looked: what nobody meant to grow must not. They
    are exact, so a hundredth more is somebody's doing.
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
        Prints what has grown; how many have, and how many have not. Another kernel or another
        compiler changes what everything costs, dm-linear too, and is allowed for by that.
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
    """Takes the measurements, prints them, and keeps a record of each."""

    def __init__(self, options):
        self.options = options
        self.order = random.Random(SEED)
        self.records = []

    def compare(self, cell, field):
        """Measures all of a field in interleaved rounds, each next to dm-linear."""
        # As many bytes are worth as much patience.
        bios = max(self.options.bios * 4096 // max(cell.size, 4096), 64)
        field = [contestant for contestant in field if contestant.goes_in(cell.size)]
        rivals = self.rivals(cell, field)
        everybody = field + [rival for rival in set(rivals.values()) if rival not in field]
        everybody.sort(key=lambda contestant: contestant.name)
        for contestant in everybody:
            cell.cost(contestant, bios, 1)
            contestant.cost = []
        for number in range(self.options.rounds):
            for contestant in self.order.sample(everybody, len(everybody)):
                contestant.cost.append(cell.cost(contestant, bios, SEED + number))
        self.heading(cell)
        for contestant in field:
            rival = rivals[contestant]
            self.keep(cell, contestant, contestant.cost, rival.cost if rival is not contestant else None)

    @staticmethod
    def rivals(cell, field):
        """
        Whom each is compared with: dm-linear. What is written stays in the caches the longer the less of
        it there is: the few blocks that are remapped are compared with as few.
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
        """Prints and records what a contestant cost, and next to another one."""
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
            # Pair by pair: what was measured in one round was measured under one weather.
            judged, low, high = interval([a / b for a, b in zip(cost, other)])
            record.update(ratio=round(judged, 4), ratio_interval=[round(low, 4), round(high, 4)])
            line += f" {judged:7.3f} {low:7.3f}-{high:7.3f}"
        limit = limit_of(record)
        if limit:
            record["limit"] = limit
            # Two that are the same are as often above one as below, and by little.
            record["reached"] = judged <= limit or limit == 1 and low <= 1 and judged <= 1.05
            line += f"  {limit:.3f} {'reached' if record['reached'] else 'MISSED'}"
        print(line, flush=True)
        self.records.append(record)


def field_of_all(bench):
    """Everybody, as they are mostly asked: 4 KiB."""
    disks = Disks(512, 128)
    field = others(disks) + remapped(disks, 0) + remapped(disks, 10_000, bench.options.run_of)
    bench.compare(Cell(), field)
    disks.fill()
    bench.compare(Cell(direction="write"), field)


def sizes(bench):
    """From a sector to a mebibyte, where no bio has to be split."""
    disks = Disks(256, 128)
    field = [linear(disks)] + remapped(disks, 0)
    # In runs of a mebibyte, which a bio of that size fits in.
    field += remapped(disks, 32 * 256, 256, layout="clustered")
    for direction in "read", "write", "mixed":
        if direction == "write":
            disks.fill()
        for order in "random", "sequential":
            for size in 512, 4096, 16384, 65536, 262144, 1048576:
                depth = 4 if size > 65536 else 32
                bench.compare(Cell(size=size, direction=direction, order=order, depth=depth), field)


def remaps(bench):
    """None to a hundred thousand remaps, here and there or in runs of 64."""
    disks = Disks(4096, 1024)
    field = [linear(disks)] + remapped(disks, 0)
    for exponent in range(6):
        field += remapped(disks, 10**exponent)
        if exponent > 1:
            field += remapped(disks, 10**exponent, 64, layout="clustered")
    # A turn starts with what the others have left in the caches. It is to be so long that this is
    # the smaller part of what it costs.
    bench.options.bios *= 10
    bench.compare(Cell(), field)


def million(bench):
    """A million, and as many as are compared with it, on a disk large enough."""
    disks = Disks(16384, 16384)
    field = [linear(disks)] + remapped(disks, 0) + remapped(disks, 10_000)
    field += remapped(disks, 1_000_000) + remapped(disks, 1_000_000, 64, layout="clustered")
    field += remapped(disks, 1_000_000, layout="shuffled", shares=(1000,))
    # So many that what the caches hold is not what was touched a moment ago.
    bench.options.bios *= 50
    bench.compare(Cell(), field)


def hits(bench):
    """From no bio to every bio remapped."""
    disks = Disks(512, 128)
    field = [linear(disks)] + remapped(disks, 10_000, shares=(0, 10, 500, 1000))
    bench.compare(Cell(), field)


def depths(bench):
    """One to 64 in flight, on a disk with a queue."""
    disks = Disks(512, 128, "null")
    field = [linear(disks)] + remapped(disks, 0) + remapped(disks, 10_000)
    for exponent in range(7):
        bench.compare(Cell(depth=1 << exponent, batch=True), field)


def cpus(bench):
    """What a bio costs on two CPUs at once, next to one: how much worse that is than dm-linear's."""
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
    """What the target says it adds to a bio, with 1024 in flight."""
    disks = Disks(512, 128, "later")
    cell = Cell(size=4096, direction="mixed", depth=1024, batch=True)
    # It looks at the clock four times, and two looks are within what it times.
    clock = 2 * int(read(f"{BENCH}/clock")) / 1000
    print(f"\nadded to {cell}, by its own account, less {clock:.1f} for two looks at the clock")
    # A stress test goes everywhere.
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
    """The results of a stress test."""
    write(f"{STRESS}/custom_workload", workload)
    while read(f"{STRESS}/stress_test_status").startswith("RUNNING"):
        time.sleep(0.05)
    return read(f"{STRESS}/stress_test_results")


def value_of(report, key):
    """The rest of the key's line."""
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
    """Under what the figures came about."""
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
    options.add_argument("--bios", type=int, default=4000, help="of 4 KiB in a round")
    options.add_argument("--run-of", type=int, default=1, help="neighbouring blocks remapped")
    options.add_argument("--processor", default="unknown", help="what the guest runs on")
    options.add_argument("--json")
    options.add_argument("--recorded", help="instruction counts that must not grow")
    options.add_argument("--record", action="store_true", help="keep them instead")
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
