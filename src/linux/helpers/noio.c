// SPDX-License-Identifier: GPL-2.0

#include <linux/sched/mm.h>

u32 remap_helper_noio_save(void)
{
	return memalloc_noio_save();
}

void remap_helper_noio_restore(u32 flags)
{
	memalloc_noio_restore(flags);
}
