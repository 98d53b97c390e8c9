# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# Functions for scenarios: disks, remap devices, messages to them, and failures. tidy_up removes everything that
# these functions make, the newest first.

work=/tmp/scenario
tests=${tests:?is the directory that this file is in}

# --- the verdict --------------------------------------------------------------------------------

# fail <text>...: ends the scenario as failed. Works in a subshell or a background job, too: tidy_up checks for the
# file.
fail() {
	local depth=1
	while [[ ${BASH_SOURCE[$depth]:-} == */devices.sh ]]; do depth=$((depth + 1)); done
	echo "FAIL: $* (${BASH_SOURCE[$depth]##*/}:${BASH_LINENO[$((depth - 1))]})"
	: >"$work/failed"
	trap - ERR
	exit 1
}

# expect_equal <found> <expected> [<name>]
expect_equal() {
	[[ $1 == "$2" ]] || fail "${3:-value} is '$1', expected '$2'"
}

# expect_match <text> <extended regular expression> [<name>]
expect_match() {
	[[ $1 =~ $2 ]] || fail "${3:-text} is '$1', expected to match '$2'"
}

# error_text <errno>: prints the text that error messages have for an errno.
error_text() {
	case $1 in
	EINVAL) echo 'Invalid argument' ;;
	EEXIST) echo 'File exists' ;;
	ENODATA) echo 'No data available' ;;
	ENOSPC) echo 'No space left on device' ;;
	EROFS) echo 'Read-only file system' ;;
	EIO) echo 'Input/output error' ;;
	EAGAIN) echo 'Resource temporarily unavailable' ;;
	EBUSY) echo 'Device or resource busy' ;;
	ENOLINK) echo 'Link has been severed' ;;
	ENXIO) echo 'No such device or address' ;;
	ENODEV) echo 'No such device' ;;
	ENOMEM) echo 'Cannot allocate memory' ;;
	ENOENT) echo 'No such file or directory' ;;
	EPERM) echo 'Operation not permitted' ;;
	EACCES) echo 'Permission denied' ;;
	*) fail "expect_errno does not know $1" ;;
	esac
}

# expect_errno <errno> <command>...: expects that a command fails and prints the text of that errno.
expect_errno() {
	local text output
	text=$(error_text "$1")
	shift
	# Not in a subshell: if the command makes a device by mistake, tidy_up has to remove it.
	if "$@" >"$work/output" 2>&1; then
		fail "succeeded, expected '$text': $*: $(<"$work/output")"
	fi
	output=$(<"$work/output")
	# rmmod writes in lower case.
	[[ ${output,,} == *"${text,,}"* ]] || fail "expected '$text': $*: $output"
}

# wait_until <seconds> <command>...: repeats a command until it succeeds. Fails after so many seconds.
wait_until() {
	local end=$((SECONDS + $1 + 1))
	shift
	until "$@"; do
		((SECONDS < end)) || fail "time-out while waiting for: $*"
		sleep 0.1
	done
}

# --- undoing ------------------------------------------------------------------------------------

undo=()

# defer <command>...: runs a command at the end of the scenario, the newest first. What it undoes may be undone already.
defer() {
	undo+=("$(printf '%q ' "$@")")
}

