// SPDX-License-Identifier: GPL-2.0
/*
 * Inline functions and macros of the kernel that Rust cannot call, one file for each subject.
 * `remap_helper_x` is `bindings::x` to the Rust side.
 */

#include "bindings.h"

#include "helpers/bio.c"
#include "helpers/block_device.c"
#include "helpers/compat.c"
#include "helpers/debug_level.c"
#include "helpers/device_mapper.c"
#include "helpers/gate.c"
#include "helpers/kthread.c"
#include "helpers/noio.c"
#include "helpers/sysfs.c"
#include "helpers/system_memory.c"
#include "helpers/version.c"
#include "helpers/wait.c"
#include "helpers/work_queue.c"
