# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="with any one allocation failing, load, resume, save, remap, clear and list succeed or fail with ENOMEM, and no data changes"
MACHINES=uml-debug
LONG_MACHINES=uml-smp
TIMEOUT=170

requires() {
	if [[ ! -e /proc/self/fail-nth ]]; then
		echo "no fault injection"
		return 1
	fi
}

test() {
	# null_blk would inject faults of its own.
	make_brd 2 2048
	main=/dev/ram0 spare=/dev/ram1
	echo 0 >/sys/kernel/debug/failslab/ignore-gfp-wait
	echo 0 >/sys/kernel/debug/fail_page_alloc/ignore-gfp-wait
	echo 0 >/sys/kernel/debug/fail_page_alloc/min-order
	# brd allocates a page at its first write.
	block_io fill "$spare" 1
	make_remap r0 2048 "$main" "$spare" 0 1024 format
	make_remap r1 2048 "$main" "$spare" 1024 1024 main_start 2048 format
	message r1 remap 0 400
	remove_mapped r1
	python3 -S - "$main" "$spare" <<'END'
import errno
import os
import random
import sys
import threading

from block_io import Disk, Model
from device_mapper import Control

main, spare = sys.argv[1:]
chance = random.Random(int(os.environ["SEED"]))
control = Control()
model = Model(Disk("/dev/mapper/r0"), 2048)
model.fill(1)


def failing(what, call, undo, limit=300, alike=300):
    """Repeats a call with the first allocation failing, then the second, and so on, until none fails. From
    the allocation `alike` on they are alike, such as pages of a buffer, and only some of them fail."""
    refused = nth = 0
    while nth < limit:
        nth += 1 if nth < alike else chance.randrange(1, 40)
        path = f"/proc/self/task/{threading.get_native_id()}/fail-nth"
        fd = os.open(path, os.O_RDWR)
        os.pwrite(fd, str(nth).encode(), 0)
        try:
            call()
            end = "ok"
        except OSError as error:
            end = errno.errorcode[error.errno]
        left = int(os.pread(fd, 20, 0))
        os.pwrite(fd, b"0", 0)
        os.close(fd)
        assert end in ("ok", "ENOMEM"), f"{what}, allocation {nth}: {end}"
        refused += end == "ENOMEM"
        if nth % 10 == 0 or left:
            model.check_all(f"after {what} with allocation {nth} failing")
        undo(end)
        if left:
            print(f"{what}: {nth - 1} allocations, {refused} times ENOMEM")
            assert refused > 0, f"{what} never failed"
            return
    raise SystemExit(f"FAIL: {what}: more than {limit} allocations")


def load():
    control.load("r0", f"0 2048 remap {main} {spare} 0 1024")


def unload(end):
    if end == "ok":
        control.clear("r0")


failing("load", load, unload)


def prepare(options):
    control.create("r1")
    control.load("r1", f"0 2048 remap {main} {spare} 1024 1024 {options}")


def again(options):
    def undo(end):
        if end == "ok":
            assert len(control.remaps("r1")) == remaps, f"{len(control.remaps('r1'))} remaps"
        control.remove("r1")
        prepare(options)

    return undo


# A table that loads metadata, one that formats the area, and a volatile one.
for remaps, options in ((50, "2 main_start 2048"), (0, "3 main_start 2048 format"), (0, "3 main_start 2048 volatile")):
    prepare(options)
    failing(f"resume with {options}", lambda: control.resume("r1"), again(options), 2000, 25)
    control.remove("r1")
failing("save", lambda: control.message("r0", "save"), lambda end: None)
failing("remap", lambda: control.message("r0", "remap 800 800"), lambda end: control.message("r0", "clear"))
control.message("r0", "remap 0 800")


def put_back(end):
    control.message("r0", "remap 0 800")


failing("clear", lambda: control.message("r0", "clear"), put_back)
failing("list", lambda: control.message("r0", "list"), lambda end: None)
model.check_all()
assert len(control.remaps("r0")) == 100
END
}
