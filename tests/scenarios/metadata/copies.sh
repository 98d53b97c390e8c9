# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="one bad sector of the metadata loses no remap; with two, the table loads all remaps or is refused, and never loads wrong ones"
MACHINES=uml
TIMEOUT=170

test() {
	make_null_blk main 4
	make_null_blk spare 1
	block_io fill "$main" 1
	make_mapped below "0 2048 linear $spare 0"
	make_remap r0 4096 "$main" /dev/mapper/below 16 1600
	message r0 remap 80
	message r0 remap 160
	message r0 remap 4088
	message r0 unremap 80
	message r0 remap 800 64
	block_io fill /dev/mapper/r0 2
	python3 -S - "$SEED" "$main" "$spare" "$(scaled 200)" <<'END'
import errno
import random
import sys

from block_io import Disk
from device_mapper import Control
from metadata import SECTOR, Area, File

START, SECTORS = 16, 1600
seed, main, spare, pairs = int(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
chance = random.Random(seed)
control, disk = Control(), Disk(spare)
wanted = control.remaps("r0")
control.remove("r0")
data = File(spare)
area = Area(data, START, SECTORS)
assert {area.slot_sector(slot): block * 8 for block, (slot, _) in area.remaps().items()} == {
    place: sector for sector, place, _ in wanted
}, "the second reader of the format finds other remaps"

sectors = [
    START + place + n for index in range(area.pages) for _, place in area.places(index) for n in range(8)
]
whole = {sector: disk.read(sector, 1) for sector in sectors}
other = {}
for index in range(area.pages):
    places = dict()
    for odd, place in area.places(index):
        places.setdefault(place >= SECTORS // 2, {})[odd] = place
    for half in places.values():
        for n in range(8):
            other[START + half[0] + n] = whole[START + half[1] + n]
            other[START + half[1] + n] = whole[START + half[0] + n]


def unreadable(bad):
    """Makes these sectors unreadable, and no others."""
    lines, at = [], 0
    for sector in sorted(bad):
        if sector > at:
            lines.append(f"{at} {sector - at} linear {spare} {at}")
        lines.append(f"{sector} 1 error")
        at = sector + 1
    control.load("below", "\n".join([*lines, f"{at} {2048 - at} linear {spare} {at}"]))
    control.suspend("below")
    control.resume("below")


WAYS = ["unreadable", "zeros", "ones", "other generation", "random"]


def spoil(spoiled):
    bad = [sector for sector, way in spoiled if way == "unreadable"]
    if bad:
        unreadable(bad)
    for sector, way in spoiled:
        if way != "unreadable":
            disk.write(
                sector,
                {
                    "zeros": lambda: bytes(SECTOR),
                    "ones": lambda: b"\xff" * SECTOR,
                    "other generation": lambda: other[sector],
                    "random": lambda: chance.randbytes(SECTOR),
                }[way](),
            )


def restore():
    unreadable([])
    for sector in sectors:
        disk.write(sector, whole[sector])


def is_served(spoiled):
    """Returns whether the table is accepted with bad sectors. Fails if it is, with other remaps."""
    spoil(spoiled)
    served = True
    control.create("r0")
    try:
        control.load("r0", f"0 4096 remap {main} /dev/mapper/below {START} {SECTORS}")
        try:
            control.resume("r0")
        except OSError as error:
            assert error.errno in (errno.EIO, errno.EINVAL), error
            served = False
        else:
            assert control.remaps("r0") == wanted, f"{spoiled}: {control.remaps('r0')}"
            state = control.status("r0").split()[5]
            assert state in ("ok", "degraded"), state
            if any(way == "unreadable" for _, way in spoiled):
                assert state == "degraded", f"{spoiled}: {state}"
    finally:
        control.remove("r0")
    return served


loads = 0
for sector in sectors:
    for way in WAYS:
        assert is_served([(sector, way)]), f"sector {sector}: {way}: refused"
        # The table has repaired the sector if it could, so that the next bad one does no harm, either.
        if way != "unreadable":
            assert Area(data, START, SECTORS).remaps() == area.remaps(), f"{sector} {way}"
        restore()
        loads += 1

refused = 0
for _ in range(pairs):
    spoiled = [(sector, chance.choice(WAYS)) for sector in chance.sample(sectors, 2)]
    refused += not is_served(spoiled)
    restore()
print(f"{loads} with one bad sector, {pairs} with two, of which {refused} were refused")
assert is_served([]), "the restored area is refused"
END
	make_remap r0 4096 "$main" /dev/mapper/below 16 1600
	block_io check /dev/mapper/r0 2
}
