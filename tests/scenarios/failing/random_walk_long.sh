# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck source=tests/scenarios/failing/random_walk.sh
. "$tests/scenarios/failing/random_walk.sh"

MACHINES="uml uml-smp"
LONG=1
TIMEOUT=1200
STEPS=20000