# tidy_up <status>: ends a scenario. If it fails to remove something, tests/guest reports that as left behind.
tidy_up() {
	local status=$1 n
	trap - ERR
	set +eE
	# shellcheck disable=SC2046 # numbers
	kill $(jobs -p) 2>/dev/null
	wait
	free_console
	for ((n = ${#undo[@]} - 1; n >= 0; n--)); do
		eval "${undo[n]}"
	done
	if ((status == 0)) && [[ -e $work/failed ]]; then
		status=1
	fi
	close_console
	exit "$status"
}

# --- the console --------------------------------------------------------------------------------

# Starts the console, a process that carries out requests, much faster than a process for each request.
open_console() {
	mkfifo "$work/asked" "$work/answered" "$work/turn"
	python3 -S "$tests/console.py" <"$work/asked" >"$work/answered" &
	console=$!
	# A `wait` for all jobs must not wait for the console.
	disown "$console"
	exec {console_asked}>"$work/asked" {console_answered}<"$work/answered"
	# A lock for background jobs: the job that has taken the byte may use the console.
	exec {console_turn}<>"$work/turn"
	printf . >&"$console_turn"
}

close_console() {
	kill -KILL "$console"
	exec {console_asked}>&- {console_answered}<&- {console_turn}<&-
	rm "$work/asked" "$work/answered" "$work/turn"
}

# Starts a new console if a job was killed while it had the byte.
free_console() {
	local turn
	if read -r -N 1 -t 2 turn <&"$console_turn"; then
		printf %s "$turn" >&"$console_turn"
	else
		close_console
		open_console
	fi
}

# ask <command of tests/console.py>...: prints the reply, on standard error if the command fails.
ask() {
	local turn line answer='' IFS=$'\x1f'
	read -r -N 1 turn <&"$console_turn"
	printf '%s\n' "$*" >&"$console_asked"
	while IFS= read -r line <&"$console_answered" && [[ $line != $'\x04'* ]]; do
		answer+=$line$'\n'
	done
	printf %s "$turn" >&"$console_turn"
	[[ $line == $'\x04'* ]] || fail "the console has ended"
	if [[ $line == $'\x04'0 ]]; then
		printf %s "$answer"
	else
		printf %s "$answer" >&2
		return 1
	fi
}

# block_io <command of tests/block_io.py>...
block_io() { ask block_io "$@"; }

# --- the module ---------------------------------------------------------------------------------

load_module() {
	# shellcheck disable=SC2086,SC2153 # words; set by the scenario
	insmod "$DM_REMAP_KO" $MODULE_PARAMETERS "$@"
	defer unload_module
}

unload_module() {
	[[ ! -e /sys/module/dm_remap ]] || rmmod dm_remap
}

# --- sizes --------------------------------------------------------------------------------------

# scaled <n>: prints n on the fast machine, less on slower ones; at least 1.
scaled() {
	local divisor=1
	case $DM_REMAP_MACHINE in
	uml-debug) divisor=4 ;;
	uml-smp) divisor=8 ;;
	debian) divisor=8 ;;
	esac
	echo $((($1 + divisor - 1) / divisor))
}

# --- devices below ------------------------------------------------------------------------------

remove_loop() {
	if losetup "$1" >/dev/null 2>&1; then losetup -d "$1"; fi
	rm -f "$2"
}

# make_loop <variable> <size> [<losetup option>...]: makes a loop device over a sparse file on tmpfs.
make_loop() {
	local file=$work/$1.img device
	truncate -s "$2" "$file"
	device=$(losetup -f --show "${@:3}" "$file")
	defer remove_loop "$device" "$file"
	printf -v "$1" %s "$device"
}

remove_null_blk() {
	local directory=/sys/kernel/config/nullb/$1
	if [[ -d $directory ]]; then
		echo 0 >"$directory/power"
		rmdir "$directory"
	fi
}

# make_null_blk <variable> <MiB> [<attribute>=<value>...]: makes a null_blk disk with these attributes.
make_null_blk() {
	local name=nb_$1 directory=/sys/kernel/config/nullb/nb_$1 setting
	[[ -d /sys/kernel/config/nullb ]] || modprobe null_blk nr_devices=0
	mkdir "$directory"
	defer remove_null_blk "$name"
	for setting in size="$2" memory_backed=1 "${@:3}"; do
		echo "${setting#*=}" >"$directory/${setting%%=*}"
	done
	echo 1 >"$directory/power"
	printf -v "$1" %s "/dev/$name"
	[[ -b /dev/$name ]] || printf -v "$1" %s "/dev/nullb$(<"$directory/index")"
}

