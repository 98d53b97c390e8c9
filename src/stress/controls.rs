// SPDX-License-Identifier: GPL-2.0

//! Settings of a test that can be changed while it runs.

use kernel::sync::atomic::{
    Atomic,
    Relaxed, //
};
use remap_core::stress::{
    request::Adjustment,
    workload::Workload, //
};

/// Sentinel for a setting that follows the workload.
const UNSET: u32 = u32::MAX;

/// Settings of a test. Workers read them whenever they start operations.
pub(super) struct Controls {
    workers: Atomic<u32>,
    queue_depth: Atomic<u32>,
    rate_iops: Atomic<u32>,
    write_percent: Atomic<u32>,
    adjusted: Atomic<bool>,
}

impl Controls {
    /// Makes the settings of `workload`, changed by `adjustment`.
    pub(super) fn new(workload: &Workload, adjustment: &Adjustment) -> Self {
        let controls = Self {
            workers: Atomic::new(workload.workers()),
            queue_depth: Atomic::new(UNSET),
            rate_iops: Atomic::new(workload.rate_iops),
            write_percent: Atomic::new(UNSET),
            adjusted: Atomic::new(false),
        };
        controls.set(adjustment);
        controls
    }

    /// Changes the settings that `adjustment` names. Any context.
    pub(super) fn set(&self, adjustment: &Adjustment) {
        if *adjustment == Adjustment::default() {
            return;
        }
        let set = |control: &Atomic<u32>, value: Option<u32>| {
            if let Some(value) = value {
                control.store(value, Relaxed);
            }
        };
        set(&self.workers, adjustment.workers);
        set(&self.queue_depth, adjustment.queue_depth);
        set(&self.rate_iops, adjustment.rate_iops);
        set(&self.write_percent, adjustment.write_percent.map(u32::from));
        self.adjusted.store(true, Relaxed);
    }

    /// Returns the number of active workers.
    pub(super) fn workers(&self) -> u32 {
        self.workers.load(Relaxed)
    }

    /// Returns the number of operations that each worker keeps in flight; `None` if the workload decides.
    pub(super) fn queue_depth(&self) -> Option<u32> {
        Some(self.queue_depth.load(Relaxed)).filter(|depth| *depth != UNSET)
    }

    /// Returns the limit of operations a second over all workers; 0 if there is none.
    pub(super) fn rate_iops(&self) -> u32 {
        self.rate_iops.load(Relaxed)
    }

    /// Returns how many of 100 operations write; `None` if the workload decides.
    pub(super) fn write_percent(&self) -> Option<u8> {
        u8::try_from(self.write_percent.load(Relaxed)).ok()
    }

    /// Returns whether any setting was changed.
    pub(super) fn adjusted(&self) -> bool {
        self.adjusted.load(Relaxed)
    }

    /// Returns the number of operations that all workers together keep in flight, once `adjustment` is
    /// applied to these settings.
    pub(super) fn in_flight(&self, workload: &Workload, adjustment: &Adjustment) -> u32 {
        let depth = adjustment.queue_depth.or(self.queue_depth());
        (0..adjustment.workers.unwrap_or(self.workers()))
            .filter_map(|worker| workload.seat(worker))
            .map(|seat| depth.unwrap_or(seat.queue_depth))
            .fold(0, u32::saturating_add)
    }
}
