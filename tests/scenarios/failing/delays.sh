# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck source=tests/stress.sh
. "$tests/stress.sh"

DESCRIPTION="stats tells how long relocations took and bios waited for their block, and the results of a stress test tell it of the test"

requires() { need_target flakey; }

# stat_of <key>: prints the value of a key of the message stats.
stat_of() {
	local word
	for word in $(message r0 stats); do
		[[ $word == "$1="* ]] && {
			echo "${word#*=}"
			return
		}
	done
	fail "no $1 in stats"
}

# expect_between <low> <found> <high> <name>
expect_between() { (($1 <= $2 && $2 <= $3)) || fail "$4 is $2, expected $1 to $3"; }

# A request to the spare takes so many microseconds.
slow=100000

test() {
	local waiting
	make_null_blk disk 2
	make_null_blk spare 1 irqmode=2 completion_nsec=${slow}000
	make_segments main "$disk"
	make_remap r0 4096 /dev/mapper/main "$spare" 0 1600
	block_io fill /dev/mapper/r0 1
	expect_match "$(message r0 stats)" ' slow_path=[0-9]+ relocations=0 relocation_p50_us=0 relocation_p99_us=0 relocation_max_us=0 stalls=0 stall_p50_us=0 stall_p99_us=0 stall_max_us=0$' stats

	# The data and the metadata are written one after the other.
	set_segments main "$disk" 80-95:writes
	expect_equal "$(block_io write /dev/mapper/r0 80 8 2)" ok "a write that is relocated"
	expect_equal "$(stat_of relocations)" 1 relocations
	expect_between $((2 * slow)) "$(stat_of relocation_p50_us)" $((20 * slow)) "the time of the relocation"
	expect_equal "$(stat_of relocation_max_us)" "$(stat_of relocation_p99_us)" "the longest relocation of one"
	expect_equal "$(stat_of stalls)" 0 stalls

	# A read waits for a block that moves.
	dmsetup message r0 0 remap 160 >/dev/null &
	waiting=$!
	sleep 0.15
	block_io check /dev/mapper/r0 1 160 8
	wait $waiting
	expect_equal "$(stat_of stalls) $(stat_of relocations)" "1 1" "stalls and relocations"
	expect_between $((slow / 2)) "$(stat_of stall_p50_us)" $((20 * slow)) "the time of the stall"

	expect_reply "" r0 stats reset
	expect_match "$(message r0 stats)" ' relocations=0 .* stalls=0 .* stall_max_us=0$' "stats after the reset"

	# A test counts its own. Several of its writes may meet the second bad block.
	local results
	run_stress 3 1 1500
	results=$(<"$stress/stress_test_results")
	expect_match "$results" $'\nRelocation \\(us\\):     count=[1-9][0-9]* p50=[0-9]+ p99=[0-9]+ max=[0-9]+\nStall \\(us\\):          count=' results
	expect_match "$results" "count=$(stat_of relocations) p50=$(stat_of relocation_p50_us) .* max=$(stat_of relocation_max_us)" "the relocations of the test"
	run_stress 1 1 500
	expect_match "$(<"$stress/stress_test_results")" $'\nRelocation \\(us\\):     count=0 p50=0 p99=0 max=0\n' "results of a test without relocations"
}
