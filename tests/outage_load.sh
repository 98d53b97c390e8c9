# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# Outages of the devices under a remap device, for scenarios; used with devices.sh.
# shellcheck disable=SC2154 # variables of the scenario

# outages <device>,<seconds>,<busy|idle>...: one after the other.
outages() {
	local main spare
	make_null_blk main 8 discard=1 cache_size=1
	make_null_blk spare 8 discard=1 cache_size=1
	make_segments main "$main"
	make_segments spare "$spare"
	make_remap r0 16384 /dev/mapper/main /dev/mapper/spare 0 16384
	block_io fill /dev/mapper/r0 1
	python3 -S "$tests/outage_load.py" r0 "$SEED" "$main" "$spare" "$@"
}
