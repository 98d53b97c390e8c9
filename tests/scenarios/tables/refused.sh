# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="an invalid table is refused with an errno, ti->error and one line in the log, and leaves no device behind"
MACHINES="uml uml-debug debian"
LONG_MACHINES=uml-smp

# expect_refused <errno> <argument> <reason> <arguments behind "0 <sectors> remap">: expects that a table is refused, with
# the reason in dm-remap's line of the log and, as ti->error, in device-mapper's.
expect_refused() {
	log_mark
	expect_errno "$1" make_mapped r0 "0 ${5:-4096} remap $4"
	local lines
	lines=$(ask log_lines)
	expect_match "$lines" "dm_remap: table refused: '$2': $3" "the kernel's log"
	expect_match "$lines" "device-mapper: table: [0-9:]+: remap: $3" "ti->error"
	expect_equal "$(grep -c 'dm_remap: ' <<<"$lines")" 1 "lines in the log"
	[[ ! -e /sys/block/dm-0 ]] || fail "a device is left"
}

test() {
	make_null_blk main 4
	make_null_blk spare 1
	make_null_blk large 4 blocksize=4096
	make_null_blk zoned 16 zoned=1 zone_size=4
	local count='Wrong argument count'
	for arguments in "$main" "$main $spare" "$main $spare 0"; do
		expect_refused EINVAL '' "$count" "$arguments"
	done
	expect_refused EINVAL 1 "$count: optional arguments differ from their number" "$main $spare 0 1024 1"
	expect_refused EINVAL 0 "$count: optional arguments differ from their number" "$main $spare 0 1024 0 volatile"
	expect_refused EINVAL 3 "$count: optional arguments differ from their number" "$main $spare 0 1024 3 volatile format"
	expect_refused EINVAL x 'Number of optional arguments is not an unsigned decimal number' "$main $spare 0 1024 x"
	expect_refused EINVAL fast 'Unknown optional argument' "$main $spare 0 1024 1 fast"
	expect_refused EINVAL volatile 'Optional argument given twice' "$main $spare 0 1024 2 volatile volatile"
	expect_refused EINVAL main_start 'Optional argument lacks its value' "$main $spare 0 1024 1 main_start"
	expect_refused EINVAL maybe 'error_policy is not relocate, record or off' "$main $spare 0 1024 2 error_policy maybe"
	expect_refused EINVAL -8 'main_start is not an unsigned decimal number' "$main $spare 0 1024 2 main_start -8"
	expect_refused EINVAL 0x8 'spare_start is not an unsigned decimal number' "$main $spare 0x8 1024"
	expect_refused EINVAL 1k 'spare_len is not an unsigned decimal number' "$main $spare 0 1k"
	expect_refused EINVAL 18446744073709551616 'spare_start is not an unsigned decimal number' "$main $spare 18446744073709551616 8"
	expect_refused EINVAL 8 'spare_start and spare_len reach beyond the last possible sector' "$main $spare 18446744073709551615 8"
	local size
	for size in 0 3 12 4096 18446744073709551615; do
		expect_refused EINVAL "$size" 'block_size is not a power of two from 1 to 2048 sectors' "$main $spare 0 1024 2 block_size $size"
	done
	expect_refused EINVAL block_size 'block_size is smaller than a logical block of one of the devices' "$large $spare 0 1024 2 block_size 4"
	expect_refused EINVAL block_size 'block_size is smaller than a logical block of one of the devices' "$main $large 0 1024 2 block_size 1"
	expect_refused EINVAL "$large" 'The spare area is not aligned to the logical blocks of spare_dev' "$main $large 4 1024"
	expect_refused ENOENT /dev/nothing 'main_dev cannot be opened' "/dev/nothing $spare 0 1024"
	expect_refused ENOENT /dev/nothing 'spare_dev cannot be opened' "$main /dev/nothing 0 1024"
	expect_refused ENXIO 240:77 'main_dev cannot be opened' "240:77 $spare 0 1024"
	expect_refused EINVAL "$zoned" 'Zoned devices are not supported' "$zoned $spare 0 1024"
	expect_refused EINVAL "$zoned" 'Zoned devices are not supported' "$main $zoned 0 1024"
	expect_refused EINVAL "$main" 'The target reaches beyond the end of main_dev' "$main $spare 0 1024" 8193
	expect_refused EINVAL "$main" 'The target reaches beyond the end of main_dev' "$main $spare 0 1024 2 main_start 4097"
	expect_refused EINVAL "$main" 'The target reaches beyond the end of main_dev' "$main $spare 0 1024 2 main_start 18446744073709551615"
	expect_refused EINVAL "$spare" 'The spare area reaches beyond the end of spare_dev' "$main $spare 0 2049"
	expect_refused EINVAL "$spare" 'The spare area reaches beyond the end of spare_dev' "$main $spare 2048 8"
	expect_refused EINVAL "$spare" 'The spare area is too small for one block' "$main $spare 0 7 1 volatile"
	expect_refused EINVAL "$spare" 'The spare area is too small for one block' "$main $spare 0 0 1 volatile"
	expect_refused EINVAL "$spare" 'The spare area is too small for metadata and one block' "$main $spare 0 0"
	expect_refused EINVAL "$spare" 'The spare area is too small for metadata and one block' "$main $spare 0 71 2 block_size 8"
	expect_refused EINVAL "$main" 'The spare area overlaps with the target' "$main $main 4088 80"

	# Tables just within the bounds are accepted.
	make_remap r0 8192 "$main" "$spare" 0 2048
	expect_equal "$(status_word r0 1)" 0/248 "spare blocks"
	remove_mapped r0
	make_remap r0 4096 "$main" "$main" 4096 4096
	remove_mapped r0
	make_remap r0 1 "$main" "$spare" 2040 8 main_start 8191 volatile format
	expect_equal "$(status_word r0 1)" 0/1 "spare blocks"
	remove_mapped r0
	make_remap r0 1 "$main" "$spare" 1976 72 main_start 8191 format
	expect_equal "$(status_word r0 1)" 0/1 "spare blocks"
}
