// SPDX-License-Identifier: GPL-2.0

//! What a failing write does, and the settings of a table.

use kernel::sync::atomic::{
    Atomic,
    Relaxed, //
};
use remap_core::{
    interface::arguments::ErrorPolicy,
    table::{
        breaker::Limits,
        settings::{
            self,
            Setting,
            Settings, //
        }, //
    }, //
};

use crate::linux::atomic_enum::AtomicEnum;

/// Error policy and settings of a table, and whether main fails wholesale. Read without a lock.
pub(in crate::remap) struct Policy {
    /// The table is loaded read-only.
    pub(in crate::remap) read_only: bool,
    on_error: AtomicEnum<ErrorPolicy>,
    settings: [Atomic<u32>; settings::COUNT],
    /// Not 0 while main fails wholesale.
    main_fails: Atomic<u32>,
    /// Not 0 where a write to main has succeeded since the mover last asked.
    main_wrote: Atomic<u32>,
}

impl Policy {
    /// Makes the policy of a new table.
    pub(in crate::remap) fn new(
        on_error: ErrorPolicy,
        read_only: bool,
        settings: &Settings,
    ) -> Self {
        Self {
            read_only,
            on_error: AtomicEnum::new(on_error),
            settings: Setting::ALL.map(|setting| Atomic::new(settings.get(setting))),
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
            self.record_recovery();
        }
    }

    /// Returns the value of a setting. Any context.
    pub(in crate::remap) fn setting(&self, setting: Setting) -> u32 {
        let value = self.settings.get(setting as usize);
        value.map_or(setting.default(), |value| value.load(Relaxed))
    }

    /// Changes a setting. The value is within its range. Any context.
    pub(in crate::remap) fn change_setting(&self, setting: Setting, value: u32) {
        if let Some(known) = self.settings.get(setting as usize) {
            known.store(value, Relaxed);
        }
    }

    /// Returns all settings. Any context.
    pub(in crate::remap) fn settings(&self) -> Settings {
        Settings::with(|setting| self.setting(setting))
    }

    /// Returns the limits of the breaker. Any context.
    pub(in crate::remap) fn breaker_limits(&self) -> Limits {
        Limits {
            count: self.setting(Setting::BreakerCount),
            window_ms: self.setting(Setting::BreakerWindow),
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

    /// Records that main does not fail wholesale any more.
    pub(in crate::remap) fn record_recovery(&self) {
        self.main_fails.store(0, Relaxed);
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
