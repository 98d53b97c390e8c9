# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="an invalid message fails with EINVAL, logs one line with the argument and the reason, and changes nothing"
LONG_MACHINES="uml-smp debian"

# expect_refused <argument> <reason> <message>...: expects that a message fails, logs both and changes nothing.
expect_refused() {
	local before after
	before=$(ask status r0; message r0 list)
	log_mark
	expect_errno EINVAL message r0 "${@:3}"
	expect_log "'$1'" "$2"
	after=$(ask status r0; message r0 list)
	expect_equal "$after" "$before" "status and list after '${*:3}'"
}

test() {
	make_loop main 8M
	make_loop spare 1M
	make_remap r0 16000 "$main" "$spare" 0 2048
	message r0 remap 800 16
	local command word
	for word in frobnicate PING remapx; do
		expect_refused "$word" 'unknown command' "$word"
	done
	for command in 'ping 1' 'clear 1' 'verify' 'verify 1 2' 'list 1 2 3' 'stats all' 'stats reset 1' \
		'remap' 'remap 1 2 3' 'unremap' 'unremap 1 2 3'; do
		# shellcheck disable=SC2086 # words
		expect_refused "${command%% *}" 'wrong number of arguments' $command
	done
	for command in remap unremap verify list; do
		for word in x -1 +1 0x10 1.0 1k 8s; do
			expect_refused "$word" 'not an unsigned decimal number' "$command" "$word"
		done
		expect_refused 18446744073709551616 'number too large' "$command" 18446744073709551616
		expect_refused 16000 'not within the target' "$command" 16000
		expect_refused 18446744073709551615 'not within the target' "$command" 18446744073709551615
	done
	for command in remap unremap; do
		expect_refused x 'not an unsigned decimal number' "$command" 0 x
		expect_refused 0 'not within the target' "$command" 8 0
		expect_refused 16001 'not within the target' "$command" 0 16001
		expect_refused 2 'not within the target' "$command" 15999 2
		expect_refused 18446744073709551615 'not within the target' "$command" 1 18446744073709551615
	done
	expect_refused x 'not an unsigned decimal number' list 0 x
	# The kernel would cut a long line, and with it the reason, so the argument is shortened.
	local long
	printf -v long '%02000d' 0
	expect_refused "${long:0:128}..." 'not within the target' remap 0 "$long"
	expect_refused "${long:0:128}..." 'unknown command' "$long"
	expect_refused 'x\x07' 'unknown command' $'x\a'
}
