# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="a long list comes in pages of any size, without gaps and without duplicates"
MACHINES="uml debian"
LONG_MACHINES=uml-smp

test() {
	make_null_blk main 16
	make_null_blk spare 8
	make_remap r0 32768 "$main" "$spare" 0 16384 block_size 1
	python3 -S - "$(scaled 6000)" "$SEED" <<'END'
import random
import sys

from device_mapper import Control

count, chance, control = int(sys.argv[1]), random.Random(int(sys.argv[2])), Control()
wanted = sorted(chance.sample(range(32768), count))
for sector in wanted:
    control.message("r0", f"remap {sector}")
for page in (None, 1, 2, 100, 1000, 10**9):
    found = [sector for sector, _, _ in control.remaps("r0", page)]
    assert found == wanted, f"pages of {page}: {len(found)} of {count}"
for _ in range(50):
    start, most = chance.randrange(32768), chance.randrange(1, 50)
    lines = control.message("r0", f"list {start} {most}").split("\n")
    rest = [sector for sector in wanted if sector >= start]
    assert [int(line.split()[0]) for line in lines[:-1]] == rest[:most], lines
    assert lines[-1] == (f"more {rest[most]}" if len(rest) > most else "end"), lines[-1]
assert control.message("r0", f"list 0 0") == f"more {wanted[0]}"
END
	# A page has its lines and the line that tells where the next page begins.
	expect_match "$(message r0 list 0 3 | tail -n 1)" '^more [0-9]+$' "last line"
	expect_equal "$(message r0 list 0 3 | wc -l)" 4 "lines"
}
