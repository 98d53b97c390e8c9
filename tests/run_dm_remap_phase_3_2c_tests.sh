#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Validates dm-remap on this machine, under the loads of the stress manager.
set -u

here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
stress=/sys/kernel/dm_remap_stress_test
optimization=/sys/module/dm_remap/optimization

usage() {
	cat <<'END'
usage: tests/run_dm_remap_phase_3_2c_tests.sh [--quick] [--tap] [--directory DIR]

Checks the stress testing framework, a quick validation, a regression test, concurrent stress, memory
pressure, the integration with the optimizations, and the comprehensive report, on a remap device of
its own over two loop devices. Takes a quarter of an hour. Needs root, dmsetup, losetup, and the module:
loaded, or named by $DM_REMAP_KO, or dm_remap.ko in the checkout, or known to modprobe.

  --quick          makes the same checks in less than two minutes
  --tap            prints only TAP (Test Anything Protocol, version 13)
  --directory DIR  directory for the files of the loop devices, 400 MiB (default: $TMPDIR or /var/tmp)

Exit status: 0 if every check was made and passed, 1 if one failed or could not be made, 2 for wrong
usage or a machine that cannot run the checks. In any case it leaves nothing behind.
END
}

# --- output -------------------------------------------------------------------------------------

red='' green='' bold='' plain='' terminal=no
colours() {
	if [[ -t 1 && $tap == no ]]; then
		red=$'\e[31m' green=$'\e[32m' bold=$'\e[1m' plain=$'\e[0m' terminal=yes
	fi
}

checks=0 failures=0

section() {
	if [[ $tap == yes ]]; then echo "# $1"; else echo "${bold}$1${plain}"; fi
}

note() {
	if [[ $tap == yes ]]; then echo "# $1"; else echo "      $1"; fi
}

pass() {
	checks=$((checks + 1))
	if [[ $tap == yes ]]; then echo "ok $checks - $1"; else echo "  ${green}ok${plain}  $1"; fi
}

# failure <check> <reason>
failure() {
	checks=$((checks + 1)) failures=$((failures + 1))
	if [[ $tap == yes ]]; then
		echo "not ok $checks - $1"
		echo "# $2"
	else
		echo "  ${red}FAILED${plain}  $1: $2"
	fi
}

# check <name> <command>...: makes a check, which passes if the command succeeds.
check() {
	local output
	if output=$("${@:2}" 2>&1); then pass "$1"; else failure "$1" "${output:-$2 failed}"; fi
}

# --- the machine --------------------------------------------------------------------------------

die() {
	echo "run_dm_remap_phase_3_2c_tests.sh: $1" >&2
	exit 2
}

name=dm_remap_validation_$$
directory='' main='' spare='' loaded=no

clean_up() {
	local i
	[[ ! -e $stress/stress_test_stop ]] || echo 1 >$stress/stress_test_stop
	# udev may have the device open for a moment.
	for ((i = 0; i < 50; i++)); do
		dmsetup info "$name" >/dev/null 2>&1 || break
		dmsetup remove "$name" >/dev/null 2>&1 && break
		sleep 0.1
	done
	[[ -z $main ]] || losetup -d "$main"
	[[ -z $spare ]] || losetup -d "$spare"
	[[ -z $directory ]] || rm -rf "$directory"
	[[ $loaded == no ]] || rmmod dm_remap
}

load_module() {
	[[ ! -d /sys/module/dm_remap ]] || return 0
	local file
	for file in "${DM_REMAP_KO:-}" "$here/../dm_remap.ko"; do
		if [[ -f $file ]]; then
			modprobe dm-mod 2>/dev/null
			insmod "$file" || die "insmod $file failed; the kernel's log has the reason"
			loaded=yes
			return
		fi
	done
	modprobe dm_remap 2>/dev/null || die "no module: set DM_REMAP_KO to dm_remap.ko, or build it"
	loaded=yes
}

make_device() {
	local sectors
	directory=$(mktemp -d "$base/dm-remap.XXXXXX") || die "no directory in $base"
	# Random data, so that a block in the wrong place is noticed.
	if ! head -c 256M /dev/urandom >"$directory/main" || ! truncate -s 128M "$directory/spare"; then
		die "no room in $base"
	fi
	main=$(losetup -f --show "$directory/main") || die 'no loop device'
	spare=$(losetup -f --show "$directory/spare") || die 'no loop device'
	sectors=$(blockdev --getsz "$main")
	echo "0 $sectors remap $main $spare 0 $(blockdev --getsz "$spare") 1 volatile" |
		dmsetup create "$name" || die "the remap device cannot be made; the kernel's log has the reason"
	echo "$name" >$stress/set_target || die 'the remap device cannot be chosen'
}

