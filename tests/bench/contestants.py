# SPDX-License-Identifier: GPL-2.0
"""Contestants: devices that are mapped to the same disk, and the parts of them that bios go to."""

import math
import os
import random
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from device_mapper import Control  # noqa: E402

BLOCK = 8  # sectors
BENCH = "/sys/kernel/debug/bio_bench"
STRESS = "/sys/kernel/dm_remap_stress_test"


def run(*words):
    """Runs a command, which has to succeed. Returns its output."""
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def write(path, text):
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


def read(path):
    with open(path, encoding="ascii") as file:
        return file.read()


def null_disk(name, megabytes, **attributes):
    """Makes a disk of null_blk. Returns its path."""
    folder = f"/sys/kernel/config/nullb/{name}"
    os.mkdir(folder)
    for key, value in {"size": megabytes, "irqmode": 0, **attributes, "power": 1}.items():
        write(f"{folder}/{key}", str(value))
    return f"/dev/{name}"


class Disks:
    """Disks without latency, and the devices that are mapped to them."""

    def __init__(self, main_mb, spare_mb, answers="at once"):
        """
        Makes the disks. `answers` is when they complete a bio: "at once", as RAM disks do; "in turn", by a null_blk
        with a queue; "later", by a null_blk after 10 ms.
        """
        self.control = Control()
        self.sectors = main_mb * 2048
        self._used = 0
        self._remaps = []
        self._in_memory = answers == "at once"
        if self._in_memory:
            size = max(main_mb, spare_mb) * 1024
            run("modprobe", "brd", "rd_nr=2", f"rd_size={size}")
            self.main, self.spare = "/dev/ram0", "/dev/ram1"
            # A RAM disk keeps its pages in a tree, which is made equally high for both.
            for disk in self.main, self.spare:
                for page in 0, size // 4 - 1:
                    self._zero(disk, page, 1)
        else:
            run("modprobe", "null_blk", "nr_devices=0")
            timing = {"irqmode": 2, "completion_nsec": 10_000_000} if answers == "later" else {}
            self.main = null_disk("main", main_mb, hw_queue_depth=1024, **timing)
            self.spare = null_disk("spare", spare_mb, hw_queue_depth=1024, **timing)

    @staticmethod
    def _zero(disk, page, pages):
        """Writes zeros to pages of 4 KiB."""
        with open(disk, "r+b", buffering=0) as file:
            file.seek(page * 4096)
            for _ in range(pages):
                file.write(bytes(4096))
            os.fsync(file.fileno())

    def fill(self):
        """Writes main and all spare blocks, so that no later write has to allocate memory."""
        self._zero(self.main, 0, self.sectors // BLOCK)
        for begin, end in self._remaps:
            self._zero(self.spare, begin // BLOCK, (end - begin) // BLOCK)

    def map(self, name, target, arguments=""):
        """Makes a mapped device of the size of main. Returns its path, or None if the kernel has no such target."""
        self.control.create(name)
        try:
            self.control.load(name, f"0 {self.sectors} {target} {arguments}")
        except OSError:
            self.control.remove(name)
            return None
        self.control.resume(name)
        number = self.control.number(name)
        path = f"/dev/mapper/{name}"
        if not os.path.exists(path):
            os.makedirs("/dev/mapper", exist_ok=True)
            os.mknod(path, 0o600 | 0o060000, number)
        return path

    def remap(self, name, remaps, run_of, shuffled=False):
        """
        Makes a remap device with so many remaps, of the first `run_of` blocks of every stride, in order or shuffled;
        with metadata if the disks keep their contents. Returns its path and the number of blocks of a stride.
        """
        blocks = self.sectors // BLOCK
        stride = max(blocks * run_of // remaps, 1) if remaps else 1
        # Sectors of the slots, of their entries in the metadata, and of an empty area.
        spare = remaps * BLOCK + remaps // 4 + 8192
        # Aligned, so that a page of a RAM disk holds one spare block and not parts of two.
        spare = math.ceil(spare / BLOCK) * BLOCK
        begin, self._used = self._used, self._used + spare
        kept = "" if self._in_memory else " 1 volatile"
        path = self.map(name, "remap", f"{self.main} {self.spare} {begin} {spare}{kept}")
        starts = list(range(math.ceil(remaps / run_of)))
        if shuffled:
            random.Random(remaps).shuffle(starts)
        for start in starts:
            count = min(run_of, remaps - start * run_of)
            self.control.message(name, f"remap {start * stride * BLOCK} {count * BLOCK}")
        if remaps:
            # Slots are used in order.
            first = int(self.control.message(name, f"verify {starts[0] * stride * BLOCK}").split()[-1])
            self._remaps.append((first, first + remaps * BLOCK))
            if self._in_memory:
                # Makes the spare blocks as empty as those of main, so that the cost of copying memory does not count.
                run("blkdiscard", "-f", "-o", str(first * 512), "-l", str(remaps * BLOCK * 512), self.spare)
        return path, stride


class Contestant:
    """Device, and the part of its blocks that bios go to."""

    def __init__(self, name, path, *, remaps=None, layout=None, state=None, run_of=0, stride=1, hits=0):
        self.name, self.path = name, path
        self.labels = {"remaps": remaps, "layout": layout, "state": state, "hits": hits}
        self.run_of, self.stride, self.hits = run_of, stride, hits
        self.cost = []

    def on(self, other):
        """Returns a contestant with the same blocks on another device."""
        name = f"{other.name}, blocks of {self.name}"
        return Contestant(name, other.path, run_of=self.run_of, stride=self.stride, hits=self.hits)

    def goes_in(self, size):
        """Returns whether runs and strides are multiples of so many bytes."""
        return not self.run_of or self.run_of * BLOCK * 512 % size == 0 and self.stride * BLOCK * 512 % size == 0

    def pick(self, size):
        """Returns run, stride and hits for bio_bench, in places of so many bytes."""
        if not self.run_of:
            return 0, 1, 0
        scale = BLOCK * 512
        return self.run_of * scale // size, self.stride * scale // size, self.hits


def others(disks):
    """Returns the disk itself, and targets of the kernel."""
    size = f"{disks.main} 0"
    field = [Contestant("disk", disks.main)]
    for target, arguments in (
        ("linear", size),
        ("flakey", f"{size} 3600 0"),
        ("dust", f"{disks.main} 0 4096"),
        ("switch", f"1 {BLOCK} 0 {size}"),
    ):
        path = disks.map(target, target, arguments)
        if path:
            field.append(Contestant(target, path))
        else:
            print(f"# {target}: this kernel has none", flush=True)
    return field


def linear(disks):
    return Contestant("linear", disks.map("linear", "linear", f"{disks.main} 0"))


def remapped(disks, remaps, run_of=1, shares=(0, 1000), layout="scattered"):
    """
    Returns a remap device once for every share of hits (of a thousand). With the layout "shuffled" slots are in
    random order.
    """
    number = f"{remaps:,}"
    path, stride = disks.remap(f"remap_{remaps}_{layout}", remaps, run_of, layout == "shuffled")
    field = []
    for hits in shares if remaps else (0,):
        state = {0: "unmapped", 1000: "remapped"}.get(hits, f"{hits / 10:g} % remapped")
        words = [f"remap, {number} {'remap' if remaps == 1 else 'remaps'}", state]
        if remaps and layout != "scattered":
            words.insert(1, layout)
        field.append(
            Contestant(
                ", ".join(words),
                path,
                remaps=remaps,
                layout=layout if remaps else None,
                state=state,
                run_of=run_of if remaps else 0,
                stride=stride,
                hits=hits,
            )
        )
    return field
