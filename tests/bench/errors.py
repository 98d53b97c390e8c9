#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Measures the cost of a write that fails: until it is acknowledged, and for the rest of the load, in a guest.

    errors.py [--rounds N] [--json FILE]

`latency`: all requests to main and spare take a tenth of a second (dm-delay). A write to a bad block, a write to a good
block of main and a read of the spare follow each other in every round, with nothing else in flight. The result is what
the first takes longer than the second, in writes to the spare. The disk names the medium (a write error of scsi_debug).

`rate`: the bad blocks of a disk in memory that are written in a second, at random and with 32 bios in flight: of
scsi_debug, which names the medium, and of null_blk, whose errors are unspecific, so that they need evidence.

`rest`: fio reads and writes at random, 4 KiB, 2 bios in flight, on a part of main where a request takes a millisecond.
Windows of half a second follow each other in random order: in `failing` ones 2,000 writes a second go to bad blocks, in
`good` ones as many go to good blocks, in `quiet` ones there are none. A ratio is one of two windows of the same round.
The limit is for `failing` in comparison with `quiet`.
The disks of these writes have no latency, and the load leaves CPU time over: what it loses, it loses since it waits.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from block_io import Disk  # noqa: E402
from device_mapper import Control  # noqa: E402
from failing import run_all  # noqa: E402
from in_guest import require_guest  # noqa: E402
from contestants import BLOCK, null_disk, read, write  # noqa: E402
from measure import SEED, limits, run  # noqa: E402
from moves import Report, load_null_blk, timed  # noqa: E402

# As many bad sectors as null_blk can have.
PART = 1 << 18
SPARE = 1 << 19
DELAY = 100  # ms
DATA = bytes(range(256)) * 16
# Fields of debugfs: an error of a command, always; WRITE(10); check condition with an unrecovered error, which the SCSI
# layer does not retry.
WRITE_ERROR = "2 1 0x2a 0 0 2 3 11 0"


def scsi_disk():
    """Makes a SCSI disk that refuses all writes, and names the medium. Returns its path."""
    run("modprobe", "sd_mod")
    run("modprobe", "scsi_debug", f"dev_size_mb={PART // 2048}", "delay=0")
    root = "/sys/bus/pseudo/drivers/scsi_debug/adapter0"
    for _ in range(100):
        found = subprocess.run(
            f"ls -d {root}/host*/target*/*:*/block/*", shell=True, capture_output=True, text=True, check=False
        ).stdout.split()
        if found and os.path.exists("/dev/" + os.path.basename(found[0])):
            address = os.path.basename(os.path.dirname(os.path.dirname(found[0])))
            write(f"/sys/kernel/debug/scsi_debug/{address}/error", WRITE_ERROR)
            return "/dev/" + os.path.basename(found[0])
        time.sleep(0.1)
    raise SystemExit("scsi_debug has made no disk")


class Disks:
    """Parts of main, good ones and bad ones, and spare devices."""

    def __init__(self):
        self.control = Control()
        load_null_blk()
        megabytes = PART // 2048
        self.good = null_disk("good", megabytes, memory_backed=1)
        self.slow = null_disk("slow", megabytes, irqmode=2, completion_nsec=1_000_000)
        self.unspecific = null_disk("unspecific", megabytes, memory_backed=1, badblocks=f"+0-{PART - 1}")
        self.named = scsi_disk()

    def map(self, name, *targets):
        """Makes a device of these targets, each of the length of a part. Returns its path."""
        lines = [f"{number * PART} {PART} {target}" for number, target in enumerate(targets)]
        self.control.create(name)
        self.control.load(name, "\n".join(lines))
        self.control.resume(name)
        number = self.control.number(name)
        return f"{os.major(number)}:{os.minor(number)}"

    def remap(self, name, main, parts, spare):
        """Makes a remap device of so many parts. Returns its path."""
        self.control.create(name)
        self.control.load(name, f"0 {parts * PART} remap {main} {spare} 0 {SPARE} 1 format")
        self.control.resume(name)
        return f"/dev/dm-{os.minor(self.control.number(name))}"


