// SPDX-License-Identifier: GPL-2.0

//! What a failing write does.

use kernel::sync::atomic::{
    Atomic,
    Relaxed, //
};
use remap_core::interface::arguments::ErrorPolicy;

use crate::linux::atomic_enum::AtomicEnum;

/// Error policy of a table, and whether main fails wholesale. Read without a lock.
pub(in crate::remap) struct Policy {
    /// The table is loaded read-only.
    pub(in crate::remap) read_only: bool,
    on_error: AtomicEnum<ErrorPolicy>,
    /// Not 0 while main fails wholesale.
    main_fails: Atomic<u32>,
    /// Not 0 where a write to main has succeeded since the mover last asked.
    main_wrote: Atomic<u32>,
}

impl Policy {
    /// Makes the policy of a new table.
    pub(in crate::remap) fn new(on_error: ErrorPolicy, read_only: bool) -> Self {
        Self {
            read_only,
            on_error: AtomicEnum::new(on_error),
            main_fails: Atomic::new(0),
            main_wrote: Atomic::new(0),
        }
    }

    /// Returns what a failing write does. Any context.
    pub(in crate::remap) fn on_error(&self) -> ErrorPolicy {
        self.on_error.load()
    }

    /// Sets what a failing write does. With [`ErrorPolicy::Relocate`] main no longer counts as failing.
    ///
    /// The caller has the mover.
    pub(in crate::remap) fn set(&self, on_error: ErrorPolicy) {
        self.on_error.store(on_error);
        if on_error == ErrorPolicy::Relocate {
            self.main_fails.store(0, Relaxed);
        }
    }

    /// Returns whether a write to a pending block moves it. Any context.
    pub(in crate::remap) fn relocates(&self) -> bool {
        self.on_error() == ErrorPolicy::Relocate && !self.main_fails() && !self.read_only
    }

    /// Returns whether main fails wholesale. Any context.
    pub(in crate::remap) fn main_fails(&self) -> bool {
        self.main_fails.load(Relaxed) != 0
    }

    /// Records that main fails wholesale. Returns whether that is news.
    pub(in crate::remap) fn record_main_failure(&self) -> bool {
        self.main_fails.xchg(1, Relaxed) == 0
    }

    /// Records that a write to main has succeeded. Any context.
    pub(in crate::remap) fn record_main_write(&self) {
        self.main_wrote.store(1, Relaxed);
    }

    /// Returns whether a write to main has succeeded since the last call.
    pub(in crate::remap) fn take_main_write(&self) -> bool {
        self.main_wrote.xchg(0, Relaxed) != 0
    }
}
