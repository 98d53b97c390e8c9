# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="outages of 60 s of main and of the spare, under load or with no I/O when they end, mark and lose nothing, and health is back within 30 s by itself"
LONG=1
TIMEOUT=500

# shellcheck source=tests/outage_load.sh
. "$tests/outage_load.sh"

test() {
	outages main,60,busy spare,60,busy main,60,idle spare,60,idle
}
