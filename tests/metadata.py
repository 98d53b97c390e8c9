# SPDX-License-Identifier: GPL-2.0
"""A second reader of the metadata of a spare area, written from docs/metadata-format.md alone.

    metadata.py list IMAGE START SECTORS     prints "<block> <slot> <unread units> <lost units>" of every remap, in order
"""

import os
import sys

from in_guest import require_guest

SECTOR, PAGE, PAGE_SECTORS, HEADER = 512, 4096, 8, 32
MAGIC = b"dm-remap"
FAILED = (1 << 64) - 1
TURN, UNREAD, UNTRIED = 62, 1 << 61, 1 << 60
ONE_BITMAP, GROWN = 1, 2
GAP = 2048


def _table():
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table


_CRC = _table()


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _CRC[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


assert crc32c(b"123456789") == 0xE3069283


def number(data, at, size):
    return int.from_bytes(data[at : at + size], "little")


def checksum(page):
    return crc32c(page[:8] + bytes(4) + page[12:])


class Refused(Exception):
    """Metadata that the format does not allow."""


class States:
    """States of the units of a block: bits of the unread and the lost ones, and whether the unread are untried."""

    def __init__(self, unread=0, lost=0, untried=False):
        self.unread, self.lost, self.untried = unread, lost, untried

    @property
    def missing(self):
        """Returns the bits of the units without contents in the slot."""
        return self.unread | self.lost

    def __eq__(self, other):
        return vars(self) == vars(other)

    def __repr__(self):
        return f"States(unread={self.unread:b}, lost={self.lost:b}, untried={self.untried})"


def both(*starts):
    """Yields (parity of the generation, sector) of the two places that begin at each of these sectors."""
    for start in starts:
        for odd in 0, 1:
            yield odd, start + odd * PAGE_SECTORS


class Area:
    """Spare area in `image`, which has read(offset, bytes) and write(offset, data)."""

    def __init__(self, image, start, sectors):
        self.image, self.start, self.sectors = image, start, sectors
        self.superblock = self._find()
        body = self.superblock
        self.block_sectors, unit = number(body, 36, 4), number(body, 40, 4)
        self.slots = number(body, 44, 4)
        self.uuid = number(body, 48, 8)
        self.version, features = number(body, 32, 4), number(body, 120, 8)
        if self.version not in (1, 2) or self.version == 2 and features & ~(ONE_BITMAP | GROWN):
            raise Refused(f"version {self.version}, features {features:b}")
        bitmaps = 1 if self.version == 1 or features & ONE_BITMAP else 2
        units = self.block_sectors // unit
        self.bitmap_bytes = -(-units // 8)
        self.entry_bytes = 8 + bitmaps * self.bitmap_bytes
        self.per_page = (PAGE - HEADER) // self.entry_bytes
        self.pages = 1 + -(-self.slots // self.per_page)
        grown = self.version == 2 and features & GROWN
        self.head_pages = number(body, 192, 4) if grown else self.pages
        further = self.pages - self.head_pages
        self.end = sectors - sectors % PAGE_SECTORS
        self.further = self.end - (self.pages + further) * 2 * PAGE_SECTORS - (GAP if further else 0)
        self.half = self.pages * 2 * PAGE_SECTORS
        head = self.head_pages * 2 * PAGE_SECTORS
        self.first_slot = -(-head // self.block_sectors) * self.block_sectors

    def read(self, sector):
        return self.image.read((self.start + sector) * SECTOR, PAGE)

    def write(self, sector, page):
        self.image.write((self.start + sector) * SECTOR, page)

    def _find(self):
        # The head only: the tests read no area of which both copies there are bad.
        found = []
        for sector in 0, PAGE_SECTORS:
            page = self.read(sector)
            if page and page[:8] == MAGIC and number(page, 8, 4) == checksum(page) and number(page, 12, 4) == 0:
                found.append((number(page, 24, 8), page))
        if not found:
            raise Refused("no superblock in the head")
        return max(found)[1]

    def places(self, index):
        """Returns (parity of the generation, sector) of the four places of a page."""
        head = index * 2 * PAGE_SECTORS
        if index >= self.head_pages:
            head = self.further + (index - self.head_pages) * 2 * PAGE_SECTORS
        return both(head, self.end - (index + 1) * 2 * PAGE_SECTORS)

    def page(self, index):
        """Returns the newest generation of a page, with its header."""
        valid, parities = [], set()
        for odd, sector in self.places(index):
            page = self.read(sector)
            if page is None or page[:8] != MAGIC or number(page, 8, 4) != checksum(page):
                continue
            generation = number(page, 24, 8)
            if number(page, 12, 4) == index and number(page, 16, 8) == self.uuid and generation % 2 == odd:
                valid.append((generation, page))
                parities.add(odd)
        if not valid:
            raise Refused(f"page {index} has no valid place")
        if len(parities) != 2:
            raise Refused(f"page {index} may have been superseded")
        return max(valid)[1]

    def entries(self):
        """Yields (slot, name, States) of every slot that is not free, in order. The name has the turn and the block."""
        for slot in range(self.slots):
            if slot % self.per_page == 0:
                page = self.page(1 + slot // self.per_page)
            at = HEADER + slot % self.per_page * self.entry_bytes
            name = number(page, at, 8)
            first, second = (number(page, at + 8 + n * self.bitmap_bytes, self.bitmap_bytes) for n in (0, 1))
            if name in (0, FAILED):
                if number(page, at + 8, self.entry_bytes - 8):
                    raise Refused(f"slot {slot} has states and no block")
                if name:
                    yield slot, name, States()
                continue
            untried, unread = bool(name & UNTRIED), bool(name & UNREAD)
            if self.entry_bytes > 8 + self.bitmap_bytes:
                states = States(first, second, untried)
                if unread:
                    raise Refused(f"slot {slot} has a flag of areas with one bitmap")
            elif unread:
                states = States(first, 0, untried)
            else:
                states = States(0, first, untried)
            if (untried or unread) and (not states.unread or self.version == 1) or states.unread & states.lost:
                raise Refused(f"slot {slot} has flags that contradict its units")
            yield slot, name & ~(UNTRIED | UNREAD), states

    def remaps(self):
        """Returns a map from block to (slot, States)."""
        found = {}
        for slot, name, states in self.entries():
            if name == FAILED:
                continue
            turn, block = name >> TURN, (name & (1 << TURN) - 1) - 1
            if block < 0:
                raise Refused(f"slot {slot} has a turn and no block")
            found.setdefault(block, []).append((turn, slot, states))
        return {block: counting(block, slots) for block, slots in found.items()}

    def change(self, slot, name, bitmaps=None):
        """Writes another name for a slot, and bitmaps if given, to every copy of its page, with a valid checksum."""
        at = HEADER + slot % self.per_page * self.entry_bytes
        for _, sector in self.places(1 + slot // self.per_page):
            page = bytearray(self.read(sector))
            page[at : at + 8] = name.to_bytes(8, "little")
            for n, bits in enumerate(bitmaps or []):
                start = at + 8 + n * self.bitmap_bytes
                page[start : start + self.bitmap_bytes] = bits.to_bytes(self.bitmap_bytes, "little")
            page[8:12] = checksum(page).to_bytes(4, "little")
            self.write(sector, bytes(page))

    def slot_sector(self, slot):
        """Returns the first sector of a slot on the image."""
        return self.start + self.first_slot + slot * self.block_sectors


def counting(block, slots):
    """Returns (slot, states) of the entry of a block that counts."""
    if len(slots) == 2:
        slots = [new for old, new in (slots, slots[::-1]) if new[0] == (old[0] + 1) % 4]
    if len(slots) != 1:
        raise Refused(f"block {block} is in several slots")
    return slots[0][1:]


class File:
    def __init__(self, path):
        self.fd = os.open(path, os.O_RDWR)

    def read(self, offset, size):
        try:
            return os.pread(self.fd, size, offset)
        except OSError:
            return None

    def write(self, offset, data):
        os.pwrite(self.fd, data, offset)


def superblocks(path, start, sectors, change):
    """Calls `change` for every copy of the superblock, and writes it with a valid checksum."""
    image = File(path)
    for _, sector in both(0, sectors - sectors % PAGE_SECTORS - 2 * PAGE_SECTORS):
        page = bytearray(image.read((start + sector) * SECTOR, PAGE))
        change(page)
        page[8:12] = checksum(page).to_bytes(4, "little")
        image.write((start + sector) * SECTOR, bytes(page))
    os.fsync(image.fd)
    os.close(image.fd)


def main():
    area = Area(File(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
    for block, (slot, states) in sorted(area.remaps().items()):
        unread, lost = (f"{bits:b}" if bits else "-" for bits in (states.unread, states.lost))
        print(block, slot, unread + "?" * states.untried, lost)


if __name__ == "__main__":
    require_guest()
    main()
