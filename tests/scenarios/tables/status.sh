# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="the status line has the documented form from an empty table to a full one"
MACHINES="uml debian"
LONG_MACHINES=uml-smp

expect_status() {
	expect_match "$(dmsetup status r0)" "^0 4096 remap $1 ok reads=[0-9]+ writes=[0-9]+ remapped_reads=[0-9]+ remapped_writes=[0-9]+ read_errors=0 write_errors=0 auto_remaps=0 manual_remaps=$2 unremaps=$3 spare_errors=0 unread=0\$" status
}

test() {
	make_null_blk main 4
	make_null_blk spare 1
	make_remap r0 4096 "$main" "$spare" 0 1095
	expect_status '0/128 0 0 8 ok' 0 0
	message r0 remap 0 40
	expect_status '5/128 0 0 8 ok' 5 0
	message r0 unremap 0 8
	expect_status '4/128 0 0 8 ok' 5 1
	message r0 remap 512 992
	expect_status '128/128 0 0 8 spare_full' 129 1
}
