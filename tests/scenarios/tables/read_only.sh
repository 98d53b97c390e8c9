# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="a read-only table serves reads and messages, refuses to move blocks with EROFS, and reports the health read_only"
MACHINES="uml debian"
LONG_MACHINES=uml-smp

test() {
	make_null_blk main 2
	make_null_blk spare 1
	block_io fill "$main" 1
	defer remove_mapped r0
	remap_line 4096 "$main" "$spare" 0 1024 | dmsetup create --readonly r0
	expect_equal "$(health r0)" read_only health
	expect_reply pong r0 ping
	local verb
	for verb in 'remap 8' 'remap 0 64' 'unremap 8' clear; do
		log_mark
		# shellcheck disable=SC2086 # words
		expect_errno EROFS message r0 $verb
		expect_log 'read-only'
	done
	expect_reply 'sector 8 not remapped' r0 verify 8
	expect_equal "$(message r0 list)" end list
	python3 -S - <<'END'
import errno
import os
from block_io import pattern
fd = os.open("/dev/mapper/r0", os.O_RDONLY)
assert os.pread(fd, 4096 * 512, 0) == pattern(1, 0, 4096), "contents"
try:
    os.pwrite(os.open("/dev/mapper/r0", os.O_RDWR), bytes(4096), 0)
except OSError as error:
    assert error.errno in (errno.EPERM, errno.EACCES, errno.EROFS), error
else:
    raise SystemExit("FAIL: a read-only device was written")
END
}
