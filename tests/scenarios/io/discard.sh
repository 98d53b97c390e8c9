# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="discard and write-zeroes reach the device that holds the block, and no other block"
MACHINES="uml debian"
LONG_MACHINES=uml-smp

# Both ways to erase contents, each followed by a comparison with the model.
test() {
	make_null_blk main 4 discard=1
	make_null_blk spare 2 discard=1
	make_remap r0 8192 "$main" "$spare" 8 1024
	python3 -S - "$main" "$spare" "$SEED" <<'END'
import random
import sys

from block_io import Disk, Model, expect, pattern
from device_mapper import Control

control, device = Control(), Disk("/dev/mapper/r0")
main, spare = Disk(sys.argv[1]), Disk(sys.argv[2])
model = Model(device, 8192)
model.fill(1)
assert control.message("r0", "remap 64 64") == "remapped 8 already 0"
assert control.message("r0", "remap 256 8").startswith("sector 256 -> spare ")
random = random.Random(int(sys.argv[3]))
ranges = [(0, 8), (64, 8), (56, 16), (120, 16), (40, 104), (0, 1024), (255, 3), (8191, 1)]
ranges += [(start, random.randrange(1, 300)) for start in random.sample(range(7800), 20)]
for way in device.discard, device.zero_out:
    for start, sectors in ranges:
        # Contents that depend on the range, so that a read from the wrong place is noticed.
        model.write(start, pattern(start, start, sectors))
        way(start, sectors)
        model.remember(start, bytes(sectors * 512))
        model.check_all(f"{way.__name__} {start} {sectors}")
places = control.remaps("r0")
assert len(places) == 9, places
# The spare device was not written outside the spare area: its first 8 sectors are zeros.
expect(spare.read(0, 8), bytes(4096), 0, "in front of the spare area")

# A discard of a remapped block leaves its place on main alone.
main.write(64, pattern("below", 64, 64))
device.discard(64, 64)
expect(main.read(64, 64), pattern("below", 64, 64), 64, "main below discarded remapped blocks")
END
}
