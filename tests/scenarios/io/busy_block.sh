# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="writes, FUA writes, flushes, discards and reads of a moving block wait for the move, and reach the new place"
MACHINES="uml uml-smp"

test() {
	make_null_blk main 2 discard=1
	# It completes a bio after 200 ms.
	make_null_blk spare 1 discard=1 irqmode=2 completion_nsec=200000000
	make_remap r0 4096 "$main" "$spare" 0 1024
	python3 -S - <<'END'
import os
import threading
import time

from block_io import Disk, Model, pattern
from device_mapper import Control

control = Control()
device, durable = Disk("/dev/mapper/r0"), Disk("/dev/mapper/r0", os.O_DSYNC)
model = Model(device, 4096)
model.fill(0)
ways = {
    "write": lambda at: (device.write(at + 1, pattern("w", at + 1, 4)), model.remember(at + 1, pattern("w", at + 1, 4))),
    "FUA": lambda at: (durable.write(at + 2, pattern("f", at + 2, 6)), model.remember(at + 2, pattern("f", at + 2, 6))),
    "discard": lambda at: (device.discard(at, 8), model.remember(at, bytes(8 * 512))),
    "zeroing": lambda at: (device.zero_out(at + 3, 2), model.remember(at + 3, bytes(2 * 512))),
    "write across the edge": lambda at: (device.write(at - 4, pattern("e", at - 4, 16)), model.remember(at - 4, pattern("e", at - 4, 16))),
    "flush": lambda at: device.flush(),
    "read": lambda at: model.check(at - 8, 24, "a read that has waited"),
}
for verb in "remap", "unremap":
    for n, (name, way) in enumerate(ways.items()):
        at, ends = 80 + 80 * n, {}
        mover = threading.Thread(target=lambda: ends.update(end=Control().outcome("r0", f"{verb} {at}")))
        mover.start()
        time.sleep(0.05)
        busy = mover.is_alive()
        way(at)
        mover.join()
        assert busy, f"{verb} was over before the {name}, so nothing waited"
        assert ends["end"].startswith(("sector", "unremapped 1")), ends
        model.check(at - 16, 40, f"{name} during {verb}")
    moved = len(control.remaps("r0"))
    assert moved == (len(ways) if verb == "remap" else 0), moved
model.check_all()
END
}
