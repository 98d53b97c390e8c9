# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="a disk that refuses all writes and reads well makes main failing within 64 blocks; everything can be read, and relocation is back by itself when the disk takes writes"
MACHINES="uml debian"
LONG_MACHINES=uml-smp
TIMEOUT=120

requires() { need_scsi_disk; }

test() {
	local sense
	make_scsi_disk main 8
	make_null_blk spare 8
	make_remap r0 16384 "$main" "$spare" 0 8192
	# A write-protected disk says so; others report a medium error of each sector, as a read-only range of NVMe.
	for sense in '7 27 0' '3 11 0'; do
		message r0 clear >"$work/output"
		message r0 stats reset
		refuse "$sense"
		# Not at once, as with the success of a write: the disk is probed.
		scsi_works write
		wait_until 31 is_health r0 ok
		expect_equal "$(counter r0 auto_remaps)" 64 "automatic remaps until the disk takes writes again"
		python3 -S - <<'END'
from block_io import Disk, Model, pattern
from device_mapper import Control, settle

control, model = Control(), Model(Disk("/dev/mapper/r0"), 16384)
model.fill("after")
model.check_all("once the disk takes writes again")
settle()
state = control.state("r0")
assert (state["remapped"], state["auto_remaps"], state["health"]) == (64, 64, "ok"), state
END
	done
	# One block that is bad moves, as before.
	scsi_fails write 1 '3 11 0'
	expect_equal "$(block_io write /dev/mapper/r0 8000 8 2)" ok "write of one bad sector"
	scsi_works write
	expect_state r0 "65 0 0 0 ok" "after a write of one bad sector"
	message r0 clear
	block_io check "$main" after 0 8000
	block_io check "$main" 2 8000 8
	block_io check "$main" after 8008 8376
}

# refuse <sense>: makes all writes fail with this sense, and writes with several threads until main is failing.
refuse() {
	block_io fill /dev/mapper/r0 1
	scsi_fails write -1 "$1"
	python3 -S - "$SEED" <<'END'
import collections
import random
import sys

from block_io import Disk, Model, outcome, pattern
from device_mapper import Control, settle
from failing import run_all

WRITERS, BLOCKS = 4, 100
chance, control = random.Random(int(sys.argv[1])), Control()
model = Model(Disk("/dev/mapper/r0"), 16384)
for start in range(0, 16384, 2048):
    model.remember(start, pattern(1, start, 2048))
ends = collections.Counter()


def write(blocks):
    """Writes a sector of each block. Where that fails, the block has its old contents."""
    disk = Disk("/dev/mapper/r0")
    for block in blocks:
        sector = block * 8 + chance.randrange(8)
        data = pattern(2, sector, 1)
        end = outcome(disk.write, sector, data)
        ends[end] += 1
        if end == "ok":
            model.remember(sector, data)
    disk.close()


blocks = chance.sample(range(2048), WRITERS * BLOCKS)
run_all([lambda n=n: write(blocks[n::WRITERS]) for n in range(WRITERS)])
settle()
state = control.state("r0")
print(ends)
assert state["health"] == "failing", state
assert state["auto_remaps"] == state["remapped"] == ends["ok"] == 64, (ends, state)
assert (state["unread"], state["lost"], state["pending"]) == (0, 0, 0), state
model.check_all("while the disk refuses writes")
# Blocks on the spare take writes all the same.
for sector, _, _ in control.remaps("r0"):
    model.write(sector, pattern(3, sector, 8))
model.check_all("while the disk refuses writes")
END
}
