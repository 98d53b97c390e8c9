// SPDX-License-Identifier: GPL-2.0
/* `module!` has no field for the version. scripts/check-sources compares it with Cargo.toml. */

#include <linux/module.h>

MODULE_VERSION("1.0.0");
