// SPDX-License-Identifier: GPL-2.0

//! Protection of the data on a device against a test that writes.
//!
//! A test writes back the data that it has read. This changes nothing as long as there is no other write in
//! between, and read and write go to the same disks. So the test claims the device, and the device must have
//! no other opener. Data that was read before another user opened the device, or before the device was
//! suspended, is not written back. A condition under which a test must not go on is a [`Hazard`], and ends
//! the test.

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
    epoch::{
        Closed,
        Epoch, //
    },
    interface::device_number::DeviceNumber,
    stress::measurement::Hazard, //
};

use crate::{
    linux::open_device::OpenDevice,
    remap::rewriter::{
        Registered,
        Rewriter, //
    }, //
};

/// Time for which another user may have the device open. A program that only probes the device closes it
/// sooner.
pub(super) const PATIENCE: Delta = Delta::from_secs(2);

/// Guard of one test.
pub(super) struct Guard {
    device: Arc<OpenDevice>,
    number: DeviceNumber,
    rewriter: Registered,
    /// Number of changed sectors of the device when the test began.
    before: u64,
    /// Number of sectors that the test has written since, in-flight writes included.
    written: Atomic<u64>,
    /// Number of a [`Hazard`]; 0 if there is none.
    hazard: Atomic<u32>,
    /// More was written than by the test, whether or not that was the first hazard.
    foreign_writes: Atomic<bool>,
}

impl Guard {
    /// Bytes of memory that a guard allocates.
    pub(super) const FOOTPRINT: usize = size_of::<Rewriter>();

    /// Makes the guard of a test of `device`, which has no other user at present. May sleep.
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

    /// Returns the epoch of the device. To be called before a read.
    pub(super) fn epoch(&self) -> Epoch {
        self.rewriter.epoch()
    }

    /// Returns whether `sectors` sectors that were read in the epoch `read` may be written back now. If so,
    /// the caller calls [`Guard::end`] when the write has completed.
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

    /// Ends a write that [`Guard::begin`] has allowed, after success and after errors.
    pub(super) fn end(&self) {
        self.rewriter.end();
    }

    /// Returns why the test must not go on, if so.
    pub(super) fn hazard(&self) -> Option<Hazard> {
        let hazard = self.hazard.load(Acquire);
        Hazard::ALL
            .into_iter()
            .find(|other| *other as u32 == hazard)
    }

    /// Checks the device for hazards, and sets the first one. `shared` is the time since when another user
    /// has had the device open; the function updates it. May sleep.
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
        // Writing out would wait for a suspended device.
        if !epoch.is_closed(Closed::Shared) || epoch.is_closed(Closed::Suspended) {
            return;
        }
        // Pages that the other users have left dirty must not be written later.
        if self.device.device().write_out().is_ok() && self.device.is_only_user() {
            *shared = None;
            self.look_for_writes();
            self.rewriter.open(Closed::Shared);
        }
    }

    /// Sets a hazard if more sectors of the device were written than the test has written.
    pub(super) fn look_for_writes(&self) {
        let device = self.device.device();
        // Completed writes are read first, the test's own writes, which count from their submission,
        // afterwards. So `ours` is never too small.
        let all = device.changed_sectors().wrapping_sub(self.before);
        let ours = self.written.load(Acquire);
        if all > ours && all < u64::MAX / 2 {
            self.foreign_writes.store(true, Release);
            self.set(Hazard::Written);
        }
    }

    /// Returns whether another user was seen to write to the device.
    pub(super) fn saw_foreign_writes(&self) -> bool {
        self.foreign_writes.load(Acquire)
    }

    /// Sets and logs a hazard. The first one stays.
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
