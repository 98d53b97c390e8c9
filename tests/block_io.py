# SPDX-License-Identifier: GPL-2.0
"""Direct I/O to block devices, and a model of their expected contents.

    block_io.py fill DEVICE SEED [START SECTORS]     writes a pattern
    block_io.py check DEVICE SEED [START SECTORS]    compares the device with a pattern
    block_io.py compare A B SECTORS                  fails unless A and B are equal
    block_io.py unreadable DEVICE START SECTORS      prints the sectors whose reads fail with EIO

These submit one request, and print "ok" or the name of its errno:

    block_io.py read DEVICE START SECTORS
    block_io.py write DEVICE START SECTORS SEED
    block_io.py durable DEVICE START SECTORS SEED    an O_DSYNC write
    block_io.py zero DEVICE START SECTORS            write-zeroes
    block_io.py discard DEVICE START SECTORS
    block_io.py flush DEVICE
"""

import binascii
import ctypes
import errno
import fcntl
import mmap
import os
import random
import struct
import sys

from in_guest import require_guest

SECTOR = 512
MOST = 2048  # sectors of one bio: 1 MiB
_libc = ctypes.CDLL(None, use_errno=True)
_NOISE = random.Random(0).randbytes(1 << 16)


def pattern(seed, start, sectors):
    """Returns contents for `sectors` sectors from `start` on, different for each sector and seed.

    A sector begins with its number and the checksum of the seed; the rest is from a place in a pool of noise.
    """
    mark = binascii.crc32(str(seed).encode())
    parts = []
    for sector in range(start, start + sectors):
        head = (sector << 32 | mark).to_bytes(16, "little")
        at = binascii.crc32(head) % (len(_NOISE) - SECTOR)
        parts.append(head + _NOISE[at : at + SECTOR - len(head)])
    return b"".join(parts)


class Disk:
    """Block device, read and written with O_DIRECT, one bio for each call."""

    def __init__(self, path, flags=0):
        self.path = path
        self.fd = os.open(path, os.O_RDWR | os.O_DIRECT | flags)
        self._buffer = mmap.mmap(-1, MOST * SECTOR)

    def close(self):
        os.close(self.fd)
        self._buffer.close()

    def sectors(self):
        return os.lseek(self.fd, 0, os.SEEK_END) // SECTOR

    def read(self, start, sectors, flags=0):
        with memoryview(self._buffer)[: sectors * SECTOR] as view:
            # Old contents of the buffer must not pass for data of the read.
            view[:] = b"\xee" * len(view)
            got = os.preadv(self.fd, [view], start * SECTOR, flags)
            if got != len(view):
                raise OSError(errno.EIO, f"short read: {got} of {len(view)} at {start}")
            return bytes(view)

    def write(self, start, data, flags=0):
        with memoryview(self._buffer)[: len(data)] as view:
            view[:] = data
            put = os.pwritev(self.fd, [view], start * SECTOR, flags)
            if put != len(data):
                raise OSError(errno.EIO, f"short write: {put} of {len(data)} at {start}")

    def flush(self):
        os.fsync(self.fd)

    def discard(self, start, sectors):
        self._range(0x1277, start, sectors)

    def zero_out(self, start, sectors):
        self._range(0x127F, start, sectors)

    def _range(self, request, start, sectors):
        fcntl.ioctl(
            self.fd,
            request,
            (start * SECTOR).to_bytes(8, sys.byteorder)
            + (sectors * SECTOR).to_bytes(8, sys.byteorder),
        )


class WriteQueue:
    """Writes in flight to a block device, by the kernel's asynchronous I/O: thousands of them need no threads."""

    _IO_SETUP, _IO_DESTROY, _IO_GETEVENTS, _IO_SUBMIT = 206, 207, 208, 209
    # Data, key and flags, opcode and priority, file, buffer, bytes, offset, reserved, flags, eventfd.
    _REQUEST = struct.Struct("=QIiHhIQQqQII")
    _EVENT = struct.Struct("=QQqq")

    def __init__(self, path, depth, sectors):
        """Opens a device for `depth` writes of up to `sectors` sectors at a time."""
        self._fd = os.open(path, os.O_RDWR | os.O_DIRECT)
        self._room = sectors * SECTOR
        self._buffer = mmap.mmap(-1, depth * self._room)
        self._address = ctypes.addressof(ctypes.c_char.from_buffer(self._buffer))
        self._requests = ctypes.create_string_buffer(depth * self._REQUEST.size)
        self._events = ctypes.create_string_buffer(depth * self._EVENT.size)
        self._context = ctypes.c_ulong(0)
        self._depth, self._free = depth, list(range(depth))
        self._call(self._IO_SETUP, ctypes.c_long(depth), ctypes.byref(self._context))

    def _call(self, number, *arguments):
        end = _libc.syscall(ctypes.c_long(number), *arguments)
        if end < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        return end

    def in_flight(self):
        return self._depth - len(self._free)

    def submit(self, writes):
        """Submits writes, as (first sector, data) by a number of the caller's. Returns those that had no room."""
        waiting, addresses = dict(writes), []
        while waiting and self._free:
            key = next(iter(waiting))
            start, data = waiting.pop(key)
            place = self._free.pop()
            self._buffer[place * self._room : place * self._room + len(data)] = data
            self._REQUEST.pack_into(
                self._requests,
                place * self._REQUEST.size,
                *(key << 16 | place, 0, 0, 1, 0, self._fd),
                *(self._address + place * self._room, len(data), start * SECTOR, 0, 0, 0),
            )
            addresses.append(ctypes.addressof(self._requests) + place * self._REQUEST.size)
        done = 0
        while done < len(addresses):
            pointers = (ctypes.c_void_p * (len(addresses) - done))(*addresses[done:])
            done += self._call(self._IO_SUBMIT, self._context, ctypes.c_long(len(pointers)), pointers)
        return waiting

    def wait(self):
        """Waits until a write has ended. Returns (number, "ok" or the name of its errno) of all that have."""
        count = self._call(
            self._IO_GETEVENTS, self._context, ctypes.c_long(1), ctypes.c_long(self._depth), self._events, None
        )
        ended = []
        for key, _, result, _ in self._EVENT.iter_unpack(self._events[: count * self._EVENT.size]):
            self._free.append(key & 0xFFFF)
            ended.append((key >> 16, errno.errorcode[-result] if result < 0 else "ok"))
        return ended

    def close(self):
        self._call(self._IO_DESTROY, self._context)
        os.close(self._fd)


