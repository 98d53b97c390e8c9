# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck source=tests/stress.sh
. "$tests/stress.sh"

# On uml-time, whose clock skips idle time, a day takes minutes.
MACHINES=uml-time
TIMEOUT=100000
DESCRIPTION="an endurance test of 24 hours leaks no memory, drifts in no figure, and changes no data"

# Prints the KiB of memory that the kernel uses and cannot reclaim.
held() {
	awk '/^(MemTotal|SUnreclaim|Percpu|VmallocUsed):/ { sum += $1 == "MemTotal:" ? 0 : $2 } END { print sum }' /proc/meminfo
}

test() {
	local before hour first=0 last=0 curve=''
	make_brd 2 49152
	head -c 32M /dev/urandom >/dev/ram0
	before=$(checksum /dev/ram0)
	make_mapped slow '0 65536 delay /dev/ram0 0 50'
	make_remap stress 65536 /dev/mapper/slow /dev/ram1 0 65536 volatile
	defer stop_stress
	message stress remap 0 800 >/dev/null
	stress_write stress_test_adjust 'rate_iops=20'
	stress_write endurance_test '24 4'
	for ((hour = 1; hour <= 24; hour++)); do
		sleep 3590
		last=$(held)
		((hour > 1)) || first=$last
		curve+=" $last"
		expect_match "$(stress_status)" '^RUNNING .* errors=0$'
	done
	echo "KiB held, hour by hour:$curve"
	wait_for_stress 600
	expect_sound
	expect_equal "$(stress_value elapsed_ms | cut -c 1-5)" 86400
	expect_match "$(grep '^  Stability' $stress/comprehensive_report)" '24 h +PASS$'
	(($(report_value stress_test_results 'Total Operations') > 1700000)) || fail 'too few operations for a day'
	((last - first < 256)) || fail "$((last - first)) KiB more in a day"
	expect_equal "$(report_value comprehensive_report 'Memory After')" \
		"$(report_value comprehensive_report 'Memory Before')"
	python3 - "$debug_stress/trend.json" <<'END'
import json
import sys

samples = json.load(open(sys.argv[1]))["samples"]
assert len(samples) >= 256, len(samples)
memory = {sample["memory"] for sample in samples}
assert len(memory) == 1 and memory.pop() > 0, memory
rates = [sample["operations"] / sample["ns"] for sample in samples]
assert max(rates) < 1.05 * min(rates), (min(rates), max(rates))
assert sum(sample["ns"] for sample in samples) > 0.99 * 86400e9
END
	remove_mapped stress
	remove_mapped slow
	expect_equal "$(checksum /dev/ram0)" "$before" contents
}
