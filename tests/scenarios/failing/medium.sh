# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="medium errors of a SCSI disk relocate blocks and leave sectors unread, which retry brings back; transport errors mark nothing"
MACHINES="uml uml-debug debian"
LONG_MACHINES=uml-smp
TIMEOUT=120

requires() { need_scsi_disk; }

test() {
	make_scsi_disk main 8
	make_null_blk spare 1
	make_remap r0 4096 "$main" "$spare" 0 1600
	block_io fill /dev/mapper/r0 1
	# A medium error relocates at once, without a retry: only one write of the disk fails here.
	scsi_fails write 1 '3 11 0'
	expect_equal "$(block_io write /dev/mapper/r0 80 8 2)" ok "write with a medium error"
	scsi_works write
	expect_state r0 "1 0 0 0 ok" "after a medium error"
	expect_equal "$(counter r0 auto_remaps)" 1 "automatic remaps"
	block_io check /dev/mapper/r0 2 80 8

	scsi_unreadable 163 2
	expect_match "$(block_io read /dev/mapper/r0 163 1)" '^(EIO|ENODATA)$' "read with a medium error"
	expect_state r0 "1 0 0 1 degraded" "after a read with a medium error"
	expect_equal "$(block_io write /dev/mapper/r0 164 1 2)" ok "write of a pending block"
	expect_state r0 "2 1 0 0 degraded" "after the write"
	expect_equal "$(block_io unreadable /dev/mapper/r0 160 8)" 163 "unread sectors"
	scsi_unreadable 0 0
	expect_equal "$(block_io unreadable /dev/mapper/r0 160 8)" 163 "unread sectors, once main can be read"
	expect_reply 'cleared 0 pending 0 unread 0' r0 retry
	block_io check /dev/mapper/r0 1 160 4
	expect_equal "$(block_io write /dev/mapper/r0 163 1 2)" ok "write of the sector that was unread"
	expect_state r0 "2 0 0 0 ok" "at the end"

	# A transport error is not the medium's: it fails for the caller, and marks nothing.
	scsi_fails write -1 transport
	expect_match "$(block_io write /dev/mapper/r0 240 8 3)" '^(ENOLINK|EIO)$' "write with a transport error"
	scsi_works write
	expect_state r0 "2 0 0 0 ok" "after a transport error"
	expect_equal "$(counter r0 auto_remaps)" 2 "automatic remaps after a transport error"
	expect_equal "$(block_io write /dev/mapper/r0 240 8 3)" ok "write once the transport works"
	expect_match "$(message r0 verify 240)" 'not remapped' "a block with a transport error"
	block_io check /dev/mapper/r0 3 240 8
	expect_match "$(counter r0 write_errors)" '^[1-9]' write_errors
	remove_mapped r0
	make_remap r0 4096 "$main" "$spare" 0 1600
	block_io check /dev/mapper/r0 2 80 8
	block_io check /dev/mapper/r0 3 240 8
	remove_mapped r0
}
