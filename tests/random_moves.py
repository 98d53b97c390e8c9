# SPDX-License-Identifier: GPL-2.0
"""Remaps and unremaps at random until a process ends.

    random_moves.py NAME SECTORS SEED PID
"""

import os
import random
import sys

from device_mapper import Control
from in_guest import require_guest


def lives(pid):
    """Returns whether a process runs. A zombie does not."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def main():
    name, sectors, seed, pid = sys.argv[1], *map(int, sys.argv[2:])
    control, chance = Control(), random.Random(seed)
    ends = {}
    while lives(pid):
        start = chance.randrange(sectors)
        count = min(chance.choice((1, 8, 64, 512)), sectors - start)
        verb = chance.choice(("remap", "unremap"))
        end = control.outcome(name, f"{verb} {start} {count}").split(" ")[0]
        assert end in ("sector", "remapped", "unremapped", "EEXIST", "ENODATA", "ENOSPC"), f"{verb} {start} {count}: {end}"
        ends[end] = ends.get(end, 0) + 1
    assert ends.get("unremapped", 0) > 0 and os.path.exists("/dev/mapper/" + name), ends
    print("moves:", ends)


if __name__ == "__main__":
    require_guest()
    main()
