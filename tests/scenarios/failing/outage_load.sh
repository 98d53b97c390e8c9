# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="outages of 10 s of main and of the spare, under bios and messages of all kinds, scrubs, suspensions and reloads, mark and lose nothing, and health is back by itself"
LONG_MACHINES=uml-smp
TIMEOUT=180

# shellcheck source=tests/outage_load.sh
. "$tests/outage_load.sh"

test() {
	outages main,10,busy spare,10,busy
}
