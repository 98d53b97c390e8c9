// SPDX-License-Identifier: GPL-2.0

//! src/linux: links to its files, on the simulated machine's C.

pub(crate) mod atomic_enum;
pub(crate) mod bio_pool;
pub(crate) mod block_device;
pub(crate) mod checksum;
pub(crate) mod compat;
pub(crate) mod debugfs;
pub(crate) mod device_mapper;
pub(crate) mod dm_io;
pub(crate) mod gate;
pub(crate) mod io_queue;
pub(crate) mod kthread;
pub(crate) mod log;
pub(crate) mod mapped_device;
pub(crate) mod noio;
pub(crate) mod once_arc;
pub(crate) mod open_device;
pub(crate) mod percpu;
pub(crate) mod random;
pub(crate) mod registry;
pub(crate) mod stopwatch;
pub(crate) mod sysfs;
pub(crate) mod system_memory;
pub(crate) mod text;
pub(crate) mod wait;
pub(crate) mod work_queue;
pub(crate) mod zeroed;

mod bindings {
    pub(crate) use kernel::bindings::*;
}
