# SPDX-License-Identifier: GPL-2.0
"""Requests of dmsetup, by ioctls: many in one process, with errnos instead of messages.

    device_mapper.py NAME MESSAGE...     sends messages; prints each reply, or the name of its errno
"""

import ctypes
import errno
import os
import select
import struct
import sys
import time

from in_guest import require_guest

_HEADER = struct.Struct("=3I2IIiIIIQ128s129s7x")
_SPEC = struct.Struct("=QQiI16s")

_READONLY = 1 << 0
_SUSPEND = 1 << 1
_STATUS_TABLE = 1 << 4
_BUFFER_FULL = 1 << 8
_SKIP_LOCKFS = 1 << 10
_NOFLUSH = 1 << 11
_DATA_OUT = 1 << 16


def _iowr(number):
    return 3 << 30 | _HEADER.size << 16 | 0xFD << 8 | number


_CREATE, _REMOVE, _SUSPENDED, _LOAD = _iowr(3), _iowr(4), _iowr(6), _iowr(9)
_STATUS, _CLEAR, _TABLE_STATUS, _MESSAGE = _iowr(7), _iowr(10), _iowr(12), _iowr(14)
_ARM_POLL = _iowr(16)


_libc = ctypes.CDLL(None, use_errno=True)
_libc.ioctl.argtypes = [ctypes.c_int, ctypes.c_ulong, ctypes.c_void_p]


