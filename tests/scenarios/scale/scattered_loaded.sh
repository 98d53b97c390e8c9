# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="remaps of scattered blocks, in slots of another order, load without a loss in at most 2.5 times the time of neighbouring blocks"
MACHINES=uml
TIMEOUT=120

test() {
	make_null_blk main 16384 memory_backed=0
	make_null_blk ends 40
	make_null_blk middle 1000 memory_backed=0
	make_mapped spare "0 40000 linear $ends 0" "40000 1920000 linear $middle 0" "1960000 40000 linear $ends 40000"
	python3 -S - "$main" "$SEED" <<'END'
import random
import sys
import time

from device_mapper import Control

BLOCK, BLOCKS, COUNT = 8, 4194304, 200000
main, chance, control = sys.argv[1], random.Random(int(sys.argv[2])), Control()
line = f"0 {BLOCKS * BLOCK} remap {main} /dev/mapper/spare 0 2000000"


def load():
    """Returns the seconds that a load took, the least of three, and the remaps."""
    least = 60
    for _ in range(3):
        control.create("r0")
        control.load("r0", line)
        began = time.monotonic()
        control.resume("r0")
        least = min(least, time.monotonic() - began)
        found = control.remaps("r0")
        control.remove("r0")
    return least, found


def make(messages):
    """Makes remaps by messages. Returns the seconds that it takes to load them."""
    control.create("r0")
    control.load("r0", line)
    control.resume("r0")
    control.message("r0", "clear")
    for message in messages:
        control.message("r0", message)
    remaps = control.remaps("r0")
    assert len(remaps) == COUNT
    control.remove("r0")
    seconds, found = load()
    assert found == remaps, "the loaded remaps differ from the saved ones"
    return seconds


neighbours = make([f"remap 0 {COUNT * BLOCK}"])
scattered = make(f"remap {block * BLOCK}" for block in chance.sample(range(BLOCKS), COUNT))
print(f"{COUNT} remaps loaded in {neighbours:.2f} s, scattered in {scattered:.2f} s")
assert scattered < 2.5 * neighbours + 0.05, "scattered remaps take too long"
END
}
