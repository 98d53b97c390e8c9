# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="a power cut at any write during remap, unremap and user writes leaves the spare area in the old or the new state, with the right data (hundreds of cuts)"
LONG_MACHINES=uml-smp
TIMEOUT=170

requires() {
	dmsetup targets | grep -q log-writes || modprobe -q dm-log-writes || {
		echo "no dm-log-writes"
		return 1
	}
}

test() {
	make_null_blk main 2
	make_null_blk spare 3
	make_null_blk log 256
	make_null_blk replay 3
	make_mapped logged "0 4800 log-writes $spare $log"
	defer remove_mapped r0
	python3 -S "$tests/log_replay.py" "$main" "$spare" logged "$log" "$replay" "$(scaled "${OPERATIONS:-300}")" "$SEED" \
		${VARIABLE:+"$VARIABLE"}
}
