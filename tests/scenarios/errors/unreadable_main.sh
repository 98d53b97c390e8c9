# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="remap marks unreadable sectors of main as unread: they fail with EIO until they are written or main can read them, and are on main again after unremap"
MACHINES="uml uml-debug debian"
LONG_MACHINES=uml-smp

test() {
	make_null_blk main 2
	make_null_blk spare 1
	block_io fill "$main" 1
	null_blk_set main badblocks=+83-84
	null_blk_set main badblocks=+800-815
	make_remap r0 4096 "$main" "$spare" 0 1024
	expect_equal "$(health r0)" ok "health"
	expect_reply 'sector 80 -> spare 32' r0 remap 80
	expect_missing r0 2 0 "after remap"
	expect_equal "$(health r0)" degraded health
	expect_equal "$(message r0 list)" $'80 32 unread\nend' list
	# Two unreadable blocks and a readable one.
	expect_reply 'remapped 3 already 0' r0 remap 800 24
	expect_missing r0 18 0 "after remap of a range"
	expect_refused_at_once r0 "$main" 83 84 800 815
	python3 -S - <<'END'
from block_io import Disk, Model, expect, outcome, pattern
from device_mapper import Control, settle

control, device = Control(), Disk("/dev/mapper/r0")
model = Model(device, 4096)
model.remember(0, pattern(1, 0, 4096))
unread = {83, 84, *range(800, 816)}


def check():
    for sector in range(72, 96):
        end = outcome(model.check, sector, 1)
        assert end == ("EIO" if sector in unread else "ok"), f"sector {sector}: {end}"
    for sector in range(792, 832):
        end = outcome(model.check, sector, 1)
        assert end == ("EIO" if sector in unread else "ok"), f"sector {sector}: {end}"
    state = control.state("r0")
    assert (state["unread"], state["lost"]) == (len(unread), 0), f"{state}, expected {len(unread)} unread sectors"


check()
assert outcome(device.read, 80, 8) == "EIO", "a read that spans unread sectors"
assert outcome(device.read, 64, 32) == "EIO", "a read that spans blocks, one with unread sectors"
# What has contents cannot be written to main where main is bad next to it, or else goes there; what is unread stays
# as it is on main.
assert control.outcome("r0", "unremap 80") == "unremapped 1", "unremap with unread sectors"
assert outcome(device.read, 83, 1) == "EIO", "a bad sector of main"
assert control.outcome("r0", "remap 80").startswith("sector 80 -> spare "), "another remap"
settle()
check()
# A write makes sectors readable again: one of them, and some in the middle of others.
model.write(83, pattern(2, 83, 1))
unread.remove(83)
check()
model.write(84, pattern(2, 84, 3))
unread.remove(84)
check()
model.check(80, 8)
model.write(796, pattern(3, 796, 10))
unread -= set(range(800, 806))
check()
device.zero_out(806, 6)
model.remember(806, bytes(6 * 512))
unread -= set(range(806, 812))
check()
# A discard leaves undefined contents, so an unread sector may stay unread; only a write has to make it readable.
model.write(812, pattern(4, 812, 4))
unread.clear()
check()
assert not any(flags != "-" for _, _, flags in control.remaps("r0")), "flags"
model.check_all()
END
	expect_equal "$(health r0)" ok "health after the writes"
	expect_match "$(counter r0 read_errors)" '^[1-9]' read_errors
	# Main is still bad there: the blocks stay on the spare, with their data.
	expect_errno EIO message r0 unremap 800
	null_blk_set main badblocks=-83-84
	null_blk_set main badblocks=-800-815
	# Block 816 has moved back with the clear that failed, or moves back now.
	message r0 clear
	expect_equal "$(message r0 list)" end list
	block_io check /dev/mapper/r0 1 0 80
	block_io check /dev/mapper/r0 4 812 4
}