contents() {
	sha256sum <"/dev/mapper/$name"
}

# --- tests --------------------------------------------------------------------------------------

status_value() {
	sed -n "s/.* $1=\([^ ]*\).*/\1/p" $stress/stress_test_status
}

report_value() {
	sed -n "s|^ *$2: *||p" "$stress/$1" | sed -n 1p
}

show_progress() {
	if [[ $terminal == yes ]]; then
		printf '\r      %4s  %s IOPS  %s MB/s  %s in flight  %s errors \e[K' "$(status_value progress)" \
			"$(status_value iops)" "$(status_value mb_s)" "$(status_value in_flight)" "$(status_value errors)"
	fi
}

# run <name> <file> <text>: starts a test, waits for its end, and reports its result as a check. Records the targets
# that were judged.
declare -A judged=()
run() {
	local target line
	if ! echo "$3" 2>/dev/null >"$stress/$2"; then
		failure "$1" "the kernel refuses '$3' in $2; its log has the reason"
		return 1
	fi
	while [[ $(<$stress/stress_test_status) == RUNNING* ]]; do
		show_progress
		sleep 0.5
	done
	[[ $terminal == no ]] || printf '\r\e[K'
	note "$(report_value stress_test_results 'Total Operations') operations, $(report_value stress_test_results IOPS) IOPS, \
$(report_value stress_test_results Throughput), added latency $(report_value stress_test_results 'Average Latency')"
	if [[ $(report_value stress_test_results 'Test Result') == PASSED ]]; then
		pass "$1"
	else
		failure "$1" "$(report_value stress_test_results 'Failure Reason')"
	fi
	while IFS= read -r line; do
		target=${line:2:22}
		target=${target%"${target##*[! ]}"}
		case $line in
		*' PASS' | *' FAIL') judged[$target]=yes ;;
		*) judged[$target]=${judged[$target]:-no} ;;
		esac
	done <<<"$(sed -n '/^VALIDATION TARGETS:/,/^$/p' $stress/comprehensive_report | grep '^  ')"
}

# put <file> <text>: writes to a file of the stress manager.
put() {
	echo "$2" >"$stress/$1"
}

refused() {
	! put "$1" "$2" 2>/dev/null
}

stopped() {
	[[ $(<$stress/stress_test_status) == STOPPED* ]]
}

framework() {
	local file
	section 'Stress testing framework'
	for file in set_target stress_test_start stress_test_stop stress_test_adjust quick_validation \
		regression_test memory_pressure_test high_concurrency_stress tb_scale_validation endurance_test \
		production_workload custom_workload baseline regression_thresholds stress_test_status \
		stress_test_results comprehensive_report; do
		[[ -e $stress/$file ]] || failure "$file exists" 'it does not'
	done
	check 'the attributes exist' test -d $stress
	check 'no test runs' stopped
	check 'a wrong test type is refused' refused stress_test_start '6 1 1000'
	check 'too many workers are refused' refused stress_test_start '4 33 1000'
	check 'a test starts' put stress_test_start '4 2 60000'
	check 'a second test is refused' refused quick_validation 1
	check 'the test stops at once' put stress_test_stop 1
	check 'no test runs after the stop' stopped
}

quick_validation() {
	section 'Quick validation'
	run 'mixed workload, 4 workers' quick_validation "1 $quick_ms"
}

regression() {
	section 'Performance regression'
	run 'a baseline is set' regression_test "1 $regression_ms"
	check 'the baseline can be read' baseline_known
	run 'the same device passes the comparison with the baseline' regression_test "1 $regression_ms"
	note "latency $(report_value stress_test_results 'Latency Change'), throughput $(report_value stress_test_results 'Throughput Change')"
}

concurrent() {
	section 'Concurrent stress'
	run 'sequential read, 8 workers' stress_test_start "0 8 $concurrent_ms"
	run 'random write, 16 workers' stress_test_start "3 16 $concurrent_ms"
	run 'mixed workload, 32 workers' stress_test_start "4 32 $concurrent_ms"
}