def keepers_rest():
    """Returns whether each keeper of a remap device sleeps, and so has nothing to do."""
    for pid in filter(str.isdecimal, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat", "rb") as file:
                name, state = file.read(80).split(b"(", 1)[1].split(b") ", 1)
        except (FileNotFoundError, ProcessLookupError):
            # It has ended.
            continue
        if name == b"dm_remap_keeper" and not state.startswith(b"I"):
            return False
    return True


def settle():
    """Waits until the keepers rest: unread sectors are salvaged as far as main can be read."""
    end = time.monotonic() + 20
    while not keepers_rest():
        assert time.monotonic() < end, "a keeper is at work for 20 s"
        time.sleep(0.002)


class Control:
    """Open /dev/mapper/control. Methods raise OSError if an ioctl fails."""

    def __init__(self):
        self._fd = os.open("/dev/mapper/control", os.O_RDWR)

    def _call(self, request, name, flags=0, payload=b"", targets=0, room=32768):
        """Carries out an ioctl. Returns flags, number of targets and data of the reply."""
        while True:
            buffer = bytearray(_HEADER.size + max(len(payload), room))
            _HEADER.pack_into(
                buffer, 0, 4, 0, 0, len(buffer), _HEADER.size, targets, 0, flags, 0, 0, 0, name.encode(), b""
            )
            buffer[_HEADER.size : _HEADER.size + len(payload)] = payload
            self._ioctl(request, buffer)
            answer = _HEADER.unpack_from(buffer)
            if not answer[7] & _BUFFER_FULL:
                return answer[7], answer[5], bytes(buffer[answer[4] :])
            room *= 4

    def _ioctl(self, request, buffer):
        # Not fcntl.ioctl, which holds the interpreter's lock for large buffers.
        if _libc.ioctl(self._fd, request, (ctypes.c_char * len(buffer)).from_buffer(buffer)) < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

    def create(self, name):
        self._call(_CREATE, name)

    def remove(self, name):
        self._call(_REMOVE, name)

    def load(self, name, table, read_only=False):
        """Loads a table, of lines "<start> <length> <target> <arguments>"."""
        payload, lines = b"", table.split("\n")
        for line in lines:
            start, length, target, *arguments = line.split(" ", 3)
            text = "".join(arguments).encode() + b"\0"
            text += bytes(-len(text) % 8)
            size = _SPEC.size + len(text)
            payload += _SPEC.pack(int(start), int(length), 0, size, target.encode()) + text
        self._call(_LOAD, name, _READONLY if read_only else 0, payload, len(lines))

    def suspend(self, name, flush=True):
        self._call(_SUSPENDED, name, _SUSPEND | _SKIP_LOCKFS | (0 if flush else _NOFLUSH))

    def resume(self, name):
        self._call(_SUSPENDED, name)

    def number(self, name):
        """Returns the device number of a mapped device."""
        number = self._header(_STATUS, name)[10]
        # The kernel's encoding: bits 0 to 7 of the minor, then the major, then the rest of the minor.
        return os.makedev(number >> 8 & 0xFFF, number & 0xFF | number >> 12 & ~0xFF)

    def _header(self, request, name):
        """Carries out an ioctl without data. Returns the header of the reply."""
        header = bytearray(_HEADER.size)
        _HEADER.pack_into(header, 0, 4, 0, 0, len(header), len(header), 0, 0, 0, 0, 0, 0, name.encode(), b"")
        self._ioctl(request, header)
        return _HEADER.unpack_from(header)

    def event(self, name):
        """Returns the number of the last event of a mapped device, from which a wait for the next one starts."""
        return self._header(_STATUS, name)[8]

    def wait_event(self, name, event, seconds):
        """Waits for an event after number `event`, with a time limit. Returns the number of the last event."""
        end = time.monotonic() + seconds
        # The event that poll() compares with belongs to the open file.
        poller = Control()
        try:
            poll = select.poll()
            poll.register(poller._fd, select.POLLIN)
            while True:
                poller._header(_ARM_POLL, "")
                found = poller.event(name)
                left = end - time.monotonic()
                if found != event or left <= 0:
                    return found
                poll.poll(left * 1000)
        finally:
            os.close(poller._fd)

    def clear(self, name):
        """Drops the inactive table."""
        self._call(_CLEAR, name)

    def status(self, name):
        """Returns the status of the first target, without the target's name."""
        return self._first_status(name, 0)

    def table(self, name):
        """Returns the arguments of the first target."""
        return self._first_status(name, _STATUS_TABLE)

    def _first_status(self, name, flags):
        _, _, data = self._call(_TABLE_STATUS, name, flags)
        return data[_SPEC.size :].split(b"\0", 1)[0].decode()

    def message(self, name, text, sector=0):
        """Sends a message. Returns the reply, or None if there is none."""
        flags, _, data = self._call(_MESSAGE, name, payload=struct.pack("=Q", sector) + text.encode() + b"\0")
        return data.split(b"\0", 1)[0].decode() if flags & _DATA_OUT else None

    def outcome(self, name, text):
        """Sends a message. Returns the reply, or the name of the errno."""
        try:
            return self.message(name, text)
        except OSError as error:
            return errno.errorcode[error.errno]

    def state(self, name):
        """Returns the values in the status line of a remap device, by name."""
        words = self.status(name).split(" ")
        used, slots = words[0].split("/")
        state = dict(zip(("lost", "pending", "block"), map(int, words[1:4])), remapped=int(used), slots=int(slots))
        state["health"], state["metadata"] = words[4:6]
        for word in words[6:]:
            key, value = word.split("=")
            state[key] = int(value) if value.isdecimal() else value
        return state

    def replace(self, name, table, flush=True):
        """Loads a table and makes it the active one, under I/O."""
        self.load(name, table)
        self.suspend(name, flush)
        self.resume(name)

    def remaps(self, name, page=None):
        """Returns all remaps as (sector, spare sector, flags), by `list` messages with `page` lines each."""
        found, at = [], 0
        while True:
            *lines, last = self.message(name, f"list {at}" + (f" {page}" if page else "")).split("\n")
            for line in lines:
                sector, spare, flags = line.split(" ")
                found.append((int(sector), int(spare), flags))
            if last == "end":
                return found
            word, following = last.split(" ")
            assert word == "more" and lines and int(following) > found[-1][0], last
            at = int(following)


def main():
    control = Control()
    for text in sys.argv[2:]:
        print(control.outcome(sys.argv[1], text))


if __name__ == "__main__":
    require_guest()
    main()
