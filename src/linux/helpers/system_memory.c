// SPDX-License-Identifier: GPL-2.0

#include <linux/mm.h>

u64 remap_helper_total_ram_pages(void)
{
	return totalram_pages();
}
