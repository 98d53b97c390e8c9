// SPDX-License-Identifier: GPL-2.0

#include <linux/sysfs.h>

/* Gives an attribute in allocated memory its lockdep class. */
void remap_helper_sysfs_attr_init(struct attribute *attribute)
{
	sysfs_attr_init(attribute);
}
