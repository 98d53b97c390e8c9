# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="tables replace each other under load, on the same spare area and on others with other block sizes, without loss of data"
MACHINES="uml uml-smp"
TIMEOUT=120

test() {
	make_null_blk main 16
	make_null_blk spare 4
	make_null_blk other 4
	make_remap r0 32768 "$main" "$spare" 0 4096 block_size 8
	verifying_fio /dev/mapper/r0 "$(scaled 6)" &
	local fio=$!
	python3 -S - "$fio" "$main" "$spare" "$other" <<'END'
import os
import random
import sys
import time

from device_mapper import Control
from random_moves import lives

block = 8
fio, (main, *spares) = int(sys.argv[1]), sys.argv[2:]
chance, control, loads = random.Random(int(os.environ["SEED"])), Control(), 0
while lives(fio):
    for _ in range(3):
        control.outcome("r0", f"remap {chance.randrange(32000)} {chance.randrange(1, 700)}")
    if chance.random() < 0.5:
        # The same areas: the new table has the same remaps.
        control.load("r0", f"0 32768 remap {control.table('r0')}")
        kept = control.remaps("r0")
    else:
        block = chance.choice((1, 8, 16, 64))
        control.load("r0", f"0 32768 remap {main} {chance.choice(spares)} 0 4096 3 block_size {block} format")
        # No block may be remapped when the table changes to another spare area.
        control.message("r0", "clear")
        kept = []
    control.suspend("r0")
    control.resume("r0")
    assert control.remaps("r0") == kept, "the remaps in the new table"
    assert control.table("r0").endswith(f"block_size {block}"), control.table("r0")
    assert control.status("r0").split()[3] == str(block), control.status("r0")
    loads += 1
    # Without a pause the load would hardly proceed between two suspends.
    time.sleep(0.1)
assert loads >= 3, loads
print(f"{loads} tables")
END
	wait "$fio" || fail "fio: $(cat "$work/fio")"
	expect_match "$(cat "$work/fio")" 'err= 0' "output of fio"
}