# null_blk_set <device variable> <attribute>=<value>: changes an attribute of a disk in use.
null_blk_set() {
	echo "${2#*=}" >"/sys/kernel/config/nullb/nb_$1/${2%%=*}"
}

# make_brd <number> <KiB>: makes sparse RAM disks, /dev/ram0 and so on.
make_brd() {
	modprobe brd rd_nr="$1" rd_size="$2"
	defer modprobe -r brd
}

sectors_of() {
	blockdev --getsz "$1"
}

# --- devices that fail --------------------------------------------------------------------------

# `null_blk_set ... badblocks=+<first>-<last>` makes reads and writes of sectors fail until they are removed (-), for
# at most 512 ranges. With badblocks_once=1 the first request that fails removes them.

# make_dust <name> <device> [<bytes of a block>]: makes /dev/mapper/<name>. A write repairs its bad blocks, as on
# a disk that reallocates sectors. It splits I/O at its blocks.
make_dust() {
	make_mapped "$1" "0 $(sectors_of "$2") dust $2 0 ${3:-512}"
	message "$1" quiet
	message "$1" enable
}

# dust_add <name> <first> [<last> [<n>]]: makes reads of blocks fail, and n writes (255 at most, and by default),
# after which a write repairs them.
dust_add() {
	local block
	for ((block = $2; block <= ${3:-$2}; block++)); do
		message "$1" addbadblock "$block" "${4:-255}"
	done
}

dust_remove() {
	local block
	for ((block = $2; block <= ${3:-$2}; block++)); do
		message "$1" removebadblock "$block"
	done
}

# make_segments <name> <device>: makes a linear device over another one.
# set_segments <name> <device> <first>-<last>:<way>...: makes ranges of it fail, given in order and without overlaps:
# `error` (reads and writes fail), `writes`, `reads`, `drop` (writes are dropped), `corrupt` (byte 32 of the data of
# a read is changed).
make_segments() {
	make_mapped "$1" "0 $(sectors_of "$2") linear $2 0"
}

set_segments() {
	local device=$2 at=0 end range first last lines=()
	end=$(sectors_of "$device")
	for range in "${@:3}"; do
		IFS='-:' read -r first last _ <<<"$range"
		((first == at)) || lines+=("$at $((first - at)) linear $device $at")
		lines+=("$first $((last + 1 - first)) $(segment "${range#*:}" "$device" "$first")")
		at=$((last + 1))
	done
	((at == end)) || lines+=("$at $((end - at)) linear $device $at")
	ask replace "$1" "${lines[@]}"
}

# segment <way> <device> <first>: prints the target and its arguments for a range.
segment() {
	case $1 in
	error) echo error ;;
	writes) echo "flakey $2 $3 0 1 1 error_writes" ;;
	reads) echo "flakey $2 $3 0 1 1 error_reads" ;;
	drop) echo "flakey $2 $3 0 1 1 drop_writes" ;;
	corrupt) echo "flakey $2 $3 0 1 5 corrupt_bio_byte 32 r 255 0" ;;
	*) fail "set_segments does not know $1" ;;
	esac
}

# need_target <name>: returns whether the kernel has a device-mapper target; prints that it has not.
need_target() {
	dmsetup targets | grep -q "^$1 " || modprobe -q "dm-$1" || {
		echo "no dm-$1"
		return 1
	}
}

# need_xfs: returns whether there is XFS; prints that there is none.
need_xfs() {
	if ! command -v mkfs.xfs >/dev/null || ! grep -qw xfs /proc/filesystems; then
		echo "no XFS"
		return 1
	fi
}

remove_scsi_disk() {
	[[ ! -e /sys/module/scsi_debug ]] || modprobe -r scsi_debug
}

# need_scsi_disk: returns whether a SCSI disk can be made; prints why not.
need_scsi_disk() {
	if ! modprobe -q -n scsi_debug || ! modprobe -q -n sd_mod; then
		echo "no scsi_debug"
		return 1
	fi
}

