// SPDX-License-Identifier: GPL-2.0

struct workqueue_struct *remap_helper_work_queue_create(const char *name)
{
	return alloc_workqueue("%s", WQ_MEM_RECLAIM | WQ_UNBOUND | WQ_HIGHPRI, 1, name);
}
