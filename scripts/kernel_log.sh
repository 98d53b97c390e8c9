# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# Sourced by scripts that judge a kernel's log: an extended regular expression for the lines that fail a run.
# (Leaks are in a file of their own, because the kernel's own start has some.)

# shellcheck disable=SC2034  # used by scripts that source this file
reports='WARNING:|BUG:|Oops|Call Trace|possible circular locking|possible recursive locking|inconsistent lock state|suspicious RCU usage|sleeping function called from invalid context|INFO: task .* blocked for more than|rcu.*detected (expedited )?stalls|self-detected stall|Kernel panic|UBSAN|KFENCE'