# make_scsi_disk <variable> <MiB> [<parameter of scsi_debug>...]: makes a SCSI disk, whose errors have sense data.
# There can be one at a time.
make_scsi_disk() {
	local turn block
	modprobe sd_mod
	modprobe scsi_debug dev_size_mb="$2" delay=0 "${@:3}"
	defer remove_scsi_disk
	for ((turn = 0; turn < 100; turn++)); do
		for block in /sys/bus/pseudo/drivers/scsi_debug/adapter0/host*/target*/*:*/block/*; do
			[[ -b /dev/${block##*/} ]] || continue
			scsi_errors=/sys/kernel/debug/scsi_debug/$(basename "$(dirname "$(dirname "$block")")")/error
			printf -v "$1" %s "/dev/${block##*/}"
			return
		done
		sleep 0.1
	done
	fail "scsi_debug has made no disk"
}

# scsi_unreadable <first sector> <sectors>: makes reads of sectors fail with a medium error; 0 0 makes all work.
scsi_unreadable() {
	local parameters=/sys/module/scsi_debug/parameters
	echo "$1" >"$parameters/medium_error_start"
	echo "$2" >"$parameters/medium_error_count"
	if (($2 > 0)); then echo 2; else echo 0; fi >/sys/bus/pseudo/drivers/scsi_debug/opts
}

# scsi_fails <read|write> <n> transport|<sense>: makes the next n such commands fail, or all if n is -1. <sense> is
# key, code and qualifier in hexadecimal digits.
scsi_fails() {
	# Host byte, driver byte, status byte; sense key, code and qualifier.
	local way="0 0 2 $3"
	[[ $3 != transport ]] || way='f 0 0 0 0 0'
	# For scsi_debug a positive count means all commands.
	echo "2 $(($2 < 0 ? 1 : -$2)) $(scsi_opcode "$1") $way" >"$scsi_errors"
}

# scsi_works <read|write>: ends that.
scsi_works() { echo "- 2 $(scsi_opcode "$1")" >"$scsi_errors"; }

# READ(10) and WRITE(10), which sd uses for small disks.
scsi_opcode() { if [[ $1 == read ]]; then echo 0x28; else echo 0x2a; fi; }

remove_nvme_disk() {
	local target=/sys/kernel/config/nvmet controller
	for controller in /sys/class/nvme-fabrics/ctl/nvme*/delete_controller; do
		[[ ! -e $controller ]] || echo 1 >"$controller"
	done
	rm -f $target/ports/1/subsystems/dm-remap
	rmdir $target/ports/1 $target/subsystems/dm-remap/namespaces/1 $target/subsystems/dm-remap || true
	modprobe -r nvme_loop nvmet
}

# need_nvme_disk: returns whether an NVMe disk can be made whose host driver injects errors; prints why not.
need_nvme_disk() {
	if ! modprobe -q -n nvme_loop || [[ ! -e /proc/self/fail-nth ]]; then
		echo "no nvme_loop with fault injection"
		return 1
	fi
}

