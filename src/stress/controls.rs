// SPDX-License-Identifier: GPL-2.0

//! What can be changed of a test while it runs.

use kernel::sync::atomic::{
    Atomic,
    Relaxed, //
};
use remap_core::stress::{
    request::Adjustment,
    workload::Workload, //
};

/// Nothing that anybody has set.
const UNSET: u32 = u32::MAX;

/// What a user has set. Workers look at it whenever they start operations.
pub(super) struct Controls {
    workers: Atomic<u32>,
    queue_depth: Atomic<u32>,
    rate_iops: Atomic<u32>,
    write_percent: Atomic<u32>,
    adjusted: Atomic<bool>,
}

impl Controls {
    /// As the workload has it, and then `adjustment`.
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

    /// Changes what `adjustment` names.
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

    /// Number of workers that are to work.
    pub(super) fn workers(&self) -> u32 {
        self.workers.load(Relaxed)
    }

    /// Operations that each worker is to keep in flight, where that is not the workload's affair.
    pub(super) fn queue_depth(&self) -> Option<u32> {
        Some(self.queue_depth.load(Relaxed)).filter(|depth| *depth != UNSET)
    }

    /// Most operations a second, over all workers; 0 for no limit.
    pub(super) fn rate_iops(&self) -> u32 {
        self.rate_iops.load(Relaxed)
    }

    /// How many of 100 operations write, where that is not the workload's affair.
    pub(super) fn write_percent(&self) -> Option<u8> {
        u8::try_from(self.write_percent.load(Relaxed)).ok()
    }

    /// Whether anything was changed.
    pub(super) fn adjusted(&self) -> bool {
        self.adjusted.load(Relaxed)
    }

    /// Operations that all workers are to keep in flight, were these the controls and then
    /// `adjustment`.
    pub(super) fn in_flight(&self, workload: &Workload, adjustment: &Adjustment) -> u32 {
        let depth = adjustment.queue_depth.or(self.queue_depth());
        (0..adjustment.workers.unwrap_or(self.workers()))
            .filter_map(|worker| workload.seat(worker))
            .map(|seat| depth.unwrap_or(seat.queue_depth))
            .fold(0, u32::saturating_add)
    }
}
