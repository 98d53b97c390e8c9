# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="a large write fails when spares run out, moved blocks keep working, and freed spares are used"
LONG_MACHINES="uml-smp debian"

test() {
	local bad
	make_null_blk main 2
	make_null_blk spare 1
	make_remap r0 4096 "$main" "$spare" 0 224 # 20 blocks
	block_io fill /dev/mapper/r0 1
	expect_reply 'remapped 10 already 0' r0 remap 0 80
	# Thirty blocks of one write are bad, and ten spares are left.
	for ((bad = 2048; bad < 2048 + 30 * 16; bad += 16)); do
		null_blk_set main badblocks="+$bad-$bad"
	done
	expect_match "$(block_io write /dev/mapper/r0 2048 1024 2)" '^(EIO|ENOSPC)$' "write that needs more spares than there are"
	# Each sector has the old or the new contents, or cannot be read because main is bad.
	python3 -S - <<'END'
from block_io import Disk, pattern, unreadable
from device_mapper import Control

disk = Disk("/dev/mapper/r0")
moved = {sector for sector, _, _ in Control().remaps("r0")}
bad = {sector for sector in range(2048, 2048 + 480, 16)}
for sector in unreadable(disk, 2048, 1024):
    assert sector in bad - moved, f"sector {sector} cannot be read"
for sector in range(2048, 3072):
    if sector in bad - moved:
        continue
    data = disk.read(sector, 1)
    assert data in (pattern(1, sector, 1), pattern(2, sector, 1)), f"sector {sector} is neither old nor new"
assert moved <= bad | set(range(80)), moved - bad
END
	# Writes of single blocks use up the spares.
	for ((bad = 2048; bad < 2048 + 30 * 16; bad += 16)); do
		block_io write /dev/mapper/r0 $bad 1 2 >/dev/null
	done
	expect_equal "$(status_word r0 1) $(health r0)" "20/20 spare_full" "spares and health"
	expect_equal "$(counter r0 auto_remaps)" 10 "automatic remaps"
	# Repeated failures of a block that cannot be relocated do not trip the breaker.
	python3 -S - <<'END'
from block_io import Disk, outcome, pattern

disk = Disk("/dev/mapper/r0")
ends = {outcome(disk.write, 2512, pattern(2, 2512, 1)) for _ in range(100)}
assert ends == {"EIO"}, ends
END
	expect_equal "$(health r0)" spare_full "health after a hundred writes that cannot be relocated"
	block_io check /dev/mapper/r0 1 0 2048
	block_io check /dev/mapper/r0 1 3072 1024
	# Remapped blocks keep working, and so do good blocks on main.
	expect_equal "$(block_io write /dev/mapper/r0 0 80 3)" ok "write of remapped blocks"
	expect_equal "$(block_io write /dev/mapper/r0 3072 1024 3)" ok "write of main"
	block_io check /dev/mapper/r0 3 0 80
	block_io check /dev/mapper/r0 3 3072 1024
	local left
	left=$(block_io unreadable /dev/mapper/r0 2048 480)
	expect_equal "$(wc -w <<<"$left")" 20 "bad sectors that are still on main"
	left=${left##* }
	expect_match "$(block_io write /dev/mapper/r0 "$left" 1 3)" '^(EIO|ENOSPC)$' "write of a bad sector without spares"
	expect_errno ENOSPC message r0 bad 3000

	# Once spares are free again, the next write is relocated.
	expect_reply 'unremapped 10' r0 unremap 0 80
	expect_equal "$(block_io write /dev/mapper/r0 "$left" 1 3)" ok "write of a bad sector with spares"
	expect_equal "$(status_word r0 1)" 11/20 "spares"
	for ((bad = 2048; bad < 2048 + 30 * 16; bad += 16)); do
		null_blk_set main badblocks="-$bad-$bad"
	done
	message r0 retry
	block_io fill /dev/mapper/r0 4
	block_io check /dev/mapper/r0 4
	remove_mapped r0
	make_remap r0 4096 "$main" "$spare" 0 224
	block_io check /dev/mapper/r0 4
	message r0 clear
	block_io check "$main" 4 0 4096
}
