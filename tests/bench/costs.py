# SPDX-License-Identifier: GPL-2.0
"""Prints the cost of a bio by function, from the files of rounds.py and of instruction_counter or sampler.py.

    costs.py instructions ROUNDS COUNTS --json FILE
    costs.py time ROUNDS SAMPLES --json FILE

COUNTS is a file of instruction_counter, SAMPLES a directory of sampler.py. Prints functions and groups of them, each
contestant in comparison with dm-linear. Fails if the sum of the instructions differs from the guest's own measurement.
"""

import argparse
import bisect
import collections
import json
import math
import os
import re
import statistics
import subprocess
import sys

from measure import interval
from sampler import PERIOD_NS

LINEAR = "linear"
SHOWN = 25
TOLERANCE = 0.01  # share of a contestant's instructions
FARTHEST = 1 << 16  # most bytes of a function
HOST = "the host"


def in_order(contestants):
    """Returns the contestants, with dm-linear first, which the others are compared with."""
    return [LINEAR] + sorted(set(contestants) - {LINEAR})


# Groups of functions: the first row whose module and name match. The stock kernel has device-mapper as a module. In
# user-mode Linux it is built in, so there the names of the functions decide.
GROUPS = tuple(
    (group, re.compile(module), re.compile(function))
    for group, module, function in (
        ("benchmark", r"bio_bench$", r""),
        # In these runs only the RAM disk looks up pages in an xarray and copies them.
        ("disk below", r"brd$", r""),
        ("disk below", r"$", r"xas_|xa_load|memset|memcpy"),
        ("target", r"dm_remap$", r""),
        ("target", r"", r"linear_(map|ctr)"),
        ("device-mapper core", r"dm_mod$", r""),
        (
            "device-mapper core",
            r"$",
            r"(__)?dm_|__map_bio|alloc_t?io$|free_t?io$|clone_endio|__max_io_len|max_io_len|__send_|__split_|is_abnormal_io",
        ),
        (
            "block layer",
            r"$",
            r"(__)?(submit_)?bio_|(__)?submit_bio|(__)?blk|css_put|bdev_|update_io_ticks|part_|kthread_blkcg|disk_|bvec_|should_fail_bio|css_tryget|percpu_ref",
        ),
        (
            "memory, RCU, locks",
            r"$",
            # The last row has the functions by which user-mode Linux disables and enables interrupts.
            r".*(mempool|kmem_cache|slab|rcu_|spin_|preempt|this_cpu|_thunk)"
            r"|um_[gs]et_signals|(un)?block_signals|arch_local_|deliver_time_travel_irqs",
        ),
        (HOST, re.escape(HOST), r""),
        ("interrupts and the rest", r"", r""),
    )
)


def group_of(function, module):
    return next(group for group, of, named in GROUPS if of.match(module) and named.match(function))


class Symbols:
    """Names of addresses in the guest's kernel."""

    def __init__(self, known):
        # `__pfx_` is padding before a function, and is never executed; a cold part belongs to its function.
        functions = sorted(
            (address, re.sub(r"\.(cold|part|isra|constprop|llvm)\b.*", "", name), module)
            for address, name, module in known
            if not name.startswith("__pfx_")
        )
        self.starts = [address for address, _, _ in functions]
        self.names = [(name, module) for _, name, module in functions]

    def function(self, address):
        """Returns function and module of an address, or None."""
        at = bisect.bisect_right(self.starts, address) - 1
        if at < 0 or address - self.starts[at] > FARTHEST:
            return None
        return self.names[at]


def readable(names):
    """Returns the demangled names of Rust's functions."""
    mangled = [name for name in names if name.startswith("_R")]
    output = subprocess.run(["c++filt"], input="\n".join(mangled), check=True, capture_output=True, text=True).stdout
    return dict(zip(mangled, (re.sub(r"\[[0-9a-f]+\]", "", line) for line in output.split("\n"))))


