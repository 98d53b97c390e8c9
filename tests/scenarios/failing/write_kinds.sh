# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="FUA writes, write-zeroes and buffered writes are relocated like other writes; a write that succeeds on retry stays on main"
LONG_MACHINES="uml-smp debian"

test() {
	make_null_blk main 2 cache_size=1 fua=1
	make_null_blk spare 1 cache_size=1 fua=1
	make_remap r0 4096 "$main" "$spare" 0 1600
	block_io fill /dev/mapper/r0 1
	null_blk_set main badblocks=+83-83
	expect_equal "$(block_io durable /dev/mapper/r0 80 8 2)" ok "a FUA write"
	expect_state r0 "1 0 0 0 ok" "after a FUA write"
	block_io check /dev/mapper/r0 2 80 8
	expect_equal "$(block_io durable /dev/mapper/r0 82 3 3)" ok "a FUA write of a relocated block"
	block_io check /dev/mapper/r0 3 82 3

	null_blk_set main badblocks=+163-164
	expect_equal "$(block_io zero /dev/mapper/r0 152 24)" ok write-zeroes
	expect_state r0 "2 0 0 0 ok" "after write-zeroes"
	expect_zeros 152 24
	null_blk_set main badblocks=+242-242
	expect_equal "$(block_io zero /dev/mapper/r0 241 3)" ok "write-zeroes of a part"
	expect_zeros 241 3
	block_io check /dev/mapper/r0 1 240 1
	block_io check /dev/mapper/r0 1 244 4
	expect_state r0 "3 0 0 0 ok" "after write-zeroes of a part"

	# A buffered write: an error would be returned by fsync, or never.
	null_blk_set main badblocks=+400-401
	null_blk_set main badblocks=+471-471
	python3 -S - <<'END'
import os

from block_io import pattern

fd = os.open("/dev/mapper/r0", os.O_RDWR)
os.pwrite(fd, pattern(4, 400, 80), 400 * 512)
os.fsync(fd)
os.close(fd)
END
	block_io check /dev/mapper/r0 4 400 80
	expect_state r0 "5 0 0 0 ok" "after a write through the page cache"
	expect_equal "$(block_io flush /dev/mapper/r0)" ok "a flush"

	remove_mapped r0
	make_remap r0 4096 "$main" "$spare" 0 1600
	block_io check /dev/mapper/r0 3 82 3
	block_io check /dev/mapper/r0 4 400 80
	expect_zeros 152 24
	expect_zeros 241 3
	remove_mapped r0

	# An error that does not occur again on retry does not relocate.
	make_null_blk once 2 badblocks_once=1
	make_null_blk other 1
	make_remap r0 4096 "$once" "$other" 0 1600
	block_io fill /dev/mapper/r0 1
	null_blk_set once badblocks=+83-83
	expect_equal "$(block_io write /dev/mapper/r0 80 8 2)" ok "a write that fails once"
	expect_state r0 "0 0 0 0 ok" "after a write that fails once"
	expect_equal "$(counter r0 auto_remaps)" 0 "automatic remaps"
	block_io check /dev/mapper/r0 2 80 8
	block_io check "$once" 2 80 8
}

expect_zeros() {
	python3 -S - "$1" "$2" <<'END'
import sys

from block_io import Disk, expect

start, count = map(int, sys.argv[1:])
expect(Disk("/dev/mapper/r0").read(start, count), bytes(count * 512), start, "zeros")
END
}
