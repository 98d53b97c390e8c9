// SPDX-License-Identifier: GPL-2.0

//! The `kernel` crate as far as the module uses it, on the simulated machine.
//!
//! Names and meanings are those of `rust/kernel` in the kernel's source; only what differs is told.

#![allow(
    missing_docs,
    clippy::missing_safety_doc,
    clippy::new_without_default,
    clippy::len_without_is_empty
)]

pub mod alloc;
pub mod error;
pub mod init;
pub mod page;
pub mod rbtree;
pub mod str;
pub mod sync;
pub mod time;
pub mod types;
pub mod workqueue;

pub mod bindings {
    pub use machine::c::*;
}

pub mod ffi {
    pub use core::ffi::CStr;
    pub use machine::c::{c_char, c_int, c_long, c_uint, c_ulong};
    pub use std::ffi::c_void;
}

pub mod cpu {
    pub fn nr_cpu_ids() -> u32 {
        machine::c::CPUS as u32
    }
}

pub mod interrupt {
    pub struct LocalInterruptDisabled(());

    pub fn local_interrupt_disable() -> LocalInterruptDisabled {
        if let Some(task) = machine::scheduler::task() {
            task.irqs_off += 1;
        }
        machine::scheduler::preempt_disable();
        LocalInterruptDisabled(())
    }

    impl Drop for LocalInterruptDisabled {
        fn drop(&mut self) {
            if let Some(task) = machine::scheduler::task() {
                task.irqs_off -= 1;
            }
            machine::scheduler::preempt_enable();
        }
    }
}

pub mod task {
    pub const MAX_SCHEDULE_TIMEOUT: isize = isize::MAX;

    pub struct Task;

    impl Task {
        /// Now and then, where the run wants it so, and never to a thread of the kernel.
        pub fn signal_pending(&self) -> bool {
            let of_user = machine::scheduler::task().is_some_and(|task| !task.is_kernel);
            let world = machine::scheduler::world();
            of_user && world.signals > 0 && world.random.one_in(world.signals)
        }
    }
}

#[macro_export]
macro_rules! current {
    () => {
        $crate::task::Task
    };
}

pub struct ThisModule;

impl ThisModule {
    pub fn as_ptr(&self) -> *mut bindings::module {
        bindings::this_module()
    }
}

/// A line of the log.
pub fn print(args: std::fmt::Arguments<'_>) {
    machine::scheduler::log(args);
}

#[macro_export]
macro_rules! pr_err {
    ($($arg:tt)*) => { $crate::print(format_args!($($arg)*)) };
}
#[macro_export]
macro_rules! pr_warn {
    ($($arg:tt)*) => { $crate::print(format_args!($($arg)*)) };
}
#[macro_export]
macro_rules! pr_info {
    ($($arg:tt)*) => { $crate::print(format_args!($($arg)*)) };
}

#[macro_export]
macro_rules! fmt {
    ($($arg:tt)*) => { format_args!($($arg)*) };
}

#[macro_export]
macro_rules! container_of {
    ($pointer:expr, $of:ty, $field:ident) => {
        $pointer
            .byte_sub(::std::mem::offset_of!($of, $field))
            .cast::<$of>()
    };
}

#[macro_export]
macro_rules! optional_name {
    ($name:literal) => {
        // SAFETY: The text is terminated, and has no zero before.
        unsafe { ::std::ffi::CStr::from_bytes_with_nul_unchecked(concat!($name, "\0").as_bytes()) }
    };
}

#[macro_export]
macro_rules! static_lock_class {
    () => {{
        static CLASS: $crate::sync::LockClassKey = $crate::sync::LockClassKey;
        // SAFETY: Static memory stays where it is.
        unsafe { ::std::pin::Pin::new_unchecked(&CLASS) }
    }};
}

pub mod prelude {
    pub use crate::{
        alloc::{flags::*, KBox, KVBox, KVVec, KVec, VVec},
        current,
        error::{code::*, Error, Result},
        ffi::{c_char, c_int, c_long, c_uint, c_ulong, c_void, CStr},
        fmt,
        init::InPlaceInit,
        pr_err, pr_info, pr_warn,
        str::CStrExt as _,
        try_pin_init, ThisModule,
    };
    pub use pin_init::{init, pin_data, pin_init, pinned_drop, Init, PinInit};
    pub use std::{
        mem::{align_of, align_of_val, size_of, size_of_val},
        pin::Pin,
    };
}