class Profile:
    """Cost per bio and its error, by contestant and function, or whatever addresses are resolved to."""

    def __init__(self, unit):
        self.unit = unit
        self.costs = collections.defaultdict(dict)  # contestant: (function, module): (per bio, error of its own)
        self.shared_error = collections.defaultdict(float)  # contestant: relative error that all functions share
        self.expected = {}  # contestant: cost of a bio that the guest has measured

    def contestants(self):
        return in_order(self.costs)

    def make_readable(self):
        names = readable({function for costs in self.costs.values() for function, _ in costs})
        for contestant, costs in self.costs.items():
            self.costs[contestant] = {(names.get(f, f), module): cost for (f, module), cost in costs.items()}

    def records(self):
        return [
            {
                "contestant": contestant,
                "function": function,
                "module": module,
                "group": group_of(function, module),
                "per_bio": per_bio,
                "error": math.hypot(error, per_bio * self.shared_error[contestant]),
            }
            for contestant in self.contestants()
            for (function, module), (per_bio, error) in sorted(
                self.costs[contestant].items(), key=lambda item: -item[1][0]
            )
        ]


def read_counts(path):
    """Returns for each run how often each address was executed."""
    counted = []
    with open(path, encoding="ascii") as lines:
        for line in lines:
            if line == "run\n":
                counted.append(collections.Counter())
            else:
                address, count = line.split()
                counted[-1][int(address, 16)] = int(count)
    return counted


def count_instructions(rounds, path, name_of=None):
    """Returns a profile of the runs that were counted. `name_of` resolves an address, by default to its function."""
    counted = read_counts(path)
    if len(counted) != len(rounds["runs"]):
        raise ValueError(f"{len(rounds['runs'])} runs, but {len(counted)} were counted")
    symbols = Symbols(rounds["symbols"])
    name_of = name_of or (lambda address: symbols.function(address) or ("user space", ""))
    found = collections.defaultdict(list)
    for run, counts in zip(rounds["runs"], counted):
        if run.get("warms_up"):
            continue
        functions = collections.Counter()
        for address, count in counts.items():
            functions[name_of(address)] += count / run["bios"]
        found[run["contestant"]].append((run["per_bio"], functions))
    profile = Profile("instructions")
    for contestant, runs in found.items():
        profile.expected[contestant] = statistics.mean(per_bio for per_bio, _ in runs)
        for name in set().union(*(functions for _, functions in runs)):
            values = [functions[name] for _, functions in runs]
            spread = statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else 0.0
            profile.costs[contestant][name] = statistics.mean(values), spread
    return profile


class Maps:
    """Names of the memory areas of the guest's process."""

    def __init__(self, path):
        self.areas = []
        with open(path, encoding="ascii") as lines:
            for line in lines:
                area, _, _, _, _, *name = line.split()
                start, end = (int(word, 16) for word in area.split("-"))
                self.areas.append((start, end, os.path.basename(name[0]) if name else "memory without a name"))

    def name(self, address):
        return next((name for start, end, name in self.areas if start <= address < end), "unknown")


def read_samples(directory, number, name_of):
    functions = collections.Counter()
    with open(f"{directory}/{number}-samples", encoding="ascii") as lines:
        for line in lines:
            address, count = line.split()
            name = ("kernel", HOST) if address == "host" else name_of(int(address, 16))
            functions[name] += int(count)
    return functions


def share_time(rounds, directory, name_of=None):
    """Returns a profile with the shares of the sampled runs, and the times of the others."""
    symbols, maps = Symbols(rounds["symbols"]), Maps(f"{directory}/maps")
    name_of = name_of or (lambda address: symbols.function(address) or (maps.name(address), HOST))
    functions = collections.defaultdict(collections.Counter)
    times, elapsed, slowed = (collections.defaultdict(list) for _ in range(3))
    for run in rounds["runs"]:
        if run.get("warms_up"):
            continue
        contestant = run["contestant"]
        with open(f"{directory}/{run['number']}-ns", encoding="ascii") as file:
            cpu_time = int(file.read()) / run["bios"]
        if run["seen"] == "sample":
            functions[contestant].update(read_samples(directory, run["number"], name_of))
            slowed[contestant].append(cpu_time * run["bios"])
        else:
            times[contestant].append(cpu_time)
            elapsed[contestant].append(run["per_bio"])
    profile = Profile("ns")
    base = statistics.median(times[LINEAR])
    for contestant, counts in functions.items():
        # Ratios are within a round, whose measurements share the state of the machine.
        ratio, low, high = interval([a / b for a, b in zip(times[contestant], times[LINEAR])])
        total = sum(counts.values())
        print(
            f"# {contestant}: {base * ratio:.1f} ns of CPU time a bio, ratio {ratio:.3f} ({low:.3f}-{high:.3f});"
            f" {statistics.median(elapsed[contestant]):.1f} ns by the guest's clock; {total} samples are"
            f" {100 * total * PERIOD_NS / sum(slowed[contestant]):.1f} % of the time that was sampled"
        )
        # The interval is one of 95 %; the error is one standard deviation.
        profile.shared_error[contestant] = (high - low) / 2 / 1.96 / ratio
        for name, count in counts.items():
            per_bio = base * ratio / total * count
            profile.costs[contestant][name] = per_bio, base * ratio / total * math.sqrt(count)
    return profile


