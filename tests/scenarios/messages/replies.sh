# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="every message has its documented reply and errno"
MACHINES="uml uml-debug debian"
LONG_MACHINES=uml-smp

test() {
	make_loop main 8M
	make_loop spare 1M
	make_remap r0 16384 "$main" "$spare" 64 320 # 32 blocks
	expect_reply pong r0 ping
	expect_reply 'sector 100 not remapped' r0 verify 100
	expect_reply 'sector 96 -> spare 96' r0 remap 100
	expect_reply 'sector 96 -> spare 96' r0 verify 103
	expect_reply 'sector 104 not remapped' r0 verify 104
	expect_errno EEXIST message r0 remap 96
	expect_errno EEXIST message r0 remap 101 2
	expect_errno ENODATA message r0 unremap 8
	expect_errno ENODATA message r0 unremap 8 8

	# A range includes every block of which it has a sector.
	expect_reply 'remapped 2 already 1' r0 remap 95 10
	expect_reply 'remapped 0 already 3' r0 remap 95 10
	expect_equal "$(message r0 list)" $'88 104 -\n96 96 -\n104 112 -\nend' "list"
	expect_equal "$(message r0 list 89)" $'88 104 -\n96 96 -\n104 112 -\nend' "list from within a block"
	expect_equal "$(message r0 list 96 1)" $'96 96 -\nmore 104' "list of one"
	expect_equal "$(message r0 list 96 2)" $'96 96 -\n104 112 -\nend' "list of two"
	expect_equal "$(message r0 list 112)" end "list of none"
	expect_reply 'unremapped 2' r0 unremap 90 8
	expect_reply 'unremapped 1' r0 unremap 0 16384
	expect_reply 'unremapped 0' r0 unremap 0 16384
	expect_equal "$(message r0 list)" end "list of an empty table"

	expect_reply 'remapped 4 already 0' r0 remap 16352 32
	expect_reply 'cleared 4' r0 clear
	expect_reply 'cleared 0' r0 clear

	# The same with dmsetup.
	expect_match "$(dmsetup message r0 0 remap 8)" '^sector 8 -> spare [0-9]+$' "reply printed by dmsetup"
	expect_errno EEXIST dmsetup message r0 0 remap 8
	expect_errno EINVAL dmsetup message r0 0 remap x
	expect_match "$(dmsetup status r0)" '^0 16384 remap 1/32 0 0 8 ok ok reads=' "dmsetup status"
}
