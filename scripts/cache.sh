# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# Sourced by the scripts beside it: the places of artefacts, the locks for making them, and progress.
#
# An artefact is made under a lock, in a place of its own, and gets its final name or its
# `complete` stamp last. So an interrupted run leaves nothing that looks finished, and of two
# runs that start together one makes the artefact and the other waits for it.

scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
checkout=$(dirname "$scripts")
# shellcheck disable=SC2034  # used by scripts that source this file
machines="debian uml uml-debug uml-smp"

# say TEXT...: one line for the user. Standard output belongs to the command that is run.
say() {
	printf 'dm-remap: %s\n' "$*" >&2
}

# die TEXT...: ends the script before the user's command has run, with exit_status if that is set.
die() {
	say "$@"
	exit "${exit_status:-1}"
}

# usage_error TEXT...: ends the script after a wrong call.
usage_error() {
	say "$(basename "$0"): $*"
	say "try: scripts/$(basename "$0") -h"
	exit 2
}

# require_plain PATH: refuses a path with other characters than these. make(1), a kernel's command line, QEMU's
# options, shells and mount(8) each have characters that end or change a path.
require_plain() {
	local LC_ALL=C
	if [[ $1 == *[!A-Za-z0-9_./+@=-]* ]]; then
		die "the paths of the checkout and the cache may have letters of ASCII, digits and _ . / + @ = - only;" \
			"this one has others: $(printf %q "$1")"
	fi
}

find_cache() {
	local base=${DM_REMAP_CACHE:-}
	if [[ -z $base ]]; then
		base=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/dm-remap
	fi
	require_plain "$checkout"
	require_plain "$base"
	cache=$(realpath -m -- "$base")
	require_plain "$cache"
	case $cache/ in
	"$checkout"/*) die "the cache $cache has to lie outside the checkout (DM_REMAP_CACHE)" ;;
	esac
	if ! mkdir -p "$cache/locks" "$cache/logs" 2>/dev/null || [[ ! -w $cache/locks ]]; then
		die "cannot write to the cache directory $cache (set DM_REMAP_CACHE to another)"
	fi
}

require_root() {
	if [[ $EUID -ne 0 ]]; then
		die "this needs root (mount namespaces, chroot): run it with sudo"
	fi
}

require_machine() {
	case $1 in
	debian | uml | uml-debug | uml-smp) ;;
	*) usage_error "unknown machine '$1' (there are: $machines)" ;;
	esac
}

# require_space GIB WHAT: checks the space on the disk before a compiler runs out of it.
require_space() {
	local free
	free=$(df --output=avail -k "$cache" | tail -n 1)
	if ((free < $1 * 1024 * 1024)); then
		die "$2 needs $1 GB in $cache, but only $((free / 1024 / 1024)) GB are free there" \
			"(everything together takes about 8 GB; DM_REMAP_CACHE names another place)"
	fi
}

# hold NAME: takes the lock of an artefact until `release NAME`, or until this process and all that it has
# started have ended: a build that outlives its script keeps other runs out.
declare -A held
hold() {
	local fd
	exec {fd}>"$cache/locks/$1"
	held[$1]=$fd
	if ! flock -n "$fd"; then
		say "another run is at work on $1; waiting for it"
		flock "$fd"
	fi
}

release() {
	local fd=${held[$1]}
	exec {fd}>&-
	unset "held[$1]"
}

# elapsed SECONDS
elapsed() {
	printf '%d:%02d' $(($1 / 60)) $(($1 % 60))
}

# step NAME LOG COUNT -- COMMAND...: runs a long command with its output in LOG, and reports progress, which
# the command COUNT prints (or `true`). A terminal gets one line that changes, other outputs a line every 15
# seconds.
step() {
	local name=$1 log=$2 count=$3 begin=$SECONDS said=$SECONDS pid status=0
	shift 4
	say "$name ..."
	# A script that dies ends its step; Ctrl-C would not reach a background job.
	setpriv --pdeathsig TERM "$@" >"$log" 2>&1 </dev/null &
	pid=$!
	while kill -0 "$pid" 2>/dev/null; do
		sleep 0.5
		if [[ -t 2 ]]; then
			printf '\rdm-remap: %s  %s  %s\e[K' "$name" "$(elapsed $((SECONDS - begin)))" "$($count "$log")" >&2
		elif ((SECONDS - said >= 15)); then
			said=$SECONDS
			say "$name  $(elapsed $((SECONDS - begin)))  $($count "$log")"
		fi
	done
	if [[ -t 2 ]]; then
		printf '\r\e[K' >&2
	fi
	wait "$pid" || status=$?
	if ((status == 0)); then
		say "$name: done in $(elapsed $((SECONDS - begin)))"
		return 0
	fi
	say "$name FAILED (status $status) after $(elapsed $((SECONDS - begin))); the end of $log:"
	tail -n 30 "$log" | sed 's/^/    /' >&2
	explain_failure "$log"
	return "$status"
}

# explain_failure LOG: prints the usual reasons of a failure.
explain_failure() {
	if grep -qiE 'No space left on device' "$1"; then
		say "the disk is full: $(df -h --output=avail "$cache" | tail -n 1 | tr -d ' ') free in $cache, about 8 GB are needed in all"
	elif grep -qiE 'Temporary failure resolving|Could not (connect|resolve)|Unable to connect|Failed to fetch|Connection (timed out|failed|refused)|Network is unreachable' "$1"; then
		say "the Debian archive cannot be reached: is there a network, a proxy (http_proxy), a mirror (DM_REMAP_MIRROR)?"
	fi
}
