# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="a suspend ends a remap or clear of many blocks with EAGAIN, and blocks that have moved stay moved"
MACHINES="uml uml-smp"

test() {
	make_null_blk main 16
	# A pass takes at least 100 ms.
	make_null_blk spare 16 irqmode=2 completion_nsec=100000000
	make_remap r0 32768 "$main" "$spare" 0 32768 volatile
	block_io fill "$main" 1
	python3 -S - <<'END'
import threading
import time

from device_mapper import Control

control, ends = Control(), {}


def during(text):
    """Suspends in the middle of a message, which has to end with EAGAIN. Returns the remaps after it."""
    mover = threading.Thread(target=lambda: ends.update(end=Control().outcome("r0", text)))
    mover.start()
    before = control.status("r0").split("/")[0]
    # Waits until some blocks have moved.
    while control.status("r0").split("/")[0] == before:
        time.sleep(0.01)
    began = time.monotonic()
    control.suspend("r0")
    took = time.monotonic() - began
    mover.join()
    remaps = control.remaps("r0")
    control.resume("r0")
    assert ends["end"] == "EAGAIN", ends["end"]
    assert took < 10, f"the suspend took {took:.1f} s"
    return remaps


remaps = during("remap 0 32768")
assert 0 < len(remaps) < 4096, len(remaps)
assert [sector for sector, _, _ in remaps] == list(range(0, 8 * len(remaps), 8)), "the remaps are not the first blocks of the range"
assert control.remaps("r0") == remaps
reply = control.message("r0", "remap 0 32768")
assert reply == f"remapped {4096 - len(remaps)} already {len(remaps)}", reply
remaps = during("clear")
assert 0 < len(remaps) < 4096, len(remaps)
assert control.message("r0", "clear") == f"cleared {len(remaps)}"
END
	block_io check /dev/mapper/r0 1
}
