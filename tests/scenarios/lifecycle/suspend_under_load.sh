# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="suspend and resume under load, while blocks move, are prompt and lose no data"
MACHINES="uml uml-smp"
TIMEOUT=120

test() {
	make_null_blk main 16
	make_null_blk spare 4
	make_remap r0 32768 "$main" "$spare" 0 4096
	verifying_fio /dev/mapper/r0 "$(scaled 6)" &
	local fio=$!
	python3 -S - "$fio" <<'END'
import os
import random
import sys
import threading
import time

from device_mapper import Control
from random_moves import lives

fio = int(sys.argv[1])
chance = random.Random(int(os.environ["SEED"]))
ends = {}


def move():
    control, chance = Control(), random.Random(2)
    while lives(fio):
        end = control.outcome("r0", f"{chance.choice(('remap', 'unremap'))} {chance.randrange(32000)} {chance.randrange(1, 700)}")
        end = end.split(" ")[0]
        assert end in ("sector", "remapped", "unremapped", "EEXIST", "ENODATA", "ENOSPC", "EAGAIN"), end
        ends[end] = ends.get(end, 0) + 1


mover = threading.Thread(target=move)
mover.start()
control, suspends, longest = Control(), 0, 0
while lives(fio):
    time.sleep(chance.random() / 50)
    began = time.monotonic()
    control.suspend("r0", flush=chance.random() < 0.7)
    longest = max(longest, time.monotonic() - began)
    # Messages to a suspended device move nothing.
    assert control.outcome("r0", "remap 0") == "EAGAIN"
    assert control.outcome("r0", "clear") == "EAGAIN"
    assert control.message("r0", "ping") == "pong"
    control.resume("r0")
    suspends += 1
mover.join()
assert ends and suspends >= 3, (ends, suspends)
assert longest < 20, f"a suspend took {longest} s"
print(f"{suspends} suspends, the longest {longest:.3f} s; moves: {ends}")
END
	wait "$fio" || fail "fio: $(cat "$work/fio")"
	expect_match "$(cat "$work/fio")" 'err= 0' "output of fio"
}
