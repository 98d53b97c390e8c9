# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="patterns written on main and spare are read back, before and after remap and unremap"
LONG_MACHINES="uml-smp debian"

test() {
	make_null_blk main 16
	make_null_blk spare 4
	make_remap r0 32768 "$main" "$spare" 128 4096
	python3 -S - "$main" "$spare" <<'END'
import sys
from block_io import Disk, expect, pattern
from device_mapper import Control

control = Control()
device, main, spare = Disk("/dev/mapper/r0"), Disk(sys.argv[1]), Disk(sys.argv[2])
BLOCK = 8
patterns = {
    "zeros": lambda at: bytes(BLOCK * 512),
    "ones": lambda at: b"\xff" * BLOCK * 512,
    "alternating": lambda at: b"\x55\xaa" * BLOCK * 256,
    "walking": lambda at: bytes(1 << n % 8 for n in range(BLOCK * 512)),
    "its address": lambda at: at.to_bytes(8, "little") * BLOCK * 64,
    "random": lambda at: pattern(1, at, BLOCK),
}
for name, make in patterns.items():
    for block in (0, 1, 1000, 4095):
        at = block * BLOCK
        before, during = make(at), make(at + 1)[::-1]
        # On main.
        device.write(at, before)
        expect(device.read(at, BLOCK), before, at, f"{name}, before remap")
        expect(main.read(at, BLOCK), before, at, f"{name}, main itself before remap")
        # The contents move.
        reply = control.message("r0", f"remap {at}")
        place = int(reply.rsplit(" ", 1)[1])
        assert reply == f"sector {at} -> spare {place}", reply
        assert 128 <= place <= 128 + 4096 - BLOCK and (place - 128) % BLOCK == 0, place
        expect(device.read(at, BLOCK), before, at, f"{name}, after remap")
        expect(spare.read(place, BLOCK), before, place, f"{name}, the spare itself")
        # On the spare, and there only.
        main.write(at, pattern("main", at, BLOCK))
        expect(device.read(at, BLOCK), before, at, f"{name}, with other data on main")
        device.write(at, during)
        expect(device.read(at, BLOCK), during, at, f"{name}, written after remap")
        expect(spare.read(place, BLOCK), during, place, f"{name}, the spare after the write")
        expect(main.read(at, BLOCK), pattern("main", at, BLOCK), at, f"{name}, main after the write")
        # And back.
        assert control.message("r0", f"unremap {at}") == "unremapped 1"
        expect(device.read(at, BLOCK), during, at, f"{name}, after unremap")
        expect(main.read(at, BLOCK), during, at, f"{name}, main after unremap")
        device.write(at, before)
        expect(device.read(at, BLOCK), before, at, f"{name}, written after unremap")
        expect(spare.read(place, BLOCK), during, place, f"{name}, the spare after unremap")
END
}
