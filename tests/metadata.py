# SPDX-License-Identifier: GPL-2.0
"""A second reader of the metadata of a spare area, written from docs/metadata-format.md alone.

    metadata.py list IMAGE START SECTORS     prints "<block> <slot> <lost units>" of every remap, in order
"""

import os
import sys

from in_guest import require_guest

SECTOR, PAGE, PAGE_SECTORS, HEADER = 512, 4096, 8, 32
MAGIC = b"dm-remap"
FAILED = (1 << 64) - 1
TURN = 62


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


class Area:
    """Spare area in `image`, which has read(offset, bytes) and write(offset, data)."""

    def __init__(self, image, start, sectors):
        self.image, self.start, self.sectors = image, start, sectors
        self.superblock = self._find()
        body = self.superblock
        self.block_sectors, unit = number(body, 36, 4), number(body, 40, 4)
        self.slots = number(body, 44, 4)
        self.uuid = number(body, 48, 8)
        units = self.block_sectors // unit
        self.entry_bytes = 8 + -(-units // 8)
        self.per_page = (PAGE - HEADER) // self.entry_bytes
        self.pages = 1 + -(-self.slots // self.per_page)
        self.half = self.pages * 2 * PAGE_SECTORS
        self.first_slot = -(-self.half // self.block_sectors) * self.block_sectors

    def read(self, sector):
        return self.image.read((self.start + sector) * SECTOR, PAGE)

    def write(self, sector, page):
        self.image.write((self.start + sector) * SECTOR, page)

    def _find(self):
        # The head only: the tests read no area of which both copies there are bad.
        for sector in 0, PAGE_SECTORS:
            page = self.read(sector)
            if page and page[:8] == MAGIC and number(page, 8, 4) == checksum(page) and number(page, 12, 4) == 0:
                return page
        raise Refused("no superblock in the head")

    def places(self, index):
        """Yields (parity of the generation, sector) of the four places of a page."""
        end = self.sectors - self.sectors % PAGE_SECTORS
        for base in index * 2 * PAGE_SECTORS, end - (index + 1) * 2 * PAGE_SECTORS:
            for odd in 0, 1:
                yield odd, base + odd * PAGE_SECTORS

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
        """Yields (slot, name, bits of lost units) of every slot that is not free, in order."""
        for slot in range(self.slots):
            if slot % self.per_page == 0:
                page = self.page(1 + slot // self.per_page)
            at = HEADER + slot % self.per_page * self.entry_bytes
            name = number(page, at, 8)
            if name:
                yield slot, name, number(page, at + 8, self.entry_bytes - 8)

    def remaps(self):
        """Returns a map from block to (slot, bits of lost units)."""
        found = {}
        for slot, name, lost in self.entries():
            if name == FAILED:
                continue
            turn, block = name >> TURN, (name & (1 << TURN) - 1) - 1
            if block < 0:
                raise Refused(f"slot {slot} has a turn and no block")
            found.setdefault(block, []).append((turn, slot, lost))
        return {block: counting(block, slots) for block, slots in found.items()}

    def change(self, slot, name):
        """Writes another name for a slot to every copy of its page, with a valid checksum."""
        at = HEADER + slot % self.per_page * self.entry_bytes
        for _, sector in self.places(1 + slot // self.per_page):
            page = bytearray(self.read(sector))
            page[at : at + 8] = name.to_bytes(8, "little")
            page[8:12] = checksum(page).to_bytes(4, "little")
            self.write(sector, bytes(page))

    def slot_sector(self, slot):
        """Returns the first sector of a slot on the image."""
        return self.start + self.first_slot + slot * self.block_sectors


def counting(block, slots):
    """Returns (slot, lost) of the entry of a block that counts."""
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
    area = Area(image, start, sectors)
    for _, sector in area.places(0):
        page = bytearray(area.read(sector))
        change(page)
        page[8:12] = checksum(page).to_bytes(4, "little")
        area.write(sector, bytes(page))
    os.fsync(image.fd)
    os.close(image.fd)


def main():
    area = Area(File(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
    for block, (slot, lost) in sorted(area.remaps().items()):
        print(block, slot, f"{lost:b}" if lost else "-")


if __name__ == "__main__":
    require_guest()
    main()
