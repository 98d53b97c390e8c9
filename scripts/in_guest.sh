# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0
# Sourced by scripts that belong in a guest, before they do anything: ends them on any other machine, where
# they would take its disks and its kernel's log for those of a guest. guest-init makes the file.
if [ ! -e /run/dm-remap-guest ]; then
	echo "${0##*/}: belongs in a guest, which scripts/vm starts (scripts/README.md)" >&2
	exit 2
fi
