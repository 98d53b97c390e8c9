# SPDX-License-Identifier: GPL-2.0
"""Samples the kernel of a guest of user-mode Linux, on the host, every fifth of a millisecond of its CPU time.

    sampler.py PID DIR

In DIR rounds.py tells which run begins, whether it is sampled, and when it ends. The CPU time of run N is written to
N-ns and its samples to N-samples: lines of an address and a count, with the address `host` for the host's kernel.
DIR/maps gets the memory areas of the guest's process.

The clock is the host's (PERF_COUNT_SW_CPU_CLOCK). It needs no counters of the processor, which virtual machines often
lack. Its interrupt can come after any instruction, so the guest cannot delay a sample by disabling its interrupts.
"""

import collections
import ctypes
import fcntl
import mmap
import os
import struct
import sys
import time

PERIOD_NS = 199_999  # not a multiple of any period of the guest
PERF_EVENT_OPEN = 298
PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_CLOCK = 1, 0
PERF_SAMPLE_IP = 1
ENABLE, DISABLE = 0x2400, 0x2401
RECORD_LOST, RECORD_THROTTLE, RECORD_SAMPLE = 2, 5, 9
FROM_KERNEL, FROM_WHERE = 1, 7
DATA_HEAD, DATA_TAIL = 1024, 1032
PAGES = 256
ATTRIBUTES = struct.Struct("=IIQQQQQIIQ")  # perf_event_attr, the first version
DISABLED = 1


def open_clock(process, period=0):
    """Opens a perf event with the CPU time of a process. With a period it takes samples, and starts disabled."""
    sampling = (period, PERF_SAMPLE_IP, 0, DISABLED) if period else (0, 0, 0, 0)
    attributes = ctypes.create_string_buffer(
        ATTRIBUTES.pack(PERF_TYPE_SOFTWARE, ATTRIBUTES.size, PERF_COUNT_SW_CPU_CLOCK, *sampling, 0, 0, 0)
    )
    libc = ctypes.CDLL(None, use_errno=True)
    clock = libc.syscall(PERF_EVENT_OPEN, attributes, process, -1, -1, 0)
    if clock < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"perf_event_open: {os.strerror(error)}")
    return clock


class Samples:
    """Sampling of a process, and the ring that the samples arrive in."""

    def __init__(self, process):
        self.clock = open_clock(process, PERIOD_NS)
        self.size = PAGES * mmap.PAGESIZE
        self.ring = mmap.mmap(self.clock, mmap.PAGESIZE + self.size)

    def _word(self, at):
        return struct.unpack_from("=Q", self.ring, at)[0]

    def start(self):
        # Drops samples that came after the end of the last run.
        struct.pack_into("=Q", self.ring, DATA_TAIL, self._word(DATA_HEAD))
        fcntl.ioctl(self.clock, ENABLE, 0)

    def stop(self):
        """Stops the samples, and returns how often each address was seen."""
        fcntl.ioctl(self.clock, DISABLE, 0)
        head, tail = self._word(DATA_HEAD), self._word(DATA_TAIL)
        data = self.ring[mmap.PAGESIZE :]
        found = collections.Counter()
        while tail < head:
            # Records and ring are multiples of 8 bytes, so at most the address of a record begins the ring again.
            at = tail % self.size
            kind, where, size = struct.unpack_from("=IHH", data, at)
            if kind == RECORD_SAMPLE:
                address = struct.unpack_from("=Q", data, (at + 8) % self.size)[0]
                found["host" if where & FROM_WHERE == FROM_KERNEL else f"{address:x}"] += 1
            elif kind in (RECORD_LOST, RECORD_THROTTLE):
                raise RuntimeError("the host's kernel has dropped samples")
            tail += size
        struct.pack_into("=Q", self.ring, DATA_TAIL, head)
        return found


def wait_for(path):
    while not os.path.exists(path):
        time.sleep(0.001)


def next_run(directory, number):
    """Waits for the next run. Returns its number and whether it is sampled."""
    while True:
        # The numbers of the first few runs, which warm up, are skipped.
        for candidate in range(number, number + 10):
            for word in ("sample", "time"):
                if os.path.exists(f"{directory}/{candidate}-{word}"):
                    return candidate, word == "sample"
        time.sleep(0.001)


class Guest:
    """Clocks and memory areas of the guest's process."""

    def __init__(self, process):
        self.samples = Samples(process)
        self.cpu_time = open_clock(process)
        with open(f"/proc/{process}/maps", encoding="ascii") as maps:
            self.maps = maps.read()

    def nanoseconds(self):
        return struct.unpack("=Q", os.read(self.cpu_time, 8))[0]


def one_run(guest, directory, number, sampled):
    if sampled:
        guest.samples.start()
    start = guest.nanoseconds()
    os.mkdir(f"{directory}/{number}-ready")
    wait_for(f"{directory}/{number}-end")
    took = guest.nanoseconds() - start
    with open(f"{directory}/{number}-ns", "w", encoding="ascii") as out:
        out.write(str(took))
    if sampled:
        found = guest.samples.stop()
        with open(f"{directory}/{number}-samples", "w", encoding="ascii") as out:
            out.writelines(f"{address} {count}\n" for address, count in found.items())
    os.mkdir(f"{directory}/{number}-done")


def main():
    process, directory = int(sys.argv[1]), sys.argv[2]
    # Opens the clocks at the first run, when the guest's process has all its memory areas.
    number, sampled = next_run(directory, 0)
    guest = Guest(process)
    with open(f"{directory}/maps", "w", encoding="ascii") as copy:
        copy.write(guest.maps)
    while True:
        one_run(guest, directory, number, sampled)
        number, sampled = next_run(directory, number + 1)


if __name__ == "__main__":
    main()