def first_difference(found, wanted):
    """Returns the number of the first byte that differs, or None."""
    if found == wanted:
        return None
    return next(n for n, (a, b) in enumerate(zip(found, wanted)) if a != b)


def expect(found, wanted, start, what):
    """Fails unless `found`, read from sector `start` on, is `wanted`."""
    at = first_difference(found, wanted)
    if at is not None:
        sector = start + at // SECTOR
        raise SystemExit(
            f"FAIL: {what}: sector {sector}, byte {at % SECTOR}: {found[at]:#04x}, "
            f"expected {wanted[at]:#04x}; the sector begins {found[at - at % SECTOR:][:16].hex()}, "
            f"expected {wanted[at - at % SECTOR:][:16].hex()}"
        )


class Model:
    """Expected contents of a device, which are compared with the device."""

    def __init__(self, disk, sectors):
        self.disk = disk
        self.sectors = sectors
        self.bytes = bytearray(sectors * SECTOR)

    def fill(self, seed):
        for start in range(0, self.sectors, MOST):
            self.write(start, pattern(seed, start, min(MOST, self.sectors - start)))

    def write(self, start, data):
        self.disk.write(start, data)
        self.remember(start, data)

    def remember(self, start, data):
        self.bytes[start * SECTOR : start * SECTOR + len(data)] = data

    def wanted(self, start, sectors):
        return bytes(self.bytes[start * SECTOR : (start + sectors) * SECTOR])

    def check(self, start, sectors, what="read"):
        expect(self.disk.read(start, sectors), self.wanted(start, sectors), start, what)

    def check_all(self, what="read of everything"):
        for start in range(0, self.sectors, MOST):
            self.check(start, min(MOST, self.sectors - start), what)


def outcome(call, *arguments):
    """Returns the name of the errno that a call fails with, or "ok"."""
    try:
        call(*arguments)
    except OSError as error:
        return errno.errorcode[error.errno]
    return "ok"


def _parts(start, sectors):
    while sectors > 0:
        part = min(sectors, MOST)
        yield start, part
        start, sectors = start + part, sectors - part


def unreadable(disk, start, sectors):
    """Returns the sectors whose reads fail with EIO. Raises any other error."""
    found = []
    for sector in range(start, start + sectors):
        try:
            disk.read(sector, 1)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            found.append(sector)
    return found


def carry_out(words):
    command, path, *rest = words
    disk = Disk(path, os.O_DSYNC if command == "durable" else 0)
    try:
        _carry_out(command, disk, rest)
    finally:
        disk.close()


def _carry_out(command, disk, rest):
    path = disk.path
    if command == "compare":
        other, sectors = Disk(rest[0]), int(rest[1])
        for start, part in _parts(0, sectors):
            expect(disk.read(start, part), other.read(start, part), start, f"{path} and {rest[0]}")
    elif command == "read":
        print(outcome(disk.read, int(rest[0]), int(rest[1])))
    elif command in ("zero", "discard"):
        call = disk.zero_out if command == "zero" else disk.discard
        print(outcome(call, int(rest[0]), int(rest[1])))
    elif command == "flush":
        print(outcome(disk.flush))
    elif command == "unreadable":
        print(*unreadable(disk, int(rest[0]), int(rest[1])))
    elif command in ("write", "durable"):
        start, sectors = int(rest[0]), int(rest[1])
        print(outcome(disk.write, start, pattern(rest[2], start, sectors)))
    else:
        seed = rest[0]
        start, sectors = map(int, rest[1:3]) if len(rest) > 2 else (0, disk.sectors())
        for at, part in _parts(start, sectors):
            if command == "fill":
                disk.write(at, pattern(seed, at, part))
            elif command == "check":
                expect(disk.read(at, part), pattern(seed, at, part), at, path)
            else:
                raise SystemExit(f"unknown command {command}")


if __name__ == "__main__":
    require_guest()
    carry_out(sys.argv[1:])
