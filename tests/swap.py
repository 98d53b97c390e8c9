# SPDX-License-Identifier: GPL-2.0
"""Swap on the remap device r0 over the null_blk disk main, of which some blocks are bad.

    swap.py mend SEED TURN BLOCKS COUNT     mends what was bad in the turn before
    swap.py spoil SEED TURN BLOCKS COUNT    makes so many blocks of the disk bad, others in each turn
    swap.py hog SEED MIB                    uses so much memory, and compares its contents with a model
    swap.py check                           checks that what was bad was relocated
"""

import mmap
import random
import sys

from device_mapper import Control, settle
from failing import NullBlk
from in_guest import require_guest

PAGE = 4096


def bad_blocks(seed, blocks, count):
    """Returns blocks of the disk, but none of its first and last MiB: swapon reads a label there."""
    return random.Random(seed).sample(range(256, blocks - 256), count)


def mend(seed, turn, blocks, count):
    """Mends the bad blocks of the turn before, and has everything on main again."""
    disk = NullBlk("main")
    if turn > 0:
        disk.bad = {block * 8 + n for block in bad_blocks(seed + turn - 1, blocks, count) for n in range(8)}
        disk.mend_all()
    end = Control().message("r0", "clear")
    assert end.startswith("cleared "), end


def spoil(seed, turn, blocks, count):
    """Makes other blocks bad than in the turn before."""
    disk = NullBlk("main")
    for block in bad_blocks(seed + turn, blocks, count):
        disk.spoil(block * 8, 8)
    Control().message("r0", "stats reset")


def hog(seed, mib):
    """Fills memory, more of it than there is, and compares each page in several random orders."""
    chance, count = random.Random(seed), mib * 256
    versions = [0] * count
    with mmap.mmap(-1, count * PAGE) as memory:

        def contents(page):
            return (seed << 64 | page << 32 | versions[page]).to_bytes(16, "little") * (PAGE // 16)

        for page in range(count):
            memory[page * PAGE : (page + 1) * PAGE] = contents(page)
        for turn in (1, 2):
            start, step = chance.randrange(count), chance.choice((1, 1, 7, 4099))
            for n in range(count):
                page = (start + n * step) % count
                found, wanted = memory[page * PAGE : (page + 1) * PAGE], contents(page)
                assert found == wanted, f"page {page} is {found[:16].hex()}, expected {wanted[:16].hex()}"
                if chance.random() < 0.3:
                    versions[page] = turn
                    memory[page * PAGE : (page + 1) * PAGE] = contents(page)


def check():
    """Checks that everything was relocated."""
    settle()
    state = Control().state("r0")
    print(f"{state['writes']} writes, {state['write_errors']} failed, {state['auto_remaps']} blocks were relocated")
    assert state["auto_remaps"] > 50, state
    assert (state["unread"], state["lost"], state["pending"], state["health"]) == (0, 0, 0, "ok"), state


if __name__ == "__main__":
    require_guest()
    command, *numbers = sys.argv[1:]
    {"mend": mend, "spoil": spoil, "hog": hog, "check": check}[command](*map(int, numbers))
