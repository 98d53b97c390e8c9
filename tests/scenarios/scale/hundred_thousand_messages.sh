# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="a hundred thousand messages in sequence get the right replies, and kernel memory does not grow"
LONG_MACHINES=uml-smp
TIMEOUT=170

test() {
	make_null_blk main 16
	make_null_blk spare 9
	make_remap r0 32768 "$main" "$spare" 0 16608
	python3 -S - 100000 "$SEED" <<'END'
import random
import sys

from device_mapper import Control

count, chance, control = int(sys.argv[1]), random.Random(int(sys.argv[2])), Control()
remapped, done = set(), {}


def unreclaimable():
    with open("/proc/meminfo") as file:
        return sum(int(line.split()[1]) for line in file if line.startswith(("SUnreclaim:", "VmallocUsed:", "Percpu:")))


before = unreclaimable()
for n in range(count):
    block = chance.randrange(4096)
    verb = chance.choice(("remap", "unremap", "verify"))
    end = control.outcome("r0", f"{verb} {block * 8}")
    if verb == "verify":
        assert ("->" in end) == (block in remapped), end
    elif verb == "unremap":
        assert end == ("unremapped 1" if block in remapped else "ENODATA"), end
        remapped.discard(block)
    elif block in remapped:
        assert end == "EEXIST", end
    elif len(remapped) == 2048:
        assert end == "ENOSPC", end
    else:
        assert end.startswith(f"sector {block * 8} -> spare "), end
        remapped.add(block)
    done[verb] = done.get(verb, 0) + 1
assert [sector // 8 for sector, _, _ in control.remaps("r0")] == sorted(remapped)
growth = unreclaimable() - before
print(done, "growth", growth, "KiB")
assert growth < 4096, f"memory grew by {growth} KiB"
END
}
