# SPDX-License-Identifier: GPL-2.0
"""Carries out commands from standard input, so that a scenario need not start a process for each, which takes
up to a second on the machines with debugging options.

A command is a line of words between unit separators. Its output is followed by a line that begins
with an end-of-transmission character and has the exit status.
"""

import errno
import os
import re
import signal
import stat
import sys
import time

import block_io
from device_mapper import Control, keepers_rest
from in_guest import require_guest

require_guest()
control = Control()
log = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)


def node(name):
    return "/dev/mapper/" + name


def create(name, *lines):
    """Makes a mapped device with these table lines, and its node."""
    control.create(name)
    try:
        control.load(name, "\n".join(lines))
        control.resume(name)
    except OSError:
        control.remove(name)
        raise
    if os.path.lexists(node(name)):
        os.unlink(node(name))
    os.mknod(node(name), stat.S_IFBLK | 0o600, control.number(name))


def remove(name):
    """Removes a mapped device, if there is one."""
    try:
        # A suspended device would hold its I/O, and the threads that wait for it, for ever.
        control.resume(name)
    except OSError:
        pass
    for left in reversed(range(50)):
        try:
            control.remove(name)
        except OSError as error:
            if error.errno == errno.ENXIO:
                break
            if left == 0:
                raise
            # Another process still has the device open, and is about to close it.
            time.sleep(0.1)
        else:
            break
    if os.path.lexists(node(name)):
        os.unlink(node(name))


def log_mark():
    os.lseek(log, 0, os.SEEK_END)


def unescape(record):
    """Returns a record of /dev/kmsg without its escapes, which stand for backslashes and unprintable bytes."""
    return re.sub(rb"\\x([0-9a-f]{2})", lambda match: bytes([int(match[1], 16)]), record)


def log_lines():
    """Prints the lines that the kernel has logged since log_mark."""
    while True:
        try:
            record = unescape(os.read(log, 8192)).decode(errors="replace")
        except BlockingIOError:
            return
        except BrokenPipeError:
            print("(lines were lost)")
            continue
        print(record.split(";", 1)[1].split("\n")[0])


def message(name, *words):
    reply = control.message(name, " ".join(words))
    if reply is not None:
        print(reply)


def wait_event(name, event, seconds):
    """Waits for an event after number `event`, and prints the number of the last one."""
    found = control.wait_event(name, int(event), float(seconds))
    if found == int(event):
        raise SystemExit(f"FAIL: no event of {name} within {seconds} s, the last one is {event}")
    print(found)


def expect_rest():
    if not keepers_rest():
        raise SystemExit("a keeper is at work")


COMMANDS = {
    "create": create,
    "remove": remove,
    "message": message,
    "status": lambda name: print(control.status(name)),
    "replace": lambda name, *lines: control.replace(name, "\n".join(lines)),
    "event": lambda name: print(control.event(name)),
    "wait_event": wait_event,
    "keepers_rest": expect_rest,
    "log_mark": log_mark,
    "log_lines": log_lines,
    "block_io": lambda *words: block_io.carry_out(list(words)),
}


def carry_out(words):
    try:
        COMMANDS[words[0]](*words[1:])
    except SystemExit as end:
        print(end)
    except Exception as error:  # any error is for the scenario
        print(f"{' '.join(words)}: {type(error).__name__}: {error}")
    else:
        return 0
    return 1


def main():
    # A scenario that takes too long still needs the console to tidy up.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    for line in sys.stdin:
        status = carry_out(line.rstrip("\n").split("\x1f"))
        print(f"\x04{status}", flush=True)


if __name__ == "__main__":
    main()
