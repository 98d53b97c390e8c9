# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="swap on a disk of which 1 % is bad, with memory exhausted, never hangs in 200 runs"
LONG=1
TIMEOUT=3000

# shellcheck source=tests/swap.sh
. "$tests/swap.sh"

test() {
	swap_runs 200
}
