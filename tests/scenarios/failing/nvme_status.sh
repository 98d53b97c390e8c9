# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="every NVMe status with which disks report a bad sector relocates on write and makes the block pending on read; one of the path or of resources marks nothing, and the return of the disk is noticed"
MACHINES=uml-debug
LONG_MACHINES=uml-smp
TIMEOUT=120

requires() { need_nvme_disk; }

# These are: write fault; unrecovered read error; guard, application tag and reference tag check error; access denied;
# deallocated or unwritten block; attempted write to read only range; LBA out of range; internal error.
bad_sectors=(280 281 282 283 284 286 287 182 80 6)

# Statuses whose kind alone says that they are not about a sector: path error of the host, reservation conflict,
# capacity exceeded, invalid field, invalid opcode.
never=(370 83 81 2 1)

# The path, the controller, or the whole disk: the path statuses; command aborted by the host or with its queue; power
# loss, internal error; namespace not ready, format in progress; command interrupted, transient transport error.
path=(300 301 302 303 360 370 371 7 8 5 6 82 84 21 22)

test() {
	local status sector=8192 remapped=0
	make_null_blk below 4
	make_null_blk other 4
	make_null_blk spare 8
	make_nvme_disk disk "$below"
	# All commands to the NVMe disk fail, and it is that part of main which is bad.
	make_mapped main "0 8192 linear $other 0" "8192 8192 linear $disk 0"
	make_remap r0 16384 /dev/mapper/main "$spare" 0 8192
	block_io fill /dev/mapper/r0 1
	for status in "${bad_sectors[@]}"; do
		sector=$((sector + 80)) remapped=$((remapped + 1))
		nvme_fails write "$status"
		expect_equal "$(block_io write /dev/mapper/r0 $sector 8 2)" ok "write of a sector with status $status"
		nvme_works
		expect_state r0 "$remapped 0 0 0 ok" "after a write with status $status"
		block_io check /dev/mapper/r0 2 $sector 8
	done
	for status in "${bad_sectors[@]}"; do
		sector=$((sector + 80))
		nvme_fails read "$status"
		expect_match "$(block_io read /dev/mapper/r0 $sector 8)" '^E' "read of a sector with status $status"
		reaches_state r0 "$remapped 0 0 1 degraded" "after a read with status $status"
		nvme_works
		message r0 retry >"$work/output"
		expect_state r0 "$remapped 0 0 0 ok" "once it can be read again"
	done
	for status in "${never[@]}"; do
		sector=$((sector + 80))
		nvme_fails all "$status"
		expect_match "$(block_io write /dev/mapper/r0 $sector 8 3)" '^E' "write with status $status"
		expect_match "$(block_io read /dev/mapper/r0 $sector 8)" '^E' "read with status $status"
		nvme_works
		expect_state r0 "$remapped 0 0 0 ok" "after status $status"
		expect_equal "$(block_io write /dev/mapper/r0 $sector 8 1)" ok "write after status $status"
	done
	# What no error has concerned, and what was written on good and bad sectors.
	block_io check /dev/mapper/r0 1 0 8272
	block_io check /dev/mapper/r0 1 $((8192 + 80 * (remapped + 1))) $((8192 - 80 * (remapped + 1)))

	# A disk that answers every command so is not bad, but out of reach.
	make_remap r1 8192 "$disk" "$spare" 8192 8192
	block_io fill /dev/mapper/r1 4
	for status in "${path[@]}"; do
		nvme_fails all "$status"
		expect_match "$(block_io write /dev/mapper/r1 80 8 5)" '^E' "write with status $status"
		expect_match "$(block_io read /dev/mapper/r1 160 8)" '^E' "read with status $status"
		expect_match "$(block_io read /dev/mapper/r1 800 80)" '^E' "long read with status $status"
		wait_until 20 is_health r1 outage
		nvme_works
		reaches_state r1 "0 0 0 0 ok" "when main answers again after status $status"
	done
	expect_equal "$(counter r1 auto_remaps)" 0 "automatic remaps"
	expect_equal "$(block_io write /dev/mapper/r1 80 8 4)" ok "write at the end"
	block_io check /dev/mapper/r1 4
}
