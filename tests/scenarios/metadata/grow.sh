# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="a spare area grows under load: remapped blocks keep their slots and contents, new slots are used, the tools and the next tables agree; a shorter area is refused"
MACHINES="uml uml-debug"
TIMEOUT=120

# expect_refused <spare_len> <text>: expects that a table with that length is refused with the text in the log.
expect_refused() {
	load_remap r0 20000 "$main" "$spare" 0 "$1"
	dmsetup suspend r0
	log_mark
	expect_errno EINVAL dmsetup resume r0
	expect_log 'table refused' "$2"
}

# use <spare_len>: replaces the table by one with that length.
use() {
	load_remap r0 20000 "$main" "$spare" 0 "$1"
	dmsetup suspend r0
	log_mark
	dmsetup resume r0
}

# expect_kept <what>: expects the remaps in `list`, and contents that were written.
expect_kept() {
	expect_equal "$(message r0 list)" "$list" "list $1"
	block_io check /dev/mapper/r0 2 16384 "$((8 * half))"
	block_io check /dev/mapper/r0 1 17000 3000
	expect_equal "$(status_word r0 6)" ok "metadata $1"
}

test() {
	local slots half list fio used first
	make_null_blk main 10
	make_null_blk spare 8
	block_io fill "$main" 1
	make_remap r0 20000 "$main" "$spare" 0 400
	# The area becomes full.
	slots=$(status_word r0 1)
	slots=${slots#*/}
	half=$((slots / 2))
	message r0 remap 16384 "$((8 * half))"
	message r0 remap 0 "$((8 * (slots - half)))"
	block_io fill /dev/mapper/r0 2 16384 "$((8 * half))"
	# What lies on main of these blocks is not read again.
	block_io fill "$main" 9 16384 "$((8 * half))"
	expect_errno ENOSPC message r0 remap 8000
	list=$(message r0 list)
	first=$list
	remove_mapped r0
	blockdev --flushbufs "$spare"
	expect_status 0 remap_dump --json "$spare"
	mv "$work/out" "$work/first"
	make_remap r0 20000 "$main" "$spare" 0 400

	# The two pages of the tail have no room behind the old end.
	expect_refused 408 'metadata of a spare area of 400 sectors, which grows to 432 or more'
	expect_refused 424 'metadata of a spare area of 400 sectors, which grows to 432 or more'
	use 400
	expect_kept "after a table that was refused"

	# Two times: one in which the pages of the metadata have room in the head, and one with further pages.
	verifying_fio /dev/mapper/r0 "$(scaled 4)" &
	fio=$!
	sleep 0.5
	use 432
	expect_match "$(log_lines)" 'the spare area has grown from 400 sectors to 432' "the log"
	expect_kept "of a longer area"
	sleep 0.5
	use 12000
	expect_match "$(log_lines)" 'the spare area has grown from 432 sectors to 12000' "the log"
	expect_kept "of a much longer area"
	# New slots are used, and their entries are in further pages.
	expect_equal "$(health r0)" ok "health of an area with free slots"
	message r0 remap 0 6400
	wait "$fio" || fail "fio: $(cat "$work/fio")"
	expect_match "$(cat "$work/fio")" 'err= 0' "output of fio"
	used=$(status_word r0 1)
	expect_equal "${used%/*}" "$((800 + half))" "remapped blocks"
	# Old slots are where they were.
	expect_equal "$(message r0 list | grep -Fxc "$(grep -v '^end' <<<"$list")")" "$slots" "remaps as before"
	block_io fill /dev/mapper/r0 3 0 16384
	list=$(message r0 list)
	use 12000
	expect_kept "after a reload"
	block_io check /dev/mapper/r0 3 0 16384

	# A shorter area is refused, and nothing has changed.
	expect_refused 400 'metadata of a spare area of 12000 sectors, which cannot become shorter'
	expect_refused 11992 'metadata of a spare area of 12000 sectors, which cannot become shorter'
	use 12000
	expect_kept "after a shorter table"
	remove_mapped r0
	blockdev --flushbufs "$spare"

	# The tools, and the second reader of the format.
	python3 -S "$tests/metadata.py" list "$spare" 0 12000 >"$work/second"
	expect_equal "$(wc -l <"$work/second")" "$((800 + half))" "remaps of the second reader"
	expect_status 0 remap_check "$spare"
	expect_status 0 remap_dump --json "$spare"
	mv "$work/out" "$work/dump"
	expect_match "$(<"$work/dump")" '"head_pages": 2' "the dump"
	# The first place of the second page of the table, which is a further page, and of the superblock in the tail.
	dd if=/dev/urandom of="$spare" bs=512 seek=11984 count=8 oflag=direct status=none
	expect_status 1 remap_check "$spare"
	expect_status 0 remap_repair --yes "$spare"
	expect_status 0 remap_check "$spare"
	expect_status 0 remap_restore --yes --length 16000 "$spare" "$work/dump"
	expect_status 0 remap_check "$spare"
	make_remap r0 20000 "$main" "$spare" 0 16000
	expect_kept "of a larger area"
	block_io check /dev/mapper/r0 3 0 16384
	remove_mapped r0

	# A dump from before the growth is restored. The area grows again, over the newer metadata at its end.
	blockdev --flushbufs "$spare"
	expect_status 0 remap_restore --yes --length 400 "$spare" "$work/first"
	make_remap r0 20000 "$main" "$spare" 0 16000
	expect_equal "$(message r0 list)" "$first" "list of an area that was restored and has grown again"
	expect_equal "$(status_word r0 6)" ok "metadata of an area that was restored and has grown again"
	remove_mapped r0
	# A volatile table does not forget the remaps.
	log_mark
	expect_errno EINVAL make_remap r0 20000 "$main" "$spare" 0 16384 volatile
	expect_log 'table refused' 'metadata of a spare area of 16000 sectors'
}
