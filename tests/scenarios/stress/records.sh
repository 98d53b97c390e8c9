# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck source=tests/stress.sh
. "$tests/stress.sh"

MACHINES="uml debian"
LONG_MACHINES=uml-smp
DESCRIPTION="the JSON files agree with the reports and have histograms and a trend, during a test and after it"

# compare <RUNNING or STOPPED>: compares the JSON files with the status line and with each other.
compare() {
	python3 - "$debug_stress" "$1" "$(<$stress/stress_test_status)" <<'END'
import json
import sys

directory, state, status = sys.argv[1:]
run = json.load(open(f"{directory}/results.json"))
histograms = json.load(open(f"{directory}/histograms.json"))
samples = json.load(open(f"{directory}/trend.json"))["samples"]
assert run["status"] == state, run["status"]
line = dict(word.split("=", 1) for word in status.split()[1:])
assert run["device"] == line["device"] and run["type"] == int(line["type"])
for name, pairs in histograms.items():
    assert all(low[0] < high[0] for low, high in zip(pairs, pairs[1:])), name
if state == "STOPPED":
    assert run["operations"] == int(line["ops"])
    for name, pairs in histograms.items():
        count = sum(count for _, count in pairs)
        assert count == run[name]["count"], name
        assert pairs[-1][0] == run[name]["max"] or pairs[-1][0] > run[name]["max"], name
        below = sum(count for ns, count in pairs if ns <= run[name]["p99"])
        assert below >= 0.99 * count, name
    reads, writes = run["read_latency"]["count"], run["write_latency"]["count"]
    assert reads + writes == run["operations"]
    assert len(samples) >= 4, samples
    assert sum(sample["operations"] for sample in samples) <= run["operations"]
    assert sum(sample["bytes"] for sample in samples) > 0.8 * run["bytes"]
    assert run["result"] == line["result"]
    assert [target["name"] for target in run["targets"]][0] == "Average added latency"
END
}

test() {
	local file
	expect_equal "$(cat $debug_stress/results.json)" '{}'
	make_stress_device
	stress_write stress_test_start '4 2 600000'
	sleep 0.5
	compare RUNNING
	stress_write stress_test_stop 1
	run_stress 4 2 2500
	compare STOPPED
	# The module cannot be removed while one of the files is open.
	remove_mapped stress
	for file in results histograms trend; do
		exec 3<"$debug_stress/$file.json"
		! rmmod dm_remap 2>/dev/null || fail "the module was removed while $file.json was open"
		exec 3<&-
	done
	unload_module
	[[ ! -e ${debug_stress%/stress} ]] || fail 'directories are left in debugfs'
}
