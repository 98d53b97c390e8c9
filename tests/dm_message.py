#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Sends a message to a device-mapper target by the ioctl itself.

    dm_message.py DEVICE WORD...

prints the reply; an error prints the name of its errno, and the exit status is 1. Unlike dmsetup,
which shows an errno as words, and fast enough for a hundred thousand messages from one process.
"""

import errno
import fcntl
import os
import struct
import sys

HEADER = struct.Struct("=IIIIIIiIIIQ128s129s7x")
VERSION = (4, 0, 0)
DATA_OUT_FLAG = 1 << 16
BUFFER_FULL_FLAG = 1 << 8
BUFFER = 1 << 16


def _iowr(number):
    return 3 << 30 | HEADER.size << 16 | 0xFD << 8 | number


DM_TARGET_MSG = _iowr(14)


class Mapper:
    """The control node of device-mapper."""

    def __init__(self):
        self.fd = os.open("/dev/mapper/control", os.O_RDWR)

    def message(self, device, *words):
        """Sends a message to sector 0 of `device` and returns the reply; OSError on refusal."""
        text = " ".join(str(word) for word in words).encode() + b"\0"
        buffer = bytearray(BUFFER)
        HEADER.pack_into(
            buffer, 0, *VERSION, BUFFER, HEADER.size, 0, 0, 0, 0, 0, 0, device.encode(), b""
        )
        struct.pack_into("=Q", buffer, HEADER.size, 0)
        buffer[HEADER.size + 8 : HEADER.size + 8 + len(text)] = text
        fcntl.ioctl(self.fd, DM_TARGET_MSG, buffer)
        fields = HEADER.unpack_from(buffer)
        start, flags = fields[4], fields[7]
        if flags & BUFFER_FULL_FLAG:
            raise OverflowError("the reply does not fit")
        if not flags & DATA_OUT_FLAG:
            return ""
        end = buffer.index(0, start)
        return buffer[start:end].decode()


def main():
    if len(sys.argv) < 3:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        reply = Mapper().message(sys.argv[1], *sys.argv[2:])
    except OSError as error:
        print(errno.errorcode.get(error.errno, error.errno), file=sys.stderr)
        return 1
    if reply:
        print(reply)
    return 0


if __name__ == "__main__":
    sys.exit(main())
