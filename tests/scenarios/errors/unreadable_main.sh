# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="remap marks unreadable sectors of main as lost: they fail with EIO until they are written, and the block stays on the spare until then"
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
	expect_equal "$(status_word r0 2)" 2 "lost sectors"
	expect_equal "$(health r0)" degraded health
	expect_equal "$(message r0 list)" $'80 32 lost\nend' list
	# Two unreadable blocks and a readable one.
	expect_reply 'remapped 3 already 0' r0 remap 800 24
	expect_equal "$(status_word r0 2)" 18 "lost sectors"
	python3 -S - <<'END'
from block_io import Disk, Model, expect, outcome, pattern
from device_mapper import Control

control, device = Control(), Disk("/dev/mapper/r0")
model = Model(device, 4096)
model.remember(0, pattern(1, 0, 4096))
lost = {83, 84, *range(800, 816)}


def check():
    for sector in range(72, 96):
        end = outcome(model.check, sector, 1)
        assert end == ("EIO" if sector in lost else "ok"), f"sector {sector}: {end}"
    for sector in range(792, 832):
        end = outcome(model.check, sector, 1)
        assert end == ("EIO" if sector in lost else "ok"), f"sector {sector}: {end}"
    found = int(control.status("r0").split()[1])
    assert found == len(lost), f"{found} lost sectors, expected {len(lost)}"


check()
assert outcome(device.read, 80, 8) == "EIO", "a read that spans lost sectors"
assert outcome(device.read, 64, 32) == "EIO", "a read that spans blocks, one with lost sectors"
for sector in (80, 800):
    assert control.outcome("r0", f"unremap {sector}") == "EIO", "unremap with lost sectors"
assert control.outcome("r0", "clear") == "EIO", "clear with lost sectors"
assert [sector for sector, _, _ in control.remaps("r0")][:1] == [80]
check()
# A write makes sectors readable again: one of them, and some in the middle of others.
model.write(83, pattern(2, 83, 1))
lost.remove(83)
check()
model.write(84, pattern(2, 84, 3))
lost.remove(84)
check()
model.check(80, 8)
model.write(796, pattern(3, 796, 10))
lost -= set(range(800, 806))
check()
device.zero_out(806, 6)
model.remember(806, bytes(6 * 512))
lost -= set(range(806, 812))
check()
# A discard leaves undefined contents, so a lost sector may stay lost; only a write has to make it readable.
model.write(812, pattern(4, 812, 4))
lost.clear()
check()
assert not any(flags == "lost" for _, _, flags in control.remaps("r0")), "flags"
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
