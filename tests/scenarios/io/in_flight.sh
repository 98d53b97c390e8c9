# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="a write that is in flight when its block begins to move is in the copy"
MACHINES="uml uml-smp"
LONG_MACHINES=debian

requires() {
	modprobe -q dm-delay || dmsetup targets | grep -q '^delay ' || {
		echo "no dm-delay"
		return 1
	}
}

test() {
	make_null_blk main 2
	make_null_blk spare 2
	# A write reaches the disk 300 ms later; reads until then return the old contents.
	make_mapped slow_main "0 4096 delay $main 0 0 $main 0 300"
	make_mapped slow_spare "0 4096 delay $spare 0 0 $spare 0 300"
	make_remap r0 4096 /dev/mapper/slow_main /dev/mapper/slow_spare 0 1024
	python3 -S - <<'END'
import threading
import time

from block_io import Disk, Model, pattern
from device_mapper import Control

control = Control()
model = Model(Disk("/dev/mapper/r0"), 256)
model.fill(0)
writer_disk = Disk("/dev/mapper/r0")
for verb in "remap", "unremap":
    for turn in range(3):
        at = 80 * turn
        data = pattern(verb, at + 2, 5)
        writer = threading.Thread(target=writer_disk.write, args=(at + 2, data))
        writer.start()
        time.sleep(0.1)
        assert writer.is_alive(), "the write has completed before the block begins to move"
        reply = control.message("r0", f"{verb} {at}")
        assert reply.startswith(("sector", "unremapped 1")), reply
        writer.join()
        model.remember(at + 2, data)
        model.check(at, 8, f"a write in flight when {verb} began")
model.check_all()
END
}