# make_nvme_disk <variable> <device>: makes an NVMe disk over a device, in this machine. There can be one at a time.
make_nvme_disk() {
	local target=/sys/kernel/config/nvmet turn name
	modprobe nvme_loop
	defer remove_nvme_disk
	mkdir $target/subsystems/dm-remap
	echo 1 >$target/subsystems/dm-remap/attr_allow_any_host
	mkdir $target/subsystems/dm-remap/namespaces/1
	echo "$2" >$target/subsystems/dm-remap/namespaces/1/device_path
	echo 1 >$target/subsystems/dm-remap/namespaces/1/enable
	mkdir $target/ports/1
	echo loop >$target/ports/1/addr_trtype
	ln -s $target/subsystems/dm-remap $target/ports/1/subsystems/dm-remap
	echo "transport=loop,nqn=dm-remap" >/dev/nvme-fabrics
	for ((turn = 0; turn < 100; turn++)); do
		for name in /sys/class/nvme/nvme*/nvme*n1; do
			[[ -b /dev/${name##*/} ]] || continue
			nvme_faults=/sys/kernel/debug/${name##*/}/fault_inject
			# A stack trace for each fault would pass for a report of the kernel.
			echo 0 >"$nvme_faults/verbose"
			printf -v "$1" %s "/dev/${name##*/}"
			return
		done
		sleep 0.1
	done
	fail "nvme_loop has made no disk"
}

# nvme_fails read|write|all <status>: makes all such commands fail with an NVMe status, in hexadecimal digits.
nvme_fails() {
	local -A opcodes=([read]=0x02 [write]=0x01 [all]=0xffff)
	echo "${opcodes[$1]}" >"$nvme_faults/opcode"
	echo "0x$2" >"$nvme_faults/status"
	echo -1 >"$nvme_faults/times"
	echo 100 >"$nvme_faults/probability"
}

# nvme_works: ends that.
nvme_works() { echo 0 >"$nvme_faults/probability"; }

remove_raid1() {
	[[ -e /sys/block/$1 ]] || return 0
	echo clear >"/sys/block/$1/md/array_state"
	wait_until 20 is_gone "/sys/block/$1"
}

is_gone() { [[ ! -e $1 ]]; }

# make_raid1 <variable> <device> <device>: makes a mirror without metadata of its own. Its halves must be equal at
# that time. Reads go to the first device unless they fail. Needs no mdadm.
make_raid1() {
	local name=md_$1 parameters=/sys/module/md_mod/parameters directory device member n=0 turn
	modprobe -q raid1 || true
	# Without this, the device of a stopped mirror would stay.
	[[ ! -e $parameters/legacy_async_del_gendisk ]] || echo 0 >"$parameters/legacy_async_del_gendisk"
	echo "$name" >"$parameters/new_array"
	defer remove_raid1 "$name"
	directory=/sys/block/$name/md
	echo none >"$directory/metadata_version"
	echo raid1 >"$directory/level"
	echo $(($# - 1)) >"$directory/raid_disks"
	for device in "${@:2}"; do
		stat -L -c '%Hr:%Lr' "$device" >"$directory/new_dev"
		member=$(readlink -f "$(sysfs_of "$device")")
		echo $n >"$directory/dev-${member##*/}/slot"
		((n == 0)) || echo writemostly >"$directory/dev-${member##*/}/state"
		n=$((n + 1))
	done
	echo $(($(sectors_of "$2") / 2)) >"$directory/component_size"
	echo none >"$directory/resync_start"
	echo active >"$directory/array_state"
	# md should drop a device for failures only, not for the number of repairs.
	echo 1000000 >"$directory/max_read_errors"
	for ((turn = 0; turn < 50; turn++)); do
		[[ ! -b /dev/$name ]] || break
		sleep 0.1
	done
	printf -v "$1" %s "/dev/$name"
}

# raid1_is_whole <variable>: fails if the mirror has dropped a device.
raid1_is_whole() {
	expect_equal "$(cat /sys/block/md_"$1"/md/degraded)" 0 "devices that the mirror has dropped"
}

# sysfs_of <device>: prints the directory of a block device in sysfs.
sysfs_of() {
	echo "/sys/dev/block/$(stat -L -c '%Hr:%Lr' "$1")"
}

# disk_stat <device> <field>: prints a field of /sys/block/*/stat, counted from 1.
disk_stat() {
	local fields
	read -ra fields <"$(sysfs_of "$1")/stat"
	echo "${fields[$(($2 - 1))]}"
}

# --- control groups -----------------------------------------------------------------------------

leave_group() {
	rmdir "$group"
	umount "$groups"
	rmdir "$groups"
}

# make_group: makes a control group whose I/O is accounted, $group.
make_group() {
	groups=$(mktemp -d) || fail "no directory for groups"
	group=$groups/writer
	mount -t cgroup2 none "$groups"
	defer leave_group
	echo +io >"$groups/cgroup.subtree_control"
	mkdir "$group"
}

# in_group <command>...: runs a command in the group.
in_group() {
	(
		echo "$BASHPID" >"$group/cgroup.procs"
		exec "$@"
	)
}

# charged <device>: prints what the group has moved on a device: <bytes read> <bytes written>.
charged() {
	local moved
	moved=$(sed -n "s/^$(<"$(sysfs_of "$1")/dev") rbytes=\([0-9]*\) wbytes=\([0-9]*\) .*/\1 \2/p" "$group/io.stat")
	echo "${moved:-0 0}"
}

# --- mapped devices -----------------------------------------------------------------------------

remove_mapped() { ask remove "$1"; }

# make_mapped <name> <table line>...: makes a mapped device of any targets, /dev/mapper/<name>.
make_mapped() {
	ask create "$1" "${@:2}" || return
	defer remove_mapped "$1"
}

# remap_line <sectors> <main> <spare> <spare_start> <spare_len> [<option>...]: prints the table line of a remap device.
remap_line() {
	local sectors=$1 options=("${@:6}")
	echo "0 $sectors remap $2 $3 $4 $5${options[*]:+ ${#options[@]} ${options[*]}}"
}

# make_remap <name> <sectors> <main> <spare> <spare_start> <spare_len> [<option>...]: makes a remap device.
make_remap() {
	make_mapped "$1" "$(remap_line "${@:2}")"
}

# load_remap <name> <sectors> ...: loads a table, without a resume.
load_remap() {
	remap_line "${@:2}" | dmsetup load "$1"
}

message() { ask message "$@"; }

# expect_reply <reply> <name> <message>...: sends a message and compares its reply.
expect_reply() {
	expect_equal "$(message "${@:2}")" "$1" "reply to '${*:3}'"
}

# status_word <name> <n>: prints a word of the status: 1 <remapped>/<spare blocks>, 2 lost sectors, 3 pending blocks,
# 4 block size, 5 health, 6 metadata.
status_word() {
	local words
	read -ra words <<<"$(ask status "$1")"
	echo "${words[$(($2 - 1))]}"
}

health() { status_word "$1" 5; }

# keepers_rest: returns whether no keeper of a remap device has anything to do: what has moved is salvaged as far as
# main can be read, and what has failed was read again.
keepers_rest() { ask keepers_rest 2>/dev/null; }

# state <name>: prints "<remapped> <unread sectors> <lost sectors> <pending blocks> <health>".
state() {
	local words
	read -ra words <<<"$(ask status "$1")"
	echo "${words[0]%/*} $(value_in unread "${words[@]}") ${words[1]} ${words[2]} ${words[4]}"
}

# expect_state <name> <state> [<when>]: compares the state, once the keepers rest.
expect_state() {
	wait_until 20 keepers_rest
	expect_equal "$(state "$1")" "$2" "remapped, unread, lost, pending, health${3:+ $3}"
}

# reaches_state <name> <state> [<when>]: as expect_state, for what begins only after the command that causes it has ended.
reaches_state() {
	local end=$((SECONDS + 20))
	until { [[ $(state "$1") == "$2" ]] && keepers_rest; } || ((SECONDS > end)); do sleep 0.1; done
	expect_state "$@"
}

# missing <name>: prints "<unread sectors> <lost sectors>".
missing() {
	local words
	read -ra words <<<"$(state "$1")"
	echo "${words[1]} ${words[2]}"
}

# expect_missing <name> <unread sectors> <lost sectors> [<when>]: compares these, once the keepers rest.
expect_missing() {
	wait_until 20 keepers_rest
	expect_equal "$(missing "$1")" "$2 $3" "unread and lost sectors${4:+ $4}"
}

# expect_refused_at_once <name> <main> <sector>...: expects that reads of these sectors fail with EIO, without a read of
# main.
expect_refused_at_once() {
	local reads sector
	wait_until 20 keepers_rest
	reads=$(disk_stat "$2" 1)
	for sector in "${@:3}"; do
		expect_equal "$(block_io read "/dev/mapper/$1" "$sector" 1)" EIO "sector $sector, which cannot be read"
	done
	expect_equal "$(disk_stat "$2" 1)" "$reads" "reads of main for sectors that it could not read"
}

# is_pending <name> <blocks>, is_health <name> <health>: conditions for wait_until.
is_pending() { [[ $(status_word "$1" 3) == "$2" ]]; }
is_health() { [[ $(health "$1") == "$2" ]]; }

# last_event <name>: prints the number of the last event.
# next_event <name> <last> [<seconds>]: waits for an event after the last one, and prints its number.
last_event() { ask event "$1"; }
next_event() { ask wait_event "$1" "$2" "${3:-10}"; }

# counter <name> <key>: prints the value of a key in the status.
counter() {
	local words
	read -ra words <<<"$(ask status "$1")"
	value_in "$2" "${words[@]}"
}

# value_in <key> <word>...: prints the value of a key in words of the form <key>=<value>.
value_in() {
	local word
	for word in "${@:2}"; do
		[[ $word == "$1="* ]] && {
			echo "${word#*=}"
			return
		}
	done
	fail "no $1 in the status: ${*:2}"
}

# --- the kernel's log ---------------------------------------------------------------------------

# log_mark: makes log_lines and expect_log start here.
log_mark() { ask log_mark; }

# log_lines: prints the lines that dm-remap has logged since the last log_mark.
log_lines() {
	local line lines
	lines=$(ask log_lines)
	while IFS= read -r line; do
		[[ $line != *'dm_remap: '* ]] || printf '%s\n' "$line"
	done <<<"$lines"
}

# expect_log <text>...: expects that dm-remap has logged one line since log_mark, with each of the texts. Lines about
# health do not count.
expect_log() {
	local lines text
	lines=$(log_lines | grep -v ': health is ' || true)
	[[ -n $lines ]] || fail "no line in the kernel log with: $*"
	[[ $lines != *$'\n'* ]] || fail "more than one line in the kernel log: $lines"
	for text; do
		[[ $lines == *"$text"* ]] || fail "no '$text' in this line of the kernel log: $lines"
	done
}

# --- load ---------------------------------------------------------------------------------------

# verifying_fio <device> <loops> [<fio option>...]: runs fio with random writes and verify. Its output is in $work/fio.
verifying_fio() {
	(cd "$work" && exec fio --name=verify --filename="$1" --loops="$2" --randseed="$SEED" --direct=1 \
		--rw=randwrite --bsrange=512-64k --bs_unaligned=0 --blockalign=512 --ioengine=libaio --iodepth=16 \
		--serialize_overlap=1 --verify=crc32c --verify_fatal=1 --verify_state_save=0 \
		--verify_backlog=64 --do_verify=1 --size=8M "${@:3}" >"$work/fio" 2>&1)
}

# random_moves <name> <sectors>: remaps and unremaps at random, in the background, until end_moves. Sets moves to the
# process.
random_moves() {
	: >"$work/moving"
	(while [[ -e $work/moving ]]; do sleep 0.1; done) &
	# shellcheck disable=SC2154 # set by the script that sources this
	python3 -S "$tests/random_moves.py" "$1" "$2" "$SEED" $! &
	moves=$!
}

end_moves() {
	rm "$work/moving"
	wait "$moves" || fail "the random moves failed"
}

# files_survive <name> <sectors> <file system> <command that checks it>: writes and removes files while blocks move,
# then compares them and checks the file system.
files_survive() {
	local device=/dev/mapper/$1
	mkdir -p "$work/mounted"
	mount -t "$3" "$device" "$work/mounted"
	defer leave_mount "$work/mounted"
	random_moves "$1" "$2"
	python3 -S "$tests/file_tree.py" write "$work/mounted" "$work/tree" "$SEED" "$(scaled 300)"
	umount "$work/mounted"
	mount -t "$3" "$device" "$work/mounted"
	python3 -S "$tests/file_tree.py" check "$work/mounted" "$work/tree"
	umount "$work/mounted"
	end_moves
	$4 "$device" >"$work/check" 2>&1 || fail "$4: $(<"$work/check")"
	mount -t "$3" "$device" "$work/mounted"
	python3 -S "$tests/file_tree.py" check "$work/mounted" "$work/tree"
	umount "$work/mounted"
}

# files_on_failing_disk <name> <sectors> <disk> <device> <file system> <command that checks it> <n>: writes and removes
# files while n places of /dev/mapper/<disk>, over <device>, begin to fail writes, then compares the files and checks
# the file system, which must not have seen an error.
files_on_failing_disk() {
	local device=/dev/mapper/$1 spoiler
	mkdir -p "$work/mounted"
	mount -t "$5" "$device" "$work/mounted"
	defer leave_mount "$work/mounted"
	: >"$work/spoiling"
	(while [[ -e $work/spoiling ]]; do sleep 0.1; done) &
	python3 -S "$tests/failing.py" spoil "$3" "$4" "$2" "$7" "$SEED" $! &
	spoiler=$!
	python3 -S "$tests/file_tree.py" write "$work/mounted" "$work/tree" "$SEED" "$(scaled 300)"
	wait "$spoiler" || fail "the bad places were not made"
	rm "$work/spoiling"
	# Writes the whole device, now that all bad places are there.
	python3 -S "$tests/file_tree.py" write "$work/mounted" "$work/tree" "$((SEED + 1))" "$(scaled 300)" empty
	fill_up "$work/mounted"
	umount "$work/mounted"
	mount -t "$5" "$device" "$work/mounted"
	python3 -S "$tests/file_tree.py" check "$work/mounted" "$work/tree"
	umount "$work/mounted"
	$6 "$device" >"$work/check" 2>&1 || fail "$6: $(<"$work/check")"
	mount -t "$5" "$device" "$work/mounted"
	python3 -S "$tests/file_tree.py" check "$work/mounted" "$work/tree"
	umount "$work/mounted"
	if dmesg | grep -E "(EXT4-fs|XFS|Buffer I/O).*($1|$(basename "$(readlink -f "$(sysfs_of "$device")")")).*([Ee]rror|remount)"; then
		fail "the file system has seen an error"
	fi
	local moved
	moved=$(counter "$1" auto_remaps)
	echo "$moved blocks were relocated"
	# Filling the file system has written nearly all of the disk but the journal.
	((moved >= $7 / 2)) || fail "only $moved blocks were relocated"
	expect_state "$1" "$moved 0 0 0 ok"
}

# fill_up <directory>: fills the file system with one file, and removes it.
fill_up() {
	# dd fails when the device is full.
	dd if=/dev/zero of="$1/filler" bs=1M oflag=direct status=none 2>"$work/filler" || true
	[[ $(<"$work/filler") == *'No space left'* ]] || fail "dd: $(<"$work/filler")"
	sync "$1/filler"
	rm "$1/filler"
	sync
}

leave_mount() {
	if mountpoint -q "$1"; then umount "$1"; fi
}

# --- the tools ----------------------------------------------------------------------------------

# expect_status <status> <tool> <argument>...: runs a tool of `make tools`, and expects its exit status. Leaves its
# output in $work/out and $work/err.
expect_status() {
	local status=0
	"$tests/../target/release/$2" "${@:3}" >"$work/out" 2>"$work/err" || status=$?
	((status == $1)) || fail "${*:2}: status $status, expected $1: $(tail -n 5 "$work/out" "$work/err")"
}
