# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck source=tests/scenarios/metadata/log_replay.sh
. "$tests/scenarios/metadata/log_replay.sh"

DESCRIPTION="whenever the power goes while errors relocate blocks, each is where it was or where it was about to be, with its data or marked as lost"
LONG_MACHINES=uml-smp
VARIABLE=main
