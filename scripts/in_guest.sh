# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0
# Sourced by scripts that belong in a guest, before they do anything: ends them on any other machine, whose
# disks and kernel log they would use. guest-init makes the file.
if [ ! -e /run/dm-remap-guest ]; then
	echo "${0##*/}: belongs in a guest, which scripts/vm starts (scripts/README.md)" >&2
	exit 2
fi