def measure_latency(disks, report, rounds):
    """Measures a write to a bad block in writes of the devices below."""
    spare = null_disk("spare_latency", SPARE // 2048, memory_backed=1)
    delayed = disks.map("delayed", f"delay {disks.good} 0 {DELAY}", f"delay {disks.named} 0 {DELAY}")
    # Its length is that of two parts.
    assert SPARE == 2 * PART
    slow_spare = disks.map("delayed_spare", f"delay {spare} 0 {DELAY}", f"delay {spare} {PART} {DELAY}")
    path = disks.remap("latency", delayed, 2, slow_spare)
    disk, below = Disk(path), Disk(f"/dev/dm-{slow_spare.split(':')[1]}")
    # Between the slots and the end, where there is no metadata.
    unused = SPARE - 8 * 2048
    costs = []
    for number in range(rounds):
        took = {
            "bad": timed(disk.write, PART + number * BLOCK, DATA),
            "good": timed(disk.write, number * BLOCK, DATA),
            "spare": timed(below.read, unused, BLOCK),
        }
        costs.append((took["bad"] - took["good"]) / took["spare"])
    assert disks.control.state("latency")["auto_remaps"] == rounds
    report.add("writes from an error to its acknowledgement", costs, "writes of an error")
    disk.close()
    below.close()
    for name in "latency", "delayed_spare", "delayed":
        disks.control.remove(name)


def measure_rate(disks, report, rounds):
    """Measures the bad blocks that are written in a second."""
    blocks = PART // BLOCK // rounds
    spare = null_disk("spare_rate", SPARE // 2048, memory_backed=1)
    main = disks.map("main_rate", f"linear {disks.good} 0", f"linear {disks.unspecific} 0")
    path = disks.remap("rate", main, 2, spare)
    rates = []
    for number in range(rounds):
        result = run(
            "fio", "--output-format=json", "--name=bad", f"--filename={path}", "--rw=randwrite", "--bs=4k", "--direct=1", "--ioengine=libaio",
            "--iodepth=32", "--thread", f"--randseed={SEED + number}",
            f"--offset={(PART + number * blocks * BLOCK) * 512}", f"--size={blocks * BLOCK * 512}",
        )  # fmt: skip
        [job] = json.loads(result)["jobs"]
        assert job["write"]["total_ios"] == blocks and job["error"] == 0, job["error"]
        rates.append(job["write"]["iops"])
    state = disks.control.state("rate")
    assert (state["auto_remaps"], state["health"]) == (rounds * blocks, "ok"), state
    report.add("bad blocks written a second", rates, "failing blocks a second")
    disks.control.remove("rate")
    disks.control.remove("main_rate")


class Writer:
    """Writes to blocks in order, at a pace, in windows."""

    WINDOW, PACE, THREADS = 0.5, 2000, 16

    def __init__(self, path, load):
        self.disks, self.load = [Disk(path) for _ in range(self.THREADS)], load
        self.next = {"failing": 2 * PART, "good": PART}

    def done(self):
        """Returns the requests that the load has had, reads and writes."""
        fields = read(f"/sys/block/{self.load}/stat").split()
        return int(fields[0]) + int(fields[4])

    def write(self, kind, number, count, began):
        """Writes what one thread does of a window."""
        for turn in range(count):
            due = began + turn * self.THREADS / self.PACE
            time.sleep(max(due - time.monotonic(), 0))
            self.disks[number].write(self.next[kind] + (turn * self.THREADS + number) * BLOCK, DATA)

    def window(self, kind):
        """Writes for a window. Returns the requests a second of the load."""
        before, began = self.done(), time.monotonic()
        if kind != "quiet":
            count = int(self.WINDOW * self.PACE) // self.THREADS
            run_all([lambda number=n: self.write(kind, number, count, began) for n in range(self.THREADS)])
            self.next[kind] += count * self.THREADS * BLOCK
        time.sleep(max(began + self.WINDOW - time.monotonic(), 0))
        seconds = time.monotonic() - began
        assert seconds < 1.1 * self.WINDOW, f"a window took {seconds:.2f} s: the pace was not kept"
        return (self.done() - before) / seconds


def measure_rest(disks, report, rounds):
    """Measures what the rest of the load loses."""
    spare = null_disk("spare_rest", SPARE // 2048, memory_backed=1)
    main = disks.map(
        "main_rest", f"linear {disks.slow} 0", f"linear {disks.good} 0", f"linear {disks.unspecific} 0"
    )
    path = disks.remap("rest", main, 3, spare)
    fio = subprocess.Popen(
        ["fio", "--name=rest", f"--filename={path}", "--rw=randrw", "--bs=4k", "--direct=1", "--norandommap"]
        + ["--ioengine=libaio", "--iodepth=2", "--time_based", "--runtime=3600", "--thread", f"--size={PART * 512}"]
        + [f"--randseed={SEED}", "--gtod_reduce=1", "--output=/dev/null"],
        stdout=subprocess.DEVNULL,
    )
    time.sleep(2)
    writer, order = Writer(path, "slow"), random.Random(SEED)
    windows = {"failing": [], "good": [], "quiet": []}
    for _ in range(rounds):
        for kind in order.sample(list(windows), len(windows)):
            windows[kind].append(writer.window(kind))
    assert fio.poll() is None, "fio has ended by itself"
    fio.terminate()
    fio.wait()
    state = disks.control.state("rest")
    assert state["auto_remaps"] == (writer.next["failing"] - 2 * PART) // BLOCK, state
    print(f"# the load alone: {statistics.median(windows['quiet']):.0f} bios a second", flush=True)
    for other, limit in (("quiet", "rest of the load"), ("good", None)):
        ratios = [one / two for one, two in zip(windows["failing"], windows[other])]
        report.add(f"the rest of the load, failing to {other}", ratios, limit)


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=31)
    options.add_argument("--json")
    options = options.parse_args()

    run("insmod", os.environ["DM_REMAP_KO"], "debug_level=0")
    # Drivers log each error, which takes longer on a console than the error.
    run("busybox", "dmesg", "-n", "1")
    disks, report = Disks(), Report(limits("errors"))
    measure_latency(disks, report, options.rounds)
    measure_rate(disks, report, options.rounds)
    measure_rest(disks, report, options.rounds)
    return report.end(options.json)


if __name__ == "__main__":
    require_guest()
    sys.exit(main())
