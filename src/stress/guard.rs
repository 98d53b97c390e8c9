// SPDX-License-Identifier: GPL-2.0

//! Keeps a test that writes from harming the data of others.
//!
//! A test writes back what it has read. That changes nothing as long as nobody else writes in between,
//! and both go to the same disks. So the device is claimed, nobody else may have it open, and nothing is
//! written back that was read before somebody opened it, or before the device was suspended. What
//! speaks against going on is a [`Hazard`], and ends the test.

use kernel::{
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Full,
            Release, //
        },
        Arc, //
    },
    time::{
        Delta,
        Instant,
        Monotonic, //
    },
};
use remap_core::{
    device_number::DeviceNumber,
    epoch::{
        Closed,
        Epoch, //
    },
    measurement::Hazard,
};

use crate::{
    linux::open_device::OpenDevice,
    remap::rewriter::{
        Registered,
        Rewriter, //
    }, //
};

/// How long somebody else may have the device open: who looks what is on it is soon gone.
pub(super) const PATIENCE: Delta = Delta::from_secs(2);

/// Guard of one test.
pub(super) struct Guard {
    device: Arc<OpenDevice>,
    number: DeviceNumber,
    rewriter: Registered,
    /// Sectors of the device that had been changed when the test began.
    before: u64,
    /// Sectors that the test has written since, or is about to.
    written: Atomic<u64>,
    /// A [`Hazard`], or 0.
    hazard: Atomic<u32>,
    /// More was written than by the test, whether or not that was the first hazard.
    foreign_writes: Atomic<bool>,
}

impl Guard {
    /// Bytes of memory that a guard takes beside itself.
    pub(super) const FOOTPRINT: usize = size_of::<Rewriter>();

    /// Guard of a test of `device`, which nobody else uses at present. May sleep.
    pub(super) fn new(device: &Arc<OpenDevice>, number: DeviceNumber) -> Result<Self> {
        Ok(Self {
            device: device.clone(),
            number,
            rewriter: Rewriter::register(number)?,
            before: device.device().changed_sectors(),
            written: Atomic::new(0),
            hazard: Atomic::new(0),
            foreign_writes: Atomic::new(false),
        })
    }

    /// Epoch of the device, to be looked at before something is read.
    pub(super) fn epoch(&self) -> Epoch {
        self.rewriter.epoch()
    }

    /// Whether so many sectors that were read in `read` may be written back now. Where they may,
    /// [`Guard::end`] follows when that has ended.
    #[must_use]
    pub(super) fn begin(&self, read: Epoch, sectors: u32) -> bool {
        if self.hazard().is_some() || !self.rewriter.begin(read) {
            return false;
        }
        if !self.device.is_only_user() {
            self.rewriter.close(Closed::Shared);
        } else if self.device.device().is_read_only() {
            self.set(Hazard::ReadOnly);
        } else {
            self.written.fetch_add(u64::from(sectors), Full);
            return true;
        }
        self.rewriter.end();
        false
    }

    /// A write has ended, well or not.
    pub(super) fn end(&self) {
        self.rewriter.end();
    }

    /// Why the test may not go on.
    pub(super) fn hazard(&self) -> Option<Hazard> {
        let hazard = self.hazard.load(Acquire);
        Hazard::ALL
            .into_iter()
            .find(|other| *other as u32 == hazard)
    }

    /// Looks whether the test may go on; `shared` is since when somebody else has had the device open.
    /// May sleep.
    pub(super) fn look(&self, shared: &mut Option<Instant<Monotonic>>) {
        if self.rewriter.is_replaced() {
            self.set(Hazard::Replaced);
        }
        if self.device.device().is_read_only() {
            self.set(Hazard::ReadOnly);
        }
        self.look_for_writes();
        if !self.device.is_only_user() {
            self.rewriter.close(Closed::Shared);
            let since = shared.get_or_insert_with(Instant::now);
            if since.elapsed() >= PATIENCE {
                self.set(Hazard::Shared);
            }
            return;
        }
        let epoch = self.rewriter.epoch();
        // A suspended device would keep us waiting.
        if !epoch.is_closed(Closed::Shared) || epoch.is_closed(Closed::Suspended) {
            return;
        }
        // What the others have left is written now or never.
        if self.device.device().write_out().is_ok() && self.device.is_only_user() {
            *shared = None;
            self.look_for_writes();
            self.rewriter.open(Closed::Shared);
        }
    }

    /// Compares what was written to the device with what the test has written.
    pub(super) fn look_for_writes(&self) {
        let device = self.device.device();
        // What has ended, and then what had begun before: it is never too little.
        let all = device.changed_sectors().wrapping_sub(self.before);
        let ours = self.written.load(Acquire);
        if all > ours && all < u64::MAX / 2 {
            self.foreign_writes.store(true, Release);
            self.set(Hazard::Written);
        }
    }

    /// Returns whether somebody else was seen to write to the device.
    pub(super) fn saw_foreign_writes(&self) -> bool {
        self.foreign_writes.load(Acquire)
    }

    /// The first one counts.
    fn set(&self, hazard: Hazard) {
        if self.hazard.cmpxchg(0, hazard as u32, Full).is_ok() {
            pr_err!(
                "stress test on {}: {}\n",
                format_args!("{}", self.number),
                hazard.reason()
            );
        }
    }
}
