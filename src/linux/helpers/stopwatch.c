// SPDX-License-Identifier: GPL-2.0

#include <linux/sched.h>

/* How often the current task has lost its CPU, of its own will or not. */
u64 remap_helper_context_switches(void)
{
	return current->nvcsw + current->nivcsw;
}
