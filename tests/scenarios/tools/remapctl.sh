# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck source=tests/stress.sh
. "$tests/stress.sh"

DESCRIPTION="remapctl shows the values of the kernel, runs tests, and returns their result as its exit status"
MACHINES="uml debian"
LONG_MACHINES=uml-smp
TIMEOUT=120

remapctl=$tests/../target/release/remapctl

# Compares status and list, as text and as JSON, with the kernel's.
devices_are_shown() {
	message stress remap 0 16000 >/dev/null
	expect_status 0 remapctl status --json
	python3 -S - "$work/out" "$(ask status stress)" <<'END'
import json, sys
[shown] = json.load(open(sys.argv[1]))
words = sys.argv[2].split()
assert words[0] == f"{shown['remapped']}/{shown['spare_blocks']}" == "2000/8192", words
assert words[1:6] == [str(shown["lost_sectors"]), str(shown["pending_blocks"]), str(shown["block_size"]),
                      shown["health"], shown["metadata"]], words
assert shown["device"] == "stress" and shown["length"] == 65536, shown
counters = dict(word.split("=") for word in words[6:])
assert counters.pop("unread") == str(shown["unread_sectors"]), words
assert list(shown["counters"]) == list(counters), shown
assert shown["counters"]["manual_remaps"] == 2000, shown
END
	expect_status 0 remapctl status /dev/mapper/stress
	expect_match "$(<"$work/out")" 'Remapped +2000 of 8192 spare blocks' 'status of a device'

	# A list of more than a page.
	expect_status 0 remapctl list stress --json
	python3 -S - "$work/out" <<'END'
import json, sys
from device_mapper import Control
shown = [(remap["sector"], remap["spare_sector"]) for remap in json.load(open(sys.argv[1]))]
assert shown == [(sector, spare) for sector, spare, _ in Control().remaps("stress", None)], shown[:5]
assert len(shown) == 2000, len(shown)
END
	expect_status 0 remapctl list stress
	expect_equal "$(tail -n 1 "$work/out")" '2000 remapped blocks'

	make_remap full 1024 /dev/ram0 /dev/ram1 65536 8 volatile main_start 65536
	message full remap 0 >/dev/null
	expect_status 1 remapctl status
	expect_match "$(<"$work/out")" $'\n?full .* spare_full ' 'a full device'
	remove_mapped full
	expect_status 3 remapctl status full
}

tests_are_run() {
	local result status
	status=0
	"$remapctl" stress run quick --device stress --duration 2s >"$work/out" 2>"$work/err" || status=$?
	result=$(stress_value result)
	case $result in
	PASSED) expect_equal "$status" 0 'status of a run that passed' ;;
	FAILED) expect_equal "$status" 1 'status of a run that failed' ;;
	*) fail "the test ended with $result" ;;
	esac
	expect_sound
	expect_match "$(sed -n 1p "$work/out")" "^$result  Mixed Workload \(4\) on stress, " 'first line'
	expect_match "$(<"$work/err")" '%  .* IOPS, ' progress

	# A running test excludes others; a signal to remapctl stops it.
	"$remapctl" stress run type --type random-read --duration 60s >"$work/stopped" 2>&1 &
	local first=$!
	while ! stress_runs; do sleep 0.1; done
	expect_status 3 remapctl stress run quick
	expect_match "$(<"$work/err")" 'Device or resource busy' 'a second test'
	expect_status 0 remapctl stress adjust --workers 2
	expect_status 0 remapctl watch --count 2 --interval 0.2
	expect_match "$(sed -n 2p "$work/out")" '^RUNNING stress .* IOPS, .*; stress ok 2000/8192$' watch
	kill -TERM "$first"
	status=0
	wait "$first" || status=$?
	expect_equal "$status" 1 'status of a stopped run'
	expect_match "$(<"$work/stopped")" 'STOPPED_EARLY  Random Read' 'a stopped run'
	expect_equal "$(stress_value result)" STOPPED_EARLY
	expect_status 0 remapctl stress stop
}

