// SPDX-License-Identifier: GPL-2.0

//! Safe wrappers over C interfaces of the kernel that the `kernel` crate lacks.
//!
//! The only place of dm-remap with `unsafe`, raw bindings and C helpers. Nothing here knows of
//! remapping.

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

/// Bindings that bindgen makes from `bindings.h` and `helpers.c`, together with `kernel::bindings`.
#[allow(
    clippy::all,
    clippy::cast_lossless,
    clippy::ptr_as_ptr,
    clippy::ref_as_ptr,
    clippy::undocumented_unsafe_blocks,
    dead_code,
    missing_docs,
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    unreachable_pub,
    improper_ctypes,
    unused_imports,
    unsafe_op_in_unsafe_fn
)]
mod bindings {
    use kernel::ffi;
    include!(concat!(
        env!("DM_REMAP_GENERATED"),
        "/bindings_generated.rs"
    ));

    mod helpers {
        use super::*;
        include!(concat!(env!("DM_REMAP_GENERATED"), "/helpers_generated.rs"));
    }
    pub use helpers::*;
    pub use kernel::bindings::*;
}
