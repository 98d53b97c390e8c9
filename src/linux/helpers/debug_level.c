// SPDX-License-Identifier: GPL-2.0
/*
 * The parameter `debug_level`. Parameters of `module!` are not shown in sysfs; this one is, and
 * can be changed there.
 */

#include <linux/moduleparam.h>
#include <linux/ratelimit.h>

static unsigned int remap_debug_level = 1;

static int remap_set_debug_level(const char *value, const struct kernel_param *param)
{
	int error = param_set_uint_minmax(value, param, 0, 2);

	if (error)
		pr_err("dm_remap: debug_level: not 0, 1 or 2\n");
	return error;
}

static const struct kernel_param_ops remap_debug_level_ops = {
	.set = remap_set_debug_level,
	.get = param_get_uint,
};

module_param_cb(debug_level, &remap_debug_level_ops, &remap_debug_level, 0644);
MODULE_PARM_DESC(debug_level, "0 errors only, 1 state changes, 2 every relocation");

static DEFINE_RATELIMIT_STATE(remap_log_limit, 5 * HZ, 100);

/* Returns whether to log a line of `level` now. */
bool remap_helper_debug_level_admits(u32 level)
{
	return level <= READ_ONCE(remap_debug_level) && __ratelimit(&remap_log_limit);
}
