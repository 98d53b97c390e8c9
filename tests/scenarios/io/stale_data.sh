# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="a remapped block never shows old data of its slot or of its place on main"
LONG_MACHINES="uml-smp debian"

test() {
	make_null_blk main 2
	make_null_blk spare 1
	block_io fill "$spare" foreign
	make_remap r0 4096 "$main" "$spare" 0 128 format # 8 blocks
	python3 -S - <<'END'
import random, os

from block_io import Disk, Model, pattern
from device_mapper import Control

control, device = Control(), Disk("/dev/mapper/r0")
model = Model(device, 4096)
model.fill(0)
random = random.Random(int(os.environ["SEED"]))
# Eight slots for 512 blocks: each slot is used repeatedly.
for turn in range(60):
    blocks = random.sample(range(512), 8)
    for block in blocks:
        control.message("r0", f"remap {block * 8}")
        model.check(block * 8, 8, "just remapped")
    for block in blocks[::2]:
        model.write(block * 8 + 2, pattern(turn, block, 3))
    for block in blocks:
        model.check(block * 8, 8, "partly written")
        control.message("r0", f"unremap {block * 8}")
        model.check(block * 8, 8, "just moved back")
model.check_all()
END
}
