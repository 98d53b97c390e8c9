# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck source=tests/scenarios/metadata/log_replay.sh
. "$tests/scenarios/metadata/log_replay.sh"

DESCRIPTION="a power cut at any write during automatic relocations leaves each block in its old or its new place, with its data or with unread sectors, and never with lost ones"
LONG_MACHINES=uml-smp
VARIABLE=main
