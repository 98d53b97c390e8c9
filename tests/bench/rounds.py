# SPDX-License-Identifier: GPL-2.0
"""Runs the contestants of a profile in a guest, in rounds, while the host counts instructions or takes samples.

    rounds.py BIO_BENCH_KO --out FILE [--sampler DIR] [--rounds N] [--bios N] [--run-of N]

FILE gets the data that the host does not have: the contestant of each run, its cost by the guest's clock, and the
kernel's symbols. With a sampler every contestant runs twice in a round: once sampled, for the shares of functions,
and once only timed, for the time without the cost of sampling.
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
SAMPLER_TIMEOUT = 20  # seconds


class Sampler:
    """Guest's side of sampler.py. The two communicate by making directories, which guests do not cache."""

    def __init__(self, directory, samples):
        self.directory = directory
        self.word = "sample" if samples else "time"

    def _tell(self, number, word, answer):
        """Tells the sampler a word for a run, and waits for its answer."""
        os.mkdir(f"{self.directory}/{number}-{word}")
        gives_up = time.monotonic() + SAMPLER_TIMEOUT
        while not os.path.exists(f"{self.directory}/{number}-{answer}"):
            if time.monotonic() > gives_up:
                raise TimeoutError(f"the sampler does not answer: no {number}-{answer}")
            time.sleep(0.001)

    def begin(self, number):
        self._tell(number, self.word, "ready")

    def end(self, number):
        self._tell(number, "end", "done")


def one_run(contestant, bios, seed, sampler, number):
    """Runs a contestant. Returns a record of the run. `sampler` is None if there is none."""
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
    # Runs to warm up, which the sampler does not see. A counter of instructions counts every run, so they are on record.
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
    """Returns address, name and module of every function."""
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

    # Otherwise the addresses in /proc/kallsyms are zeros.
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
