// SPDX-License-Identifier: GPL-2.0

#include <linux/wait.h>

/* Wakes all waiters. Costs only a barrier if there are none. */
void remap_helper_wake_up_sleepers(struct wait_queue_head *head)
{
	if (wq_has_sleeper(head))
		wake_up_all(head);
}
