// SPDX-License-Identifier: GPL-2.0

#include <linux/device-mapper.h>

/* bindgen has no setters for bit fields of types that it does not generate. */
void remap_helper_dm_target_set_accounts_remapped_io(struct dm_target *ti)
{
	ti->accounts_remapped_io = true;
}