def table(title, profile, costs, names):
    """Prints dm-linear's cost of each name, and the differences of the others from it."""
    width = 58
    contestants = profile.contestants()
    print(f"{title:<{width}} {LINEAR:>9}", *(f"{name.removeprefix('remap, '):>24}" for name in contestants[1:]))
    linear = costs[LINEAR]
    for name in names:
        shown = name if isinstance(name, str) else name[0] + (f" [{name[1]}]" if name[1] else "")
        if len(shown) > width:
            shown = "..." + shown[3 - width :]
        line = f"{shown:<{width}} {linear.get(name, (0.0, 0.0))[0]:9.1f}"
        for contestant in contestants[1:]:
            (mine, my_error), (its, its_error) = (side.get(name, (0.0, 0.0)) for side in (costs[contestant], linear))
            error = math.hypot(my_error, its_error, mine * profile.shared_error[contestant])
            line += f" {f'{mine - its:+.1f} ± {error:.1f}':>24}"
        print(line)
    print()


def grouped(costs, by):
    """Returns the costs summed up by `by`, which maps a name to its group."""
    sums = {}
    for contestant, functions in costs.items():
        sums[contestant] = found = {}
        for name, (per_bio, error) in functions.items():
            sum_of, error_of = found.get(by(name), (0.0, 0.0))
            found[by(name)] = sum_of + per_bio, math.hypot(error_of, error)
    return sums


def show(profile):
    costs = profile.costs
    nothing = (0.0, 0.0)

    def size(name):
        its = costs[LINEAR].get(name, nothing)[0]
        return max(abs(functions.get(name, nothing)[0] - its) for functions in costs.values())

    largest = sorted(set().union(*costs.values()), key=size, reverse=True)
    table(f"{profile.unit} per bio, by function", profile, costs, largest[:SHOWN])
    by_group = grouped(costs, lambda name: group_of(*name))
    table("by group", profile, by_group, list(dict.fromkeys(group for group, _, _ in GROUPS)))
    table("all", profile, grouped(costs, lambda name: "sum of the functions"), ["sum of the functions"])


def judge(profile):
    """Returns the number of contestants whose functions do not add up to the guest's measurement."""
    wrong = 0
    for contestant in profile.contestants():
        total = sum(per_bio for per_bio, _ in profile.costs[contestant].values())
        expected = profile.expected[contestant]
        fits = abs(total - expected) <= TOLERANCE * expected
        wrong += not fits
        print(f"{contestant}: {total:.1f}, by the guest's clock {expected:.1f}: {'agrees' if fits else 'DIFFERS'}")
    return wrong


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("measure", choices=("instructions", "time"))
    options.add_argument("rounds")
    options.add_argument("seen")
    options.add_argument("--json", required=True)
    options = options.parse_args()
    with open(options.rounds, encoding="ascii") as file:
        rounds = json.load(file)
    counts = options.measure == "instructions"
    profile = count_instructions(rounds, options.seen) if counts else share_time(rounds, options.seen)
    profile.make_readable()
    with open(options.json, "w", encoding="ascii") as out:
        json.dump(profile.records(), out, indent=1)
    show(profile)
    # The shares of a time always add up to it, so only instructions can be checked.
    return 1 if counts and judge(profile) else 0


if __name__ == "__main__":
    sys.exit(main())
