# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="if only one device supports discard, a discard fails or succeeds, and changes no other block"
LONG_MACHINES=uml-smp

test() {
	make_null_blk main 2 discard=1
	make_null_blk spare 2
	make_remap r0 4096 "$main" "$spare" 0 1024
	python3 -S - <<'END'
from block_io import Disk, Model, outcome
from device_mapper import Control

device = Disk("/dev/mapper/r0")
model = Model(device, 4096)
model.fill(1)
Control().message("r0", "remap 64 64")
ends = set()
for start, sectors in ((0, 8), (64, 8), (56, 16), (32, 128)):
    end = outcome(device.discard, start, sectors)
    assert end in ("ok", "ENOTSUP"), end
    ends.add(end)
    # Discarded sectors may hold anything; all others are as before.
    for at in range(start, start + sectors, 8):
        model.remember(at, device.read(at, 8))
    model.check_all(f"discard {start} {sectors}, which ended with {end}")
    model.fill(start)
for start, sectors in ((0, 8), (64, 8), (56, 16), (32, 128)):
    device.zero_out(start, sectors)
    model.remember(start, bytes(sectors * 512))
    model.check_all(f"zeroing {start} {sectors}")
print("discards ended with", ends)
END
}
