# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="readahead that a suspended device below declines marks and counts nothing, and no reader waits longer than a suspension"
LONG_MACHINES="uml-smp debian"

test() {
	make_null_blk disk 16
	make_null_blk spare 2
	make_mapped main "0 32768 linear $disk 0"
	make_remap r0 32768 /dev/mapper/main "$spare" 0 1600
	block_io fill /dev/mapper/r0 1
	python3 -S - "$(scaled 80)" <<'END'
import os
import sys
import threading
import time

from block_io import expect, pattern
from device_mapper import Control
from failing import run_all

PART, SECTORS = 128, 32768
count, done, suspended, waits = int(sys.argv[1]), threading.Event(), [0.0], []
wanted = pattern(1, 0, SECTORS)


def read():
    """Reads everything through the page cache, again and again."""
    fd = os.open("/dev/mapper/r0", os.O_RDONLY)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_SEQUENTIAL)
    at = 0
    while not done.is_set():
        if at == 0:
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        began = time.monotonic()
        data = os.pread(fd, PART * 512, at * 512)
        waits.append(time.monotonic() - began)
        expect(data, wanted[at * 512 : (at + PART) * 512], at, "a read through the page cache")
        at = (at + PART) % SECTORS
    os.close(fd)


def suspend():
    control = Control()
    try:
        for _ in range(count):
            began = time.monotonic()
            control.suspend("main")
            time.sleep(0.05)
            control.resume("main")
            suspended.append(time.monotonic() - began)
            time.sleep(0.01)
    finally:
        done.set()


run_all([read, suspend])
print(f"{len(waits)} reads, the longest {max(waits) * 1000:.0f} ms; the longest suspension {max(suspended) * 1000:.0f} ms")
assert sum(wait > 0.02 for wait in waits) > count / 4, "the suspensions have met no reads"
# A read may wait for the next suspension, too, before it has its turn.
assert max(waits) < 2 * max(suspended) + 0.5, f"a read took {max(waits):.2f} s"
END
	expect_state r0 "0 0 0 0 ok"
	expect_equal "$(counter r0 read_errors) $(counter r0 write_errors) $(counter r0 auto_remaps)" "0 0 0" \
		"errors and automatic remaps"
	block_io check /dev/mapper/r0 1
}
