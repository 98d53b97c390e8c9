# SPDX-License-Identifier: GPL-2.0
"""Runs processes that concurrently write random attributes of the stress manager, read its reports, and make and
remove the device and the module."""

import ctypes
import errno
import os
import random
import sys
import time

from device_mapper import Control
from in_guest import require_guest

STRESS = "/sys/kernel/dm_remap_stress_test"
RECORDS = "/sys/kernel/debug/dm_remap/stress"
FINIT_MODULE, DELETE_MODULE = 313, 176
libc = ctypes.CDLL(None, use_errno=True)

# Writes of users, most of which start a short test.
WRITES = [
    ("set_target", "stress"),
    ("set_target", "nothing"),
    ("stress_test_start", "4 2 50"),
    ("stress_test_start", "5 3 100"),
    ("stress_test_start", "0 1 1"),
    ("stress_test_start", "9 9 9"),
    ("stress_test_stop", "1"),
    ("stress_test_adjust", "workers=5 queue_depth=2"),
    ("stress_test_adjust", "workers=1 rate_iops=1000"),
    ("stress_test_adjust", "queue_depth=40 write_percent=10"),
    ("quick_validation", "1 30"),
    ("regression_test", "1 40"),
    ("memory_pressure_test", "8 50"),
    ("high_concurrency_stress", "200 1"),
    ("tb_scale_validation", "1 0"),
    ("endurance_test", "1 4"),
    ("production_workload", "3 1 1"),
    ("custom_workload", "read=50 random=50 bs=512,8192 queue_depth=3 workers=3 duration_ms=60 fsync=3"),
    ("baseline", "none"),
    ("regression_thresholds", "latency=20"),
]

REPORTS = [
    (f"{STRESS}/stress_test_status", ("RUNNING ", "STOPPED")),
    (f"{STRESS}/stress_test_results", ("=== Phase 3.2C Stress",)),
    (f"{STRESS}/comprehensive_report", ("=== Phase 3.2C Comprehensive",)),
    (f"{STRESS}/baseline", ("none", "device=")),
    (f"{RECORDS}/results.json", ("{",)),
    (f"{RECORDS}/histograms.json", ("{",)),
    (f"{RECORDS}/trend.json", ("{",)),
]

# Errors of such a write: another test runs, the device is gone, or the file has just been removed.
EXPECTED = {
    errno.EBUSY, errno.EINVAL, errno.ENODEV, errno.ENOENT, errno.ENXIO, errno.ENOMEM, errno.ESRCH,
    errno.EIO, errno.EAGAIN, errno.EEXIST, errno.EACCES,
}


def tolerated(action):
    """Returns the result of an action, or None if it fails with an expected error."""
    try:
        return action()
    except OSError as error:
        if error.errno not in EXPECTED:
            raise
        return None


def write(draw):
    name, text = draw.choice(WRITES)

    def action():
        with open(f"{STRESS}/{name}", "w") as file:
            file.write(text)

    tolerated(action)


def read(draw):
    path, starts = draw.choice(REPORTS)

    def action():
        with open(path) as file:
            return file.read()

    text = tolerated(action)
    if text is not None:
        assert text.startswith(starts), f"{path}: {text[:60]!r}"
        assert text.endswith("\n"), f"{path} is cut short: {text[-60:]!r}"
    time.sleep(draw.random() * 0.002)


def insmod():
    fd = os.open(os.environ["DM_REMAP_KO"], os.O_RDONLY)
    result = libc.syscall(FINIT_MODULE, fd, b"debug_level=0", 0)
    os.close(fd)
    return result


def rmmod():
    return libc.syscall(DELETE_MODULE, b"dm_remap", os.O_NONBLOCK)


def load_and_remove(draw, table):
    """Loads the module, makes the device, and removes both again if possible."""
    insmod()
    control = Control()
    made = False

    def make():
        control.create("stress")
        try:
            control.load("stress", table)
            control.resume("stress")
        except OSError:
            control.remove("stress")
            raise
        return True

    made = tolerated(make)
    time.sleep(draw.random() * 0.3)
    if made:
        for _ in range(draw.randrange(3)):
            tolerated(lambda: control.suspend("stress"))
            time.sleep(draw.random() * 0.01)
            tolerated(lambda: control.resume("stress"))
    while made:
        # A running test has the device open.
        if tolerated(lambda: control.remove("stress") or True):
            break
        write(draw)
        time.sleep(0.002)
    if draw.random() < 0.5:
        rmmod()


def work(kind, seed, deadline, table):
    draw = random.Random(seed)
    while time.monotonic() < deadline:
        if kind == "write":
            write(draw)
        elif kind == "read":
            read(draw)
        else:
            load_and_remove(draw, table)


def main():
    seed, seconds, disk, spare = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
    table = f"0 65536 remap {disk} {spare} 0 65536 1 volatile"
    deadline = time.monotonic() + seconds
    children = []
    for number, kind in enumerate(["write"] * 4 + ["read"] * 3 + ["load and remove"]):
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                work(kind, seed * 100 + number, deadline, table)
                status = 0
            finally:
                # The child must never return to the caller of fork.
                if status:
                    import traceback

                    traceback.print_exc()
                os._exit(status)
        children.append(pid)
    failed = [pid for pid in children if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) != 0]
    # Stops a test that still runs, then removes the device and the module.
    for _ in range(1000):
        if not os.path.exists(STRESS):
            break
        tolerated(lambda: open(f"{STRESS}/stress_test_stop", "w").write("1"))
        tolerated(lambda: Control().remove("stress"))
        rmmod()
        time.sleep(0.02)
    assert not failed, failed


if __name__ == "__main__":
    require_guest()
    main()
