# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="suspend with and without a flush does not hang on held bios, and they end with the right data"
MACHINES="uml uml-debug debian"
LONG_MACHINES=uml-smp

test() {
	make_null_blk main 2
	make_null_blk spare 1 irqmode=2 completion_nsec=1000000000
	make_remap r0 4096 "$main" "$spare" 0 1024 volatile
	block_io fill "$main" 1
	python3 -S - <<'END'
import threading
import time

from block_io import Disk, expect, pattern
from device_mapper import Control

control = Control()
for turn, flush in enumerate((True, False)):
    sector, ends = 8 * turn, {}

    def read(n):
        ends[n] = Disk("/dev/mapper/r0").read(sector, 8)

    mover = threading.Thread(target=lambda: ends.update(mover=Control().outcome("r0", f"remap {sector}")))
    readers = [threading.Thread(target=read, args=(n,)) for n in range(8)]
    mover.start()
    time.sleep(0.2)
    for reader in readers:
        reader.start()
    time.sleep(0.1)
    assert mover.is_alive(), "the move has ended before the reads were submitted"
    assert not any(n in ends for n in range(8)), "a read of a moving block did not wait"
    began = time.monotonic()
    control.suspend("r0", flush)
    took = time.monotonic() - began
    assert took < 20, f"the suspend took {took:.1f} s"
    mover.join()
    control.resume("r0")
    for reader in readers:
        reader.join(30)
        assert not reader.is_alive(), "a held read did not complete"
    assert ends["mover"] == f"sector {sector} -> spare {sector}", ends["mover"]
    for n in range(8):
        expect(ends[n], pattern(1, sector, 8), sector, "a read that was held")
END
	block_io check /dev/mapper/r0 1
}
