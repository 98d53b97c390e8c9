# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="one message makes a million remaps (fewer where memory is watched), which are listed, looked up, read and cleared"
MACHINES="uml uml-debug"
LONG_MACHINES=uml-smp
TIMEOUT=170

# fewer <n>: prints n, or less on machines that check every allocation, where a relocation takes milliseconds.
fewer() {
	case $DM_REMAP_MACHINE in
	uml-debug) echo $(($1 / 10)) ;;
	uml-smp) echo $(($1 / 40)) ;;
	*) echo "$1" ;;
	esac
}

test() {
	# Disks without contents: a million blocks would not fit into memory.
	make_null_blk main 2048 memory_backed=0
	make_null_blk spare 1024 memory_backed=0
	make_remap r0 4194304 "$main" "$spare" 0 2097152 block_size 2 volatile
	python3 -S - "$SEED" "$(fewer 1000000)" "$(fewer 2000)" <<'END'
import random
import sys
import time

from block_io import Disk
from device_mapper import Control

BLOCK, BLOCKS = 2, 2097152
MILLION, SAMPLE = int(sys.argv[2]), int(sys.argv[3])
control, device = Control(), Disk("/dev/mapper/r0")
chance = random.Random(int(sys.argv[1]))
times = {}


def timed(name, call, *arguments):
    began = time.monotonic()
    result = call(*arguments)
    times[name] = round(time.monotonic() - began, 1)
    return result


# Scattered remaps first, so that the message for the million has to skip them.
scattered = {chance.randrange(BLOCKS) for _ in range(SAMPLE)}
for block in scattered:
    assert control.message("r0", f"remap {block * BLOCK}").startswith(f"sector {block * BLOCK} -> spare ")
inside = {block for block in scattered if block < MILLION}
reply = timed("remap", control.message, "r0", f"remap 0 {MILLION * BLOCK}")
assert reply == f"remapped {MILLION - len(inside)} already {len(inside)}", reply
total = MILLION + len(scattered) - len(inside)

places = timed("list", control.remaps, "r0")
wanted = list(range(0, MILLION * BLOCK, BLOCK)) + sorted(block * BLOCK for block in scattered - inside)
assert [sector for sector, _, _ in places] == wanted, "the list"
assert len({place for _, place, _ in places}) == total, "two blocks have one spare block"
assert control.status("r0").startswith(f"{total}/1048576 "), control.status("r0")
where = {sector: place for sector, place, _ in places}
del places

for _ in range(SAMPLE):
    block = chance.randrange(BLOCKS)
    sector = block * BLOCK
    reply = control.message("r0", f"verify {sector + 1}")
    if sector in where:
        assert reply == f"sector {sector} -> spare {where[sector]}", reply
    else:
        assert reply == f"sector {sector + 1} not remapped", reply


def remapped_reads():
    return int(dict(word.split("=") for word in control.message("r0", "stats").split())["remapped_reads"])


before, expected = remapped_reads(), 0
for _ in range(SAMPLE):
    block = chance.randrange(BLOCKS)
    device.read(block * BLOCK, BLOCK)
    expected += block * BLOCK in where
assert remapped_reads() - before == expected, f"{remapped_reads() - before} reads went to the spare, expected {expected}"

for sector in chance.sample(sorted(where), SAMPLE // 4):
    assert control.message("r0", f"unremap {sector}") == "unremapped 1"
    assert control.message("r0", f"verify {sector}") == f"sector {sector} not remapped"
    total -= 1
assert timed("clear", control.message, "r0", "clear") == f"cleared {total}"
assert control.message("r0", "list") == "end"
again = MILLION // 2
reply = timed("remap again", control.message, "r0", f"remap {BLOCK * 1000} {BLOCK * again}")
assert reply == f"remapped {again} already 0", reply
print("seconds:", times)
END
}