memory_pressure() {
	local available
	section 'Memory pressure'
	# The stress manager refuses to take more than this.
	available=$(awk '/^MemTotal:/ { all = $2 } /^MemAvailable:/ { print int(($2 - all / 16) / 2048) }' /proc/meminfo)
	if ((available < pressure_mb)); then
		note "this machine can spare $available of $pressure_mb MiB"
		pressure_mb=$available
	fi
	run "$pressure_mb MiB held, 8 workers" memory_pressure_test "$pressure_mb $pressure_ms"
}

remaps_agree() {
	[[ $(<$optimization/remap_entries) == "$1" ]]
}

paths_add_up() {
	(($(<$optimization/fast_path_hits) + $(<$optimization/slow_path_hits) == $(<$optimization/total_ios)))
}

integration() {
	local entries remapped
	section 'Integration with the optimizations'
	entries=$(<$optimization/remap_entries)
	check 'a hundred blocks are remapped' dmsetup message "$name" 0 remap 0 800
	check 'remap_entries counts them' remaps_agree $((entries + 100))
	remapped=$(<$optimization/remapped_ios)
	run 'remap heavy, 4 workers' stress_test_start "5 4 $concurrent_ms"
	check 'the test has used remapped blocks' test "$(<$optimization/remapped_ios)" -gt "$remapped"
	check 'the per-CPU counters of fast and slow path add up' paths_add_up
	check 'the test has left the remaps as before' remaps_agree $((entries + 100))
	check 'more than ten thousand blocks are remapped' dmsetup message "$name" 0 remap 0 80800
	run 'the remaps cost nothing in comparison with the baseline' regression_test "1 $regression_ms"
	check 'the former baselines are restored' put baseline "$baselines"
	check 'all blocks can be moved back' dmsetup message "$name" 0 clear
}

was_judged() {
	[[ ${judged[$1]} == yes ]] || {
		echo "no test could judge it"
		return 1
	}
}

baseline_known() {
	grep -q "device=$name " $stress/baseline || {
		echo 'the baseline cannot be found'
		return 1
	}
}

report() {
	local heading target
	section 'Comprehensive report'
	for heading in 'STRESS TEST RESULTS' 'REMAP ENGINE' RESOURCES TREND 'VALIDATION TARGETS' 'OVERALL ASSESSMENT'; do
		check "the report has $heading" grep -q "^$heading:" $stress/comprehensive_report
	done
	while IFS= read -r heading; do note "$heading"; done <$stress/comprehensive_report
	for target in "${!judged[@]}"; do
		case $target in
		'Peak throughput' | Stability) note "$target is not judged by these tests" ;;
		*) check "$target was judged" was_judged "$target" ;;
		esac
	done
}

parse_options() {
	quick=no tap=no base=${TMPDIR:-/var/tmp}
	while (($# > 0)); do
		case $1 in
		--quick) quick=yes ;;
		--tap) tap=yes ;;
		--directory)
			shift
			base=${1:?--directory needs an argument}
			;;
		-h | --help)
			usage
			exit 0
			;;
		*)
			usage >&2
			exit 2
			;;
		esac
		shift
	done
	if [[ $quick == yes ]]; then
		quick_ms=8000 regression_ms=8000 concurrent_ms=6000 pressure_mb=64 pressure_ms=6000
	else
		quick_ms=30000 regression_ms=60000 concurrent_ms=120000 pressure_mb=1024 pressure_ms=300000
	fi
}

main() {
	local before baselines
	parse_options "$@"
	colours
	((EUID == 0)) || die 'needs root'
	trap clean_up EXIT
	trap 'exit 1' INT TERM HUP
	load_module
	[[ $(<$stress/stress_test_status) != RUNNING* ]] || die 'a test runs already'
	make_device
	baselines=$(<$stress/baseline)
	[[ $tap == no ]] || echo 'TAP version 13'
	before=$(contents)
	framework
	quick_validation
	regression
	concurrent
	memory_pressure
	integration
	report
	section 'Afterwards'
	check 'the contents of the device are as before' test "$(contents)" = "$before"
	if [[ $tap == yes ]]; then
		echo "1..$checks"
	else
		echo "${bold}$checks checks, $failures failed${plain}"
	fi
	((failures == 0))
}

main "$@"