reports_agree() {
	local form
	expect_status 0 remapctl stress report
	cmp "$work/out" $stress/comprehensive_report || fail 'the text is not the report'
	for form in json html svg; do
		expect_status 0 remapctl stress report --$form -o "$work/report.$form"
		expect_equal "$(<"$work/out")" '' "output of --$form -o"
	done
	python3 - "$work" "$(stress_value ops)" <<'END'
import json, sys
from xml.etree import ElementTree
work, operations = sys.argv[1], int(sys.argv[2])
shown = json.load(open(f"{work}/report.json"))
assert shown["results"]["operations"] == operations, shown["results"]
counted = sum(count for _, count in shown["histograms"]["read_latency"])
assert counted == shown["results"]["read_latency"]["count"] > 0, counted
assert "samples" in shown["trend"], shown["trend"]
svg = ElementTree.parse(f"{work}/report.svg").getroot()
assert svg.tag.endswith("}svg"), svg.tag
assert any(text.text and "Random Read on stress" in text.text for text in svg), "no title"
page = ElementTree.parse(f"{work}/report.html").getroot()
words = " ".join(page.itertext())
assert f"{operations:,}" in words, words
assert "stopped early" in words, words
for target in shown["results"]["targets"]:
    assert target["name"] in words, target
END
}

baselines_are_kept() {
	local line='device=stress type=4 workers=16 queue_depth=512 latency_ns=104 bytes_per_second=409000000'
	expect_status 0 remapctl baseline show
	echo "$line" >"$work/baseline"
	expect_status 0 remapctl baseline load "$work/baseline"
	expect_equal "$(cat $stress/baseline)" "$line"
	expect_status 0 remapctl baseline show
	expect_match "$(<"$work/out")" 'stress +4 +16 +512 +104 ns +409 MB/s' baselines
	expect_status 0 remapctl baseline save "$work/saved"
	cmp "$work/saved" "$work/baseline" || fail 'the saved baseline differs from the loaded one'
	echo "${line/type=4/type=400}" >"$work/baseline"
	expect_status 3 remapctl baseline load "$work/baseline"
	expect_match "$(<"$work/err")" 'Invalid argument' 'a wrong baseline'
}

metrics_are_written() {
	expect_status 0 remapctl metrics -o "$work/remap.prom"
	expect_equal "$(grep -c -v -E '^(# (HELP|TYPE) dm_remap_|dm_remap_[a-z_]+(\{[^}]*\})? [0-9.]+$)' "$work/remap.prom")" \
		0 'lines of another form'
	grep -qx 'dm_remap_remapped_blocks{device="stress",start="0"} 2000' "$work/remap.prom"
	grep -qx 'dm_remap_health{device="stress",start="0",state="ok"} 1' "$work/remap.prom"
	grep -q '^dm_remap_stress_result{.*result="STOPPED_EARLY"} 1$' "$work/remap.prom"
	grep -qx "dm_remap_remap_entries $(cat /sys/module/dm_remap/optimization/remap_entries)" "$work/remap.prom"
}

test() {
	[[ -x $remapctl ]] || fail "there is no target/release/remapctl: make tools"
	expect_status 3 remapctl stress run quick
	expect_match "$(<"$work/err")" 'No such device.*no such remap device' 'a test without a device'
	make_stress_device
	devices_are_shown
	tests_are_run
	reports_agree
	baselines_are_kept
	metrics_are_written
	remove_mapped stress
	unload_module
	expect_status 3 remapctl stress run quick
	expect_match "$(<"$work/err")" 'dm_remap is not loaded' 'a test without the module'
	expect_status 3 remapctl status
	expect_status 0 remapctl metrics
	expect_match "$(<"$work/out")" 'module_loaded 0' 'metrics without the module'
}
