# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="a thousand cycles (fewer on slow machines) of load, create, remap, remove and unload leak no memory"
MACHINES="uml uml-debug debian"
LONG_MACHINES=uml-smp
TIMEOUT=200

test() {
	make_null_blk main 2
	make_null_blk spare 1
	unload_module
	local cycles
	case $DM_REMAP_MACHINE in
	uml) cycles=1000 ;;
	uml-debug) cycles=100 ;;
	# With kmemleak on several CPUs, or emulated, a cycle takes a second.
	*) cycles=15 ;;
	esac
	python3 -S - "$main" "$spare" "$cycles" <<'END'
import ctypes
import os
import sys
import time

from block_io import Disk, Model
from device_mapper import Control

main, spare, cycles = sys.argv[1], sys.argv[2], int(sys.argv[3])
libc = ctypes.CDLL(None, use_errno=True)
FINIT_MODULE, DELETE_MODULE = 313, 176
control = Control()


def check(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def insmod():
    fd = os.open(os.environ["DM_REMAP_KO"], os.O_RDONLY)
    check(libc.syscall(FINIT_MODULE, fd, b"debug_level=0", 0))
    os.close(fd)


def rmmod():
    check(libc.syscall(DELETE_MODULE, b"dm_remap", os.O_NONBLOCK))


def cycle():
    insmod()
    control.create("r0")
    control.load("r0", f"0 4096 remap {main} {spare} 0 1024")
    control.resume("r0")
    assert control.message("r0", "remap 0 512") == "remapped 64 already 0"
    assert control.message("r0", "unremap 0 256") == "unremapped 32"
    assert len(control.remaps("r0")) == 32
    control.suspend("r0")
    control.resume("r0")
    assert control.message("r0", "clear") == "cleared 32"
    control.remove("r0")
    rmmod()


def used():
    """Returns the KiB of memory that the kernel uses, without caches that it can drop."""
    with open("/proc/sys/vm/drop_caches", "w") as file:
        file.write("3")
    time.sleep(0.5)
    with open("/proc/meminfo") as file:
        values = {line.split(":")[0]: int(line.split()[1]) for line in file}
    return {
        "all": values["MemTotal"] - values["MemAvailable"],
        "slab": values["Slab"],
        "unreclaimable": values["SUnreclaim"],
        "percpu": values["Percpu"],
        "vmalloc": values["VmallocUsed"],
    }


for _ in range(max(5, cycles // 10)):
    cycle()
# A leak of one page in each cycle would be 4 KiB times the cycles.
allowed = 1024 + 2 * cycles
# A leak grows with every round; the use of other parts of the kernel (pages that are freed later, lists of
# free pages) does not.
for _ in range(3):
    before = used()
    for _ in range(cycles):
        cycle()
    after = used()
    growth = {name: after[name] - before[name] for name in before}
    print(f"{cycles} cycles; KiB before {before}, after {after}, growth {growth}")
    leaked = {name: grown for name, grown in growth.items() if grown >= allowed}
    if not leaked:
        break
assert not leaked, f"grew in each of three rounds of {cycles} cycles, KiB: {leaked}"
END
	load_module
}
