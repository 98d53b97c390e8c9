# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="settings are taken in the table line and by message, within their ranges; the table line shows those that differ; the breaker obeys its own"
LONG_MACHINES="uml-smp debian"

# Names, defaults, and ranges.
settings="tries 2 2 10
breaker_count 64 1 65536
breaker_window 10000 1 3600000
probe_min 1000 1 3600000
probe_max 30000 1 3600000
scrub_interval 0 0 31536000
retry_interval 0 0 31536000"

# expect_options <text>: expects the optional arguments of the table line.
expect_options() {
	local line
	line=$(dmsetup table r0)
	expect_equal "${line#"0 4096 remap $numbers 0 1600"}" "${1:+ $1}" "optional arguments"
}

# expect_bad_value <name> <value> <least> <most>: expects that message and table line refuse a value.
expect_bad_value() {
	log_mark
	expect_errno EINVAL message r0 set "$1" "$2"
	expect_log "message refused: '$2': $1 is not a number from $3 to $4"
	log_mark
	expect_errno EINVAL make_remap r1 4096 "$main" "$spare" 2000 40 "$1" "$2"
	expect_log "table refused: '$2': $1 is not a number from $3 to $4"
}

# write_bad_blocks <first block> <n>: writes to so many blocks of main that refuse it, and prints the outcomes.
write_bad_blocks() {
	local block outcomes=()
	for ((block = $1; block < $1 + $2; block++)); do
		outcomes+=("$(block_io write /dev/mapper/r0 $((block * 8)) 1 2)")
	done
	echo "${outcomes[*]}"
}

requires() { need_target flakey; }

test() {
	local numbers name default least most line
	make_null_blk main 2
	make_null_blk spare 2
	numbers="$(stat -c '%Hr:%Lr' "$main") $(stat -c '%Hr:%Lr' "$spare")"
	make_remap r0 4096 "$main" "$spare" 0 1600
	expect_options ""
	while read -r name default least most; do
		expect_reply "" r0 set "$name" "$most"
		expect_options "2 $name $most"
		expect_reply "" r0 set "$name" "$least"
		expect_bad_value "$name" $((most + 1)) "$least" "$most"
		expect_bad_value "$name" -1 "$least" "$most"
		((least == 0)) || expect_bad_value "$name" 0 "$least" "$most"
		expect_reply "" r0 set "$name" "$default"
		expect_options ""
	done <<<"$settings"

	# The printed line makes the same table again.
	message r0 set retry_interval 86400
	message r0 set tries 3
	message r0 policy record
	expect_options "6 error_policy record tries 3 retry_interval 86400"
	line=$(dmsetup table r0)
	remove_mapped r0
	make_mapped r0 "$line"
	expect_equal "$(dmsetup table r0)" "$line" "line of a new table"
	log_mark
	expect_errno EINVAL message r0 set tries
	expect_log "message refused: 'set': wrong number of arguments"
	log_mark
	expect_errno EINVAL message r0 set attempts 3
	expect_log "message refused: 'attempts': unknown setting"
	log_mark
	expect_errno EINVAL make_remap r1 4096 "$main" "$spare" 2000 40 tries 2 tries 2
	expect_log "table refused: 'tries': Optional argument given twice"
	expect_equal "$(dmsetup table r0)" "$line" "line after the refusals"
	remove_mapped r0

	# A disk that refuses every write. The fourth block trips a breaker of three. With more, or later, others may move.
	make_segments below "$main"
	make_remap r0 4096 /dev/mapper/below "$spare" 0 1600 breaker_count 3 breaker_window 60000 format
	set_segments below "$main" 0-4095:writes
	expect_equal "$(write_bad_blocks 10 4)" "ok ok ok EIO" "writes with breaker_count 3"
	expect_equal "$(health r0)" failing health
	message r0 set breaker_count 6
	expect_equal "$(write_bad_blocks 14 1)" EIO "a write after the breaker has tripped"
	message r0 policy relocate
	expect_equal "$(write_bad_blocks 14 7)" "ok ok ok ok ok ok EIO" "writes with breaker_count 6"
	message r0 policy relocate
	message r0 set breaker_window 1000
	expect_equal "$(write_bad_blocks 21 6)" "ok ok ok ok ok ok" "writes up to the limit"
	sleep 1.2
	expect_equal "$(write_bad_blocks 27 2)" "ok ok" "writes after the window"
}
