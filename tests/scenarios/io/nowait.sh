# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="reads with RWF_NOWAIT of a moving block return the right data or fail with EAGAIN"
MACHINES="uml uml-smp"

test() {
	make_null_blk main 2
	# It completes a bio after 200 ms.
	make_null_blk spare 1 irqmode=2 completion_nsec=200000000
	make_remap r0 4096 "$main" "$spare" 0 1024
	python3 -S - <<'END'
import errno
import os
import threading
import time

from block_io import Disk, Model
from device_mapper import Control

control = Control()
device = Disk("/dev/mapper/r0")
model = Model(device, 4096)
model.fill(1)
ends = {"ok": 0, "EAGAIN": 0}


def read(block):
    try:
        data = device.read(block * 8, 8, os.RWF_NOWAIT)
    except OSError as error:
        assert error.errno == errno.EAGAIN, error
        ends["EAGAIN"] += 1
    else:
        assert data == model.wanted(block * 8, 8), f"block {block}"
        ends["ok"] += 1


read(0)
assert ends["ok"] == 1, "a read of a block that does not move has failed"
for block in range(4):
    mover = threading.Thread(target=control.message, args=("r0", f"remap {block * 8}"))
    mover.start()
    while mover.is_alive():
        read(block)
        time.sleep(0.01)
    mover.join()
    read(block)
model.check_all()
assert len(control.remaps("r0")) == 4
assert ends["ok"] >= 5, ends
print(ends)
END
}
