// SPDX-License-Identifier: GPL-2.0

//! Changes of a table's state: resume, suspend, the end of the target, the error policy, timing.

use kernel::{
    prelude::*,
    sync::atomic::Relaxed, //
};
use remap_core::interface::arguments::ErrorPolicy;

use super::{
    state::{
        devices::Place,
        mover::TableState, //
    },
    table::Table, //
};

impl Table {
    /// Resumes the table: bios may flow and blocks may move from now on. May sleep.
    pub(super) fn activate(&self) {
        let mut guard = self.lock_mover();
        if guard.mover.state == TableState::Loaded {
            // Before anything can change and be reported.
            self.health.begin_with(self.health());
            if !self.policy.read_only {
                guard.prepare_metadata();
            }
        }
        guard.mover.state = TableState::Active;
        drop(guard);
        self.report_health();
        // What has waited for the device to be resumed.
        self.keeper.wake();
    }

    /// Suspends the table: messages, the scrub and the keeper use the devices no more.
    ///
    /// Failed writes are rescued all the same, until device-mapper has all bios back. Sleeps until the
    /// pass and the reads of scrub and keeper that are under way have ended.
    pub(super) fn suspend(&self) {
        self.suspend_waiters.fetch_add(1, Relaxed);
        self.save_before_suspend();
        self.scrub.settle();
        self.keeper.settle();
        self.suspend_waiters.fetch_sub(1, Relaxed);
    }

    /// Waits until what was under way with the devices when the last bio ended has ended, too. Sleeps.
    pub(super) fn wait_for_mover(&self) {
        drop(self.lock_mover());
    }

    /// Ends the use of the devices. Metadata that could not be written before is tried once more: a table
    /// that replaces this one knows nothing but what is written. Sleeps.
    fn save_before_suspend(&self) {
        let mut guard = self.lock_mover();
        guard.mover.state = TableState::Suspended;
        // Where it still cannot be written, the next message that needs it fails.
        let _ = guard.revive_metadata();
        guard.publish_metadata_state();
    }

    /// Ends the use of the devices, which are about to be closed. Sleeps until the scrub has ended, and the keeper
    /// reads no more.
    pub(super) fn retire(&self) {
        let _ = self.scrub.stop();
        self.keeper.stop();
        self.mover.lock().state = TableState::Gone;
        self.keeper.settle();
    }

    /// Sets what a failing write does. [`ErrorPolicy::Relocate`] also re-arms the breaker, and ends outages. Sleeps
    /// until the pass under way has ended.
    pub(super) fn set_policy(&self, policy: ErrorPolicy) {
        let mut mover = self.mover.lock();
        self.policy.set(policy);
        if policy == ErrorPolicy::Relocate {
            mover.breaker.arm();
            self.end_outage(Place::Main);
            self.end_outage(Place::Spare);
        }
    }

    /// Switches the timing of bios, and forgets what was timed before when it is switched on.
    ///
    /// May sleep. `ENOMEM` where there is no room for the histograms.
    pub(crate) fn set_timing(&self, on: bool) -> Result {
        self.statistics.prepare_timing(on)?;
        self.gate.set_timed(on);
        Ok(())
    }
}
