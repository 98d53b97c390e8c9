# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck source=tests/scenarios/metadata/log_replay.sh
. "$tests/scenarios/metadata/log_replay.sh"

MACHINES=uml
LONG=1
TIMEOUT=1200
OPERATIONS=3000
