# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="when main disappears under load its I/O fails, at most 65 blocks are relocated, and blocks on the spare keep working"
MACHINES="uml uml-debug"
LONG_MACHINES=uml-smp
TIMEOUT=90

test() {
	local n
	make_null_blk main 2
	make_null_blk spare 1
	make_remap r0 4096 "$main" "$spare" 0 1600
	block_io fill /dev/mapper/r0 1
	message r0 remap 0 80
	null_blk_set main badblocks=+403-403
	expect_equal "$(block_io write /dev/mapper/r0 400 8 2)" ok "write of a bad block"
	python3 -S - "$(scaled 400)" <<'END'
import errno
import sys
import threading
import time

from block_io import Disk, pattern
from failing import run_all

steps, gone = int(sys.argv[1]), threading.Event()
failed = []


def write(n):
    disk = Disk("/dev/mapper/r0")
    for step in range(steps):
        sector = 800 + 16 * (n * 40 + step % 40)
        try:
            disk.write(sector, pattern(3, sector, 8))
        except OSError as error:
            assert error.errno in (errno.EIO, errno.ENODEV, errno.ENXIO), error
            failed.append(sector)


def remove():
    time.sleep(0.2)
    with open("/sys/kernel/config/nullb/nb_main/power", "w") as file:
        file.write("0")
    gone.set()


def after():
    gone.wait()
    disk = Disk("/dev/mapper/r0")
    for sector in (800, 2400):
        for call in (lambda: disk.read(sector, 8), lambda: disk.write(sector, bytes(4096))):
            try:
                call()
            except OSError:
                continue
            raise SystemExit(f"FAIL: I/O to sector {sector} of a disk that is gone succeeds")


run_all([lambda n=n: write(n) for n in range(4)] + [remove, after])
print(f"{len(failed)} writes failed")
END
	# Some writes may have passed for bad blocks before the breaker tripped, but far from all of them.
	n=$(counter r0 auto_remaps)
	((n <= 65)) || fail "$n automatic remaps"
	expect_equal "$(health r0)" failing health
	block_io check /dev/mapper/r0 1 0 80
	block_io check /dev/mapper/r0 2 400 8
	expect_equal "$(block_io write /dev/mapper/r0 0 80 4)" ok "write of remapped blocks"
	expect_equal "$(block_io write /dev/mapper/r0 400 8 4)" ok "write of a relocated block"
	block_io check /dev/mapper/r0 4 0 80
	block_io check /dev/mapper/r0 4 400 8
	expect_missing r0 0 0
	expect_errno ENODEV message r0 remap 3200
	# Reads alone detect a missing disk as well, and no block becomes pending.
	make_null_blk other 2
	make_remap r1 4096 "$other" "$spare" 1600 400
	block_io fill /dev/mapper/r1 1
	null_blk_set other power=0
	expect_equal "$(block_io read /dev/mapper/r1 80 8)" EIO "read of a disk that is gone"
	expect_equal "$(block_io read /dev/mapper/r1 160 80)" EIO "long read of a disk that is gone"
	wait_until 10 is_health r1 failing
	expect_equal "$(status_word r1 3) $(health r1)" "0 failing" "pending blocks and health"
}
