# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck source=tests/stress.sh
. "$tests/stress.sh"

TIMEOUT=180
DESCRIPTION="a remap-heavy test loses no sector of a disk with bad sectors, and leaves the remaps of users alone"

# Bad sectors all over the disk: the test may not make them lost sectors.
bad_sectors() {
	local before sector
	make_null_blk main 8
	make_null_blk spare 4
	block_io fill "$main" 7
	before=$(checksum "$main")
	for ((sector = 3; sector < 16384; sector += 64)); do
		null_blk_set main badblocks=+$sector-$sector
	done
	make_remap bad 16384 "$main" "$spare" 0 8192
	stress_write set_target bad
	run_stress 5 2 3000
	(($(counter bad manual_remaps) > 60)) || fail 'hardly any block was remapped'
	expect_missing bad 0 0
	expect_equal "$(message bad list)" end 'remaps after the test'
	[[ $(report_value stress_test_results 'Failure Reason') != *remaps\ or\ unremaps* ]] ||
		fail 'an unreadable block is reported as a failed remap'
	remove_mapped bad
	for ((sector = 3; sector < 16384; sector += 64)); do
		null_blk_set main badblocks=-$sector-$sector
	done
	expect_equal "$(checksum "$main")" "$before" contents
}

# remapped <n>: prints the first sector of the n-th remapped block, if there is one.
remapped() {
	message stress list | sed -n "$1{s/ .*//p}"
}

# may_fail <command>...: runs a command of a user, which may fail since the test moves the block as well.
may_fail() {
	"$@" >/dev/null 2>&1 || :
}

# A user's message for a block that the test has remapped makes it a remap of the user.
users_blocks() {
	local contents users=() sector n
	make_stress_device
	stress_write set_target stress
	contents=$(checksum /dev/mapper/stress)
	message stress remap 65528 >/dev/null
	users=(65528)
	# A low rate, so that messages do not wait for long.
	stress_write stress_test_adjust rate_iops=200
	stress_write stress_test_start '5 2 600000'
	sleep 0.5
	for ((n = 0; n < $(scaled 12); n++)); do
		sector=$(remapped $((RANDOM % 20 + 1)))
		[[ $sector =~ ^[0-9]+$ ]] || continue
		((n % 3)) || may_fail message stress unremap "$sector"
		may_fail message stress remap "$sector"
		users+=("$sector")
	done
	((${#users[@]} > 2)) || fail 'no message was for a block of the test'
	stress_write stress_test_stop 1
	expect_equal "$(message stress list | sed '$d; s/ .*//')" \
		"$(printf '%s\n' "${users[@]}" | sort -nu)" "the user's remaps"
	expect_equal "$(checksum /dev/mapper/stress)" "$contents" contents
	message stress clear >/dev/null
}

test() {
	bad_sectors
	users_blocks
}
