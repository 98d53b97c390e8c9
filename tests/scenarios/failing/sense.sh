# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="every SCSI sense with which disks report a bad sector relocates on write and makes the block pending on read; if the whole disk answers with a sense of the path, nothing is marked, and its return is noticed"
MACHINES="uml debian"
LONG_MACHINES=uml-smp
TIMEOUT=180

requires() { need_scsi_disk; }

# Sense keys, codes and qualifiers: unrecovered read error and its automatic reallocation failed, record not found,
# ID and data mark; write error, write fault, peripheral device write fault; no defect spare location; ATA device
# fault; ATA ID not found.
bad_sectors=("3 11 0" "3 11 4" "3 14 1" "3 13 0" "3 c 0" "3 3 0" "4 3 0" "4 32 0" "4 44 0" "5 21 0")

# Sense of the path to a disk: aborted command, CRC error of the interface, not ready.
path=("b 0 0" "b 47 3" "2 4 3")

test() {
	local sense sector=8192 remapped=0
	make_scsi_disk disk 8
	make_null_blk other 4
	make_null_blk spare 8
	# All commands to the SCSI disk fail, and it is that part of main which is bad.
	make_mapped main "0 8192 linear $other 0" "8192 8192 linear $disk 0"
	make_remap r0 16384 /dev/mapper/main "$spare" 0 8192
	block_io fill /dev/mapper/r0 1
	for sense in "${bad_sectors[@]}"; do
		sector=$((sector + 80)) remapped=$((remapped + 1))
		scsi_fails write -1 "$sense"
		expect_equal "$(block_io write /dev/mapper/r0 $sector 8 2)" ok "write of a sector with sense $sense"
		scsi_works write
		expect_state r0 "$remapped 0 0 0 ok" "after a write with sense $sense"
		block_io check /dev/mapper/r0 2 $sector 8
	done
	for sense in "${bad_sectors[@]}"; do
		sector=$((sector + 80))
		scsi_fails read -1 "$sense"
		expect_match "$(block_io read /dev/mapper/r0 $sector 8)" '^E' "read of a sector with sense $sense"
		reaches_state r0 "$remapped 0 0 1 degraded" "after a read with sense $sense"
		scsi_works read
		message r0 retry
		expect_state r0 "$remapped 0 0 0 ok" "once it can be read again"
	done

	# A disk that answers every command so is not bad, but out of reach.
	make_remap r1 8192 "$disk" "$spare" 8192 8192
	block_io fill /dev/mapper/r1 3
	for sense in "${path[@]}"; do
		scsi_fails write -1 "$sense"
		scsi_fails read -1 "$sense"
		expect_match "$(block_io write /dev/mapper/r1 80 8 4)" '^E' "write with sense $sense"
		expect_match "$(block_io read /dev/mapper/r1 160 8)" '^E' "read with sense $sense"
		expect_match "$(block_io read /dev/mapper/r1 800 80)" '^E' "long read with sense $sense"
		wait_until 20 is_health r1 outage
		scsi_works write
		scsi_works read
		reaches_state r1 "0 0 0 0 ok" "when main answers again after sense $sense"
	done
	block_io write /dev/mapper/r1 80 8 3
	block_io check /dev/mapper/r1 3
}
