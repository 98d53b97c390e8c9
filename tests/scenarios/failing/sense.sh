# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="every SCSI sense with which disks report a bad sector relocates on write and makes the block pending on read"
MACHINES="uml debian"
LONG_MACHINES=uml-smp
TIMEOUT=180

requires() { need_scsi_disk; }

# Sense keys, codes and qualifiers: unrecovered read error and its automatic reallocation failed, record not found,
# ID and data mark; write error, write fault, peripheral device write fault; no defect spare location; ATA device
# fault; ATA ID not found.
bad_sectors=("3 11 0" "3 11 4" "3 14 1" "3 13 0" "3 c 0" "3 3 0" "4 3 0" "4 32 0" "4 44 0" "5 21 0")

test() {
	local sense sector=0 remapped=0
	make_scsi_disk disk 8
	make_null_blk spare 4
	make_remap r0 16384 "$disk" "$spare" 0 8192
	block_io fill /dev/mapper/r0 1
	for sense in "${bad_sectors[@]}"; do
		sector=$((sector + 80)) remapped=$((remapped + 1))
		scsi_fails write -1 "$sense"
		expect_equal "$(block_io write /dev/mapper/r0 $sector 8 2)" ok "write of a sector with sense $sense"
		scsi_works write
		expect_state r0 "$remapped 0 0 ok" "after a write with sense $sense"
		block_io check /dev/mapper/r0 2 $sector 8
	done
	for sense in "${bad_sectors[@]}"; do
		sector=$((sector + 80))
		scsi_fails read -1 "$sense"
		expect_match "$(block_io read /dev/mapper/r0 $sector 8)" '^E' "read of a sector with sense $sense"
		scsi_works read
		expect_state r0 "$remapped 0 1 degraded" "after a read with sense $sense"
		message r0 retry
		expect_state r0 "$remapped 0 0 ok" "once it can be read again"
	done
}
