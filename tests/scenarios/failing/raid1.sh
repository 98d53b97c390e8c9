# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="a mirror above repairs unreadable sectors by writes, which relocate them, and never drops the remap device"
MACHINES="uml uml-debug"
LONG_MACHINES="uml-smp debian"
TIMEOUT=170

test() {
	local n place places
	make_null_blk main 48
	make_null_blk spare 16
	make_null_blk other 48
	make_remap r0 98304 "$main" "$spare" 0 32768
	make_raid1 mirror /dev/mapper/r0 "$other"
	mkfs.ext4 -q "$mirror" >/dev/null
	mkdir -p "$work/mounted"
	mount -t ext4 "$mirror" "$work/mounted"
	defer leave_mount "$work/mounted"
	python3 -S "$tests/file_tree.py" write "$work/mounted" "$work/tree" "$SEED" "$(scaled 300)"
	# Sectors become bad four times, for reads and writes, and files are read and written after each time.
	for n in 1 2 3 4; do
		bad_places $n >"$work/places"
		mapfile -t places <"$work/places"
		for place in "${places[@]}"; do
			null_blk_set main badblocks="+$place-$place"
		done
		python3 -S "$tests/file_tree.py" check "$work/mounted" "$work/tree"
		python3 -S "$tests/file_tree.py" write "$work/mounted" "$work/tree" "$((SEED + n))" "$(scaled 200)" empty
		raid1_is_whole mirror
	done
	python3 -S "$tests/file_tree.py" check "$work/mounted" "$work/tree"
	umount "$work/mounted"
	e2fsck -fn "$mirror" >"$work/check" 2>&1 || fail "e2fsck: $(<"$work/check")"
	# Reads the sectors that no file uses. A block that was repaired in part is read, and repaired, again.
	for n in 1 2 3; do
		read_everything
		wait_until 10 is_calm
	done
	raid1_is_whole mirror
	# Neighbours of bad sectors that the mirror could read on retry needed no repair.
	message r0 retry
	expect_equal "$(missing r0) $(status_word r0 3)" "0 0 0" "unread and lost sectors, and pending blocks"
	# All bad blocks, since everything has been read; and some neighbours, whose requests were merged with
	# one that failed as a whole.
	n=$(counter r0 auto_remaps)
	((n >= 220 && n <= 280)) || fail "$n blocks were relocated"
	block_io compare /dev/mapper/r0 "$other" 98304
	mount -t ext4 "$mirror" "$work/mounted"
	python3 -S "$tests/file_tree.py" check "$work/mounted" "$work/tree"
	umount "$work/mounted"
	if dmesg | grep -E 'EXT4-fs.*error|Disk failure'; then fail "the file system or the mirror has seen an error"; fi
	remove_raid1 md_mirror
	remove_mapped r0
	make_remap r0 98304 "$main" "$spare" 0 32768
	block_io compare /dev/mapper/r0 "$other" 98304
}

# Reads everything, with a write now and then: a disk that fails 64 requests in a row, without a success,
# passes for one that is gone.
read_everything() {
	python3 -S - "$mirror" <<'END'
import sys

from block_io import Disk

disk = Disk(sys.argv[1])
for start in range(0, disk.sectors(), 256):
    data = disk.read(start, 256)
    disk.write(start, data[:4096])
END
}

is_calm() { [[ $(cat /sys/block/md_mirror/inflight) =~ ^\ *0\ *0$ ]]; }

# bad_places <turn>: prints 55 sectors, each in a block of its own, and others for each turn.
bad_places() {
	python3 -S - "$1" "$SEED" <<'END'
import random
import sys

turn, seed = map(int, sys.argv[1:])
blocks = random.Random(seed).sample(range(98304 // 8), 220)
for block in blocks[55 * (turn - 1) : 55 * turn]:
    print(block * 8 + block % 8)
END
}
