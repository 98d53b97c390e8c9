// SPDX-License-Identifier: GPL-2.0

#include <linux/sched.h>

u64 remap_helper_current_cpu_time(void)
{
	return READ_ONCE(current->se.sum_exec_runtime);
}

void remap_helper_cond_resched(void)
{
	cond_resched();
}
