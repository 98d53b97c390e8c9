# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="iostat and the status line count every read and write, on main and on the spare"
MACHINES="uml uml-smp debian"

test() {
	make_null_blk main 2
	make_null_blk spare 1
	make_remap r0 4096 "$main" "$spare" 0 1024
	message r0 remap 80 80 >/dev/null # blocks 10 to 19
	local reads writes main_reads spare_reads
	reads=$(disk_stat /dev/mapper/r0 1) writes=$(disk_stat /dev/mapper/r0 5)
	main_reads=$(disk_stat "$main" 1) spare_reads=$(disk_stat "$spare" 1)
	message r0 stats reset
	python3 -S - <<'END'
from block_io import Disk, pattern
device = Disk("/dev/mapper/r0")
for n in range(30):
    device.read(n * 8, 8)       # 20 on main, 10 on the spare
for n in range(10, 20):
    device.write(n * 8, pattern(n, 0, 8))
device.write(0, pattern(0, 0, 8))
END
	expect_equal "$(counter r0 reads)" 30 reads
	expect_equal "$(counter r0 writes)" 11 writes
	expect_equal "$(counter r0 remapped_reads)" 10 remapped_reads
	expect_equal "$(counter r0 remapped_writes)" 10 remapped_writes
	expect_equal $(($(disk_stat /dev/mapper/r0 1) - reads)) 30 "reads by iostat"
	expect_equal $(($(disk_stat /dev/mapper/r0 5) - writes)) 11 "writes by iostat"
	expect_equal $(($(disk_stat "$main" 1) - main_reads)) 20 "reads of main"
	expect_equal $(($(disk_stat "$spare" 1) - spare_reads)) 10 "reads of the spare"
	expect_equal "$(counter r0 manual_remaps)" 0 "manual_remaps after the reset"

	# Both places have key=value pairs in the documented order.
	local names='reads writes remapped_reads remapped_writes read_errors write_errors auto_remaps manual_remaps unremaps spare_errors'
	expect_equal "$(dmsetup status r0 | grep -oE '[a-z_]+=[0-9]+' | sed 's/=.*//' | tr '\n' ' ')" "$names unread " "keys of the status"
	expect_match "$(message r0 stats)" "^${names// /=[0-9]+ }=[0-9]+( [a-z_0-9]+=[0-9]+)*\$" "stats"
	message r0 unremap 80 >/dev/null
	message r0 remap 80 >/dev/null
	message r0 remap 800 80 >/dev/null
	expect_equal "$(counter r0 manual_remaps)" 11 manual_remaps
	expect_equal "$(counter r0 unremaps)" 1 unremaps
	expect_reply "" r0 stats reset
	expect_match "$(message r0 stats)" '^reads=0 writes=0 remapped_reads=0 .* manual_remaps=0 unremaps=0 spare_errors=0' "stats after the reset"
}
