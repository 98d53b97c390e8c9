# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="the SCSI disk of the tests fails chosen sectors for reads and the next writes, with medium and transport errors"
MACHINES="uml debian"
LONG_MACHINES=uml-smp
TIMEOUT=90

requires() { need_scsi_disk; }

test() {
	make_scsi_disk disk 8
	block_io fill "$disk" 1 0 2048
	scsi_unreadable 80 2
	expect_equal "$(block_io read "$disk" 80 1) $(block_io read "$disk" 72 16) $(block_io read "$disk" 82 1)" \
		"ENODATA ENODATA ok" "reads with a medium error"
	scsi_unreadable 0 0
	block_io check "$disk" 1 0 2048
	scsi_fails write 2 '3 11 0'
	expect_equal "$(block_io write "$disk" 8 8 2) $(block_io write "$disk" 8 8 2) $(block_io write "$disk" 8 8 1)" \
		"ENODATA ENODATA ok" "writes with a medium error"
	scsi_works write
	scsi_fails write -1 transport
	expect_equal "$(block_io write "$disk" 8 8 2) $(block_io write "$disk" 8 8 2)" "ENOLINK ENOLINK" "writes with a transport error"
	scsi_works write
	block_io check "$disk" 1 0 2048
}
