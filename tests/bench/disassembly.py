# SPDX-License-Identifier: GPL-2.0
"""Prints the cost of a bio by instruction of a module.

    disassembly.py instructions|time ROUNDS SEEN MODULE_KO

ROUNDS and SEEN are as for costs.py. Prints every function of the module that was executed, with a column for each
contestant. The interrupt of the sampling clock comes after an instruction has ended, so the time of an instruction
is at the one behind it.
"""

import bisect
import json
import os
import re
import subprocess
import sys

import costs

LEAST = 0.005  # per bio


def per_address(measure, rounds, seen):
    """Returns the cost per bio by contestant and address."""
    read = costs.count_instructions if measure == "instructions" else costs.share_time
    by_address = read(rounds, seen, lambda address: address).costs
    return {
        contestant: {address: per_bio for address, (per_bio, _) in found.items()}
        for contestant, found in by_address.items()
    }


def functions_of(module, rounds, found):
    """Returns start and name of every function of a module that has costs."""
    symbols = sorted((start, function, of) for start, function, of in rounds["symbols"])
    starts = [start for start, _, _ in symbols]
    addresses = set().union(*found.values())
    seen = {starts[bisect.bisect_right(starts, at) - 1] for at in addresses if isinstance(at, int) and at >= starts[0]}
    return [(start, function) for start, function, of in symbols if of == module and start in seen]


def listing(path, function):
    """Returns offset and text of every instruction of a function. Calls seem to go to the next instruction, as the
    module is not relocated."""
    words = ["objdump", "-d", "--no-show-raw-insn", f"--disassemble={function}", path]
    lines = subprocess.run(words, check=True, capture_output=True, text=True).stdout.split("\n")
    found = [match.groups() for match in (re.match(r"\s+([0-9a-f]+):\t(.*)", line) for line in lines) if match]
    first = int(found[0][0], 16) if found else 0
    return [(int(at, 16) - first, re.sub(r"<.*(\+0x[0-9a-f]+)>", r"<\1>", text.strip())) for at, text in found]


def main():
    measure, rounds, seen, module = sys.argv[1:]
    with open(rounds, encoding="ascii") as file:
        rounds = json.load(file)
    found = per_address(measure, rounds, seen)
    contestants = costs.in_order(found)
    functions = functions_of(os.path.basename(module).removesuffix(".ko"), rounds, found)
    readable = costs.readable([function for _, function in functions])
    print(*(f"{contestant.removeprefix('remap, '):>24}" for contestant in contestants))
    for start, function in functions:
        print(f"\n{readable.get(function, function)}")
        for offset, text in listing(module, function):
            values = [found[contestant].get(start + offset, 0.0) for contestant in contestants]
            print(*(f"{value:24.2f}" if value >= LEAST else f"{'.':>24}" for value in values), f" {offset:5x}  {text}")


if __name__ == "__main__":
    main()
