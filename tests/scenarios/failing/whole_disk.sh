# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="a disk that fails every write uses up about 64 spares, then errors are returned; moved blocks keep working, and policy relocate re-arms the breaker"
MACHINES="uml uml-debug"
LONG_MACHINES="uml-smp debian"
TIMEOUT=90

requires() { need_target flakey; }

# refused_writes <first sector>: writes 80 blocks without a pause, and prints how many succeeded. Once one has
# failed, all others have to fail.
refused_writes() {
	python3 -S - "$1" <<'END'
import sys

from block_io import Disk, outcome, pattern

disk, first = Disk("/dev/mapper/r0"), int(sys.argv[1])
ends = [outcome(disk.write, at, pattern(2, at, 8)) for at in range(first, first + 640, 8)]
worked = ends.count("ok")
assert ends == ["ok"] * worked + ["EIO"] * (80 - worked), ends
print(worked)
END
}

is_scrubbed() { [[ $(message r0 scrub status) == done* ]]; }

test() {
	local before n worked seen
	make_null_blk disk 4
	make_null_blk spare 4
	make_mapped main "0 8192 linear $disk 0"
	make_remap r0 8192 /dev/mapper/main "$spare" 0 8192
	block_io fill /dev/mapper/r0 1
	message r0 remap 0 80
	seen=$(last_event r0)
	ask replace main "0 8192 flakey $disk 0 0 1 1 error_writes"
	worked=$(refused_writes 800)
	((worked >= 60 && worked <= 66)) || fail "$worked writes in a row were relocated"
	expect_equal "$(health r0)" failing health
	next_event r0 "$seen" >/dev/null
	expect_equal "$(counter r0 auto_remaps)" "$worked" "automatic remaps"
	before=$(status_word r0 1)
	# Nothing is relocated any more.
	expect_equal "$(block_io write /dev/mapper/r0 4000 2048 2)" EIO "a large write"
	expect_equal "$(block_io zero /dev/mapper/r0 4000 8)" EIO write-zeroes
	expect_equal "$(status_word r0 1)" "$before" "remapped blocks"
	# A scrub waits while main does not answer, and marks nothing.
	ask replace main "0 8192 error"
	message r0 scrub start 1000
	sleep 2
	expect_match "$(message r0 scrub status)" '^running .* unreadable 0$' "a scrub of a disk that does not answer"
	ask replace main "0 8192 flakey $disk 0 0 1 1 error_writes"
	wait_until 60 is_scrubbed
	expect_match "$(message r0 scrub status)" '^done .* unreadable 0$' "a scrub of a disk that answers again"
	expect_equal "$(status_word r0 3)" 0 "pending blocks"
	# Moved blocks can be read and written, and main can be read.
	block_io check /dev/mapper/r0 2 800 $((worked * 8))
	block_io check /dev/mapper/r0 1 0 800
	expect_equal "$(block_io write /dev/mapper/r0 0 80 3)" ok "write of remapped blocks"
	expect_equal "$(block_io write /dev/mapper/r0 800 80 3)" ok "write of blocks that were relocated"
	block_io check /dev/mapper/r0 3 0 80
	block_io check /dev/mapper/r0 3 800 80
	block_io check /dev/mapper/r0 1 6048 2144
	expect_equal "$(health r0)" failing health

	# The message policy relocate re-arms the breaker, which trips again.
	message r0 policy relocate
	[[ $(health r0) != failing ]] || fail "still failing after policy relocate"
	expect_equal "$(block_io write /dev/mapper/r0 7000 8 4)" ok "write after policy relocate"
	block_io check /dev/mapper/r0 4 7000 8
	worked=$(refused_writes 2400)
	expect_equal "$(health r0)" failing "health after the breaker has tripped again"
	n=$(counter r0 auto_remaps)
	((n <= 132)) || fail "$n automatic remaps in all"

	# Main works again, which is noticed: no data is lost, and everything can be written.
	ask replace main "0 8192 linear $disk 0"
	wait_until 31 is_health r0 ok
	block_io fill /dev/mapper/r0 5
	block_io check /dev/mapper/r0 5
	expect_equal "$(health r0)" ok "health at the end"
	remove_mapped r0
	make_remap r0 8192 /dev/mapper/main "$spare" 0 8192
	block_io check /dev/mapper/r0 5
	message r0 clear
	block_io check "$disk" 5

	# A hundred bad blocks with good ones in between do not trip the breaker.
	block_io fill /dev/mapper/r0 1
	local ranges=()
	for ((n = 0; n < 100; n++)); do ranges+=("$((n * 64))-$((n * 64)):error"); done
	set_segments main "$disk" "${ranges[@]}"
	for ((n = 0; n < 100; n++)); do
		expect_equal "$(block_io write /dev/mapper/r0 $((n * 64)) 64 2)" ok "write $n"
	done
	expect_state r0 "100 0 0 0 ok" "after a hundred bad blocks among good ones"
	block_io check /dev/mapper/r0 2 0 6400
	block_io check /dev/mapper/r0 1 6400 1792
}
