# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="modinfo, sysfs and dmsetup show one version of dm-remap"
MACHINES="uml debian"

test() {
	local version
	version=$(modinfo -F version "$DM_REMAP_KO")
	expect_match "$version" '^[0-9]+\.[0-9]+\.[0-9]+$' "the version that modinfo shows"
	expect_equal "$(cat /sys/module/dm_remap/version)" "$version" "the version in sysfs"
	expect_match "$(dmsetup targets)" "remap +v$version" "the version that dmsetup shows"
}
