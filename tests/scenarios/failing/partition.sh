# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="on partitions and with main_start, failed writes are relocated to the right sectors, and nothing outside the target changes"
LONG_MACHINES="uml-smp debian"

test() {
	make_null_blk disk 16
	# Main and spare on one disk: partitions at the sectors 2048 and 16384.
	sfdisk -q --label dos --no-reread --no-tell-kernel "$disk" 2>/dev/null <<'END'
start=2048, size=8192, type=83
start=16384, size=8192, type=83
END
	partx -a "$disk"
	local main=${disk}1 spare=${disk}2
	[[ -b $main ]] || main=${disk}p1 spare=${disk}p2
	block_io fill "$disk" outside 2048 30720
	make_remap r0 4000 "$main" "$spare" 8 4000 main_start 1000 format
	block_io fill /dev/mapper/r0 1
	message r0 remap 480 8
	# Sector 243 of the target, in the middle of a write; and a sector of a slot.
	null_blk_set disk badblocks=+3291-3291
	null_blk_set disk badblocks=+16424-16424
	expect_equal "$(block_io write /dev/mapper/r0 232 40 2)" ok "write with a bad sector on main"
	expect_equal "$(counter r0 auto_remaps)" 1 "automatic remaps"
	expect_equal "$(block_io write /dev/mapper/r0 476 20 2)" ok "write with a bad sector on the spare"
	expect_state r0 "2 0 0 0 ok"
	block_io check /dev/mapper/r0 1 0 232
	block_io check /dev/mapper/r0 2 232 40
	block_io check /dev/mapper/r0 1 272 204
	block_io check /dev/mapper/r0 2 476 20
	block_io check /dev/mapper/r0 1 496 3504
	# The disk before, between and behind the two areas.
	block_io check "$disk" outside 2048 1000
	block_io check "$disk" outside 7048 9344
	block_io check "$disk" outside 20392 12376
	remove_mapped r0
	partx -d "$disk"
}
