# SPDX-License-Identifier: GPL-2.0
"""In a guest: has the contestants of a profile measured, round by round, while the host looks on.

    rounds.py BIO_BENCH_KO --out FILE [--sampler DIR] [--rounds N] [--bios N] [--run-of N]

FILE gets what the host cannot see: which run was whose, what it took by the guest's clock, and the
kernel's symbols. With a sampler every contestant runs twice in a round, sampled and only timed: the one
gives the shares, and the other the time, without what sampling costs.
"""

import argparse
import json
import os
import random
import time

from contestants import Disks, linear, remapped, run
from measure import SEED, Cell
from in_guest import require_guest

CELL = Cell()
PATIENCE = 20  # seconds


class Sampler:
    """The other half of sampler.py. They talk by directories: those are what no guest caches."""

    def __init__(self, directory, samples):
        self.directory = directory
        self.word = "sample" if samples else "time"

    def _tell(self, number, word, answer):
        os.mkdir(f"{self.directory}/{number}-{word}")
        gives_up = time.monotonic() + PATIENCE
        while not os.path.exists(f"{self.directory}/{number}-{answer}"):
            if time.monotonic() > gives_up:
                raise TimeoutError(f"the sampler does not answer: no {number}-{answer}")
            time.sleep(0.001)

    def begin(self, number):
        self._tell(number, self.word, "ready")

    def end(self, number):
        self._tell(number, "end", "done")


def one_run(contestant, bios, seed, sampler, number):
    """A run of a contestant, as a record. `sampler` is None where nobody else takes its time."""
    if sampler:
        sampler.begin(number)
    per_bio = CELL.cost(contestant, bios, seed)
    if sampler:
        sampler.end(number)
    return {
        "contestant": contestant.name,
        "number": number,
        "seen": sampler.word if sampler else None,
        "bios": bios,
        "per_bio": per_bio,
    }


def run_rounds(field, options):
    ways = [Sampler(options.sampler, samples) for samples in (False, True)] if options.sampler else [None]
    order = random.Random(SEED)
    # Warmed up without anybody's notice, but for a counter of instructions: that sees every run.
    runs = [
        {**one_run(contestant, options.bios, 1, None, number), "warms_up": True}
        for number, contestant in enumerate(field)
    ]
    for number in range(options.rounds):
        seed = SEED + number
        for contestant in order.sample(field, len(field)):
            for way in order.sample(ways, len(ways)):
                runs.append(one_run(contestant, options.bios, seed, way, len(runs)))
    return runs


def symbols():
    """Address, name and module of every function."""
    found = []
    with open("/proc/kallsyms", encoding="ascii") as lines:
        for line in lines:
            address, kind, name, *module = line.split()
            if kind in "tTwW":
                found.append((int(address, 16), name, module[0].strip("[]") if module else ""))
    return found


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("module")
    options.add_argument("--out", required=True)
    options.add_argument("--sampler")
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--bios", type=int, default=2000)
    options.add_argument("--run-of", type=int, default=1, help="neighbouring blocks remapped")
    options = options.parse_args()

    # Else the addresses in /proc/kallsyms are zeros.
    with open("/proc/sys/kernel/kptr_restrict", "w", encoding="ascii") as file:
        file.write("0")
    run("insmod", os.environ["DM_REMAP_KO"], "debug_level=0")
    run("insmod", options.module)
    disks = Disks(512, 128)
    field = [linear(disks)] + remapped(disks, 0) + remapped(disks, 10_000, options.run_of)
    runs = run_rounds(field, options)
    with open(options.out, "w", encoding="ascii") as out:
        json.dump({"runs": runs, "symbols": symbols()}, out)


if __name__ == "__main__":
    require_guest()
    main()
