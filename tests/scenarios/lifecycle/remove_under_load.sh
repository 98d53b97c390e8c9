# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="removal of an open device is refused; replacing its table by an error table under load fails the I/O without a hang, also while blocks move"
MACHINES="uml uml-smp"
TIMEOUT=120

test() {
	make_null_blk main 4
	make_null_blk spare 4 irqmode=2 completion_nsec=200000000
	local turn
	for turn in 1 2 3; do
		make_remap r0 8192 "$main" "$spare" 0 8192
		(cd "$work" && exec fio --name=load --filename=/dev/mapper/r0 --direct=1 --rw=randrw --bs=4k --ioengine=libaio \
			--iodepth=16 --time_based --runtime=60 --size=4M --randseed="$SEED" >"$work/fio" 2>&1) &
		local fio=$!
		until [[ $(dmsetup info -c --noheadings -o open r0) != 0 ]]; do sleep 0.05; done
		expect_errno EBUSY dmsetup remove r0
		dmsetup message r0 0 remap 0 8192 >"$work/message" 2>&1 &
		local mover=$!
		sleep 0.1
		# The table is replaced by an error table; the device stays while it is open.
		dmsetup wipe_table r0
		wait "$mover" && fail "remap succeeded although its table was replaced: $(<"$work/message")"
		wait "$fio" && fail "fio saw no error"
		expect_match "$(cat "$work/fio")" 'Input/output error' "output of fio"
		dmsetup remove --retry r0
		expect_errno ENXIO message r0 ping
	done
}
