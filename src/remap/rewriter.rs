// SPDX-License-Identifier: GPL-2.0

//! Users of a mapped device that write back to it what they have read before.
//!
//! Between the two halves the table may be replaced by one with other disks, and the bytes of the old
//! one must not go to the new one. Looking at the table before the second half is submitted is not
//! enough: device-mapper keeps bios that come while it suspends, and maps them by the next table. So
//! before a table is suspended, which comes before it is replaced, the [`Rewriter`] is closed, and
//! what has begun is waited for while bios still flow. What was read before it is opened again is void.
//!
//! Nothing of this is on the path of a bio.

use kernel::{
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Full,
            Relaxed,
            Release, //
        },
        Arc, //
    },
};
use remap_core::{
    epoch::{
        Closed,
        Epoch, //
    },
    interface::device_number::DeviceNumber, //
};

use super::table::{
    self,
    Table, //
};
use crate::linux::{
    noio::NoIo,
    registry::registry,
    wait::{
        new_wait_queue,
        WaitQueue, //
    }, //
};

/// Right to write back to a device what was read from it in the same [`Epoch`].
#[pin_data]
pub(crate) struct Rewriter {
    number: DeviceNumber,
    /// Address of the table that it is about; only ever compared. The table is there as long as it
    /// has not been replaced.
    table: usize,
    epoch: Atomic<u64>,
    /// Writes that have begun and not ended.
    writing: Atomic<u64>,
    replaced: Atomic<bool>,
    #[pin]
    quiet: WaitQueue,
}

/// A [`Rewriter`] that is told of suspensions, until this is dropped.
pub(crate) struct Registered(Arc<Rewriter>);

impl core::ops::Deref for Registered {
    type Target = Rewriter;

    fn deref(&self) -> &Rewriter {
        &self.0
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        rewriters::with(|all| {
            all.retain(|other| !Arc::ptr_eq(other, &self.0));
            if all.is_empty() {
                *all = KVec::new();
            }
        });
    }
}

impl Rewriter {
    /// Adds a rewriter of the mapped device with that number. May sleep. `ENODEV` where the device has no
    /// remap table, `ENOMEM`.
    pub(crate) fn register(number: DeviceNumber) -> Result<Registered> {
        // A device may wait for the list to be suspended, and the memory for the device.
        let _noio = NoIo::enter();
        rewriters::with(|all| {
            let table = table::find(number).ok_or(ENODEV)?;
            let place = Arc::as_ptr(&table) as usize;
            let rewriter = Arc::pin_init(
                pin_init!(Self {
                    number,
                    table: place,
                    epoch: Atomic::new(Epoch::FIRST.number()),
                    writing: Atomic::new(0),
                    replaced: Atomic::new(false),
                    quiet <- new_wait_queue!("Rewriter::quiet"),
                }),
                GFP_KERNEL,
            )?;
            all.push(rewriter.clone(), GFP_KERNEL)?;
            if table.resumed.load(Relaxed) {
                rewriter.open(Closed::Suspended);
            }
            Ok(Registered(rewriter))
        })
    }

    /// Returns the epoch of the device at present, to be looked at before something is read.
    pub(crate) fn epoch(&self) -> Epoch {
        Epoch::from_number(self.epoch.load(Acquire))
    }

    /// Begins a write of what was read in `read`. Returns `false` where it may not be written back any more.
    ///
    /// [`Rewriter::end`] has to follow when the write has ended, which may not wait for a suspended device
    /// to be resumed.
    #[must_use]
    pub(crate) fn begin(&self, read: Epoch) -> bool {
        // Pairs with settle(): either it sees this, or this sees that the epoch has ended.
        self.writing.fetch_add(1, Full);
        if read.is_open() && self.epoch() == read {
            return true;
        }
        self.end();
        false
    }

    /// Ends a write, successful or not.
    pub(crate) fn end(&self) {
        if self.writing.fetch_sub(1, Full) == 1 {
            self.quiet.notify_all();
        }
    }

    /// Closes the epoch for a reason: no write begins any more. Any context.
    pub(crate) fn close(&self, why: Closed) {
        self.change(|epoch| epoch.close(why));
    }

    /// Takes a reason back that the epoch was closed for. Any context.
    pub(crate) fn open(&self, why: Closed) {
        self.change(|epoch| epoch.open(why));
    }

    /// Returns whether the table has gone or was replaced. No write begins any more then.
    pub(crate) fn is_replaced(&self) -> bool {
        self.replaced.load(Acquire)
    }

    fn change(&self, next: impl Fn(Epoch) -> Epoch) {
        let mut known = self.epoch.load(Relaxed);
        while let Err(other) =
            self.epoch
                .cmpxchg(known, next(Epoch::from_number(known)).number(), Full)
        {
            known = other;
        }
    }

    fn is_quiet(&self) -> bool {
        self.writing.load(Acquire) == 0
    }
}

registry! {
    /// The rewriters of all devices. Taken before the list of tables, and never held while a thread
    /// waits for bios.
    mod rewriters: Arc<Rewriter>
}

/// Prepares the list. Called once, before the target is registered.
pub(in crate::remap) fn init() {
    rewriters::init();
}

/// Closes the rewriters of `table`, which is about to be suspended.
///
/// When this returns nothing of what was read through it is being written back, and nothing will be. Bios
/// still flow, and blocks still move. Sleeps until the writes that have begun have ended, as
/// device-mapper would.
pub(in crate::remap) fn suspend(table: &Table) {
    rewriters::with(|all| {
        table.resumed.store(false, Relaxed);
        for rewriter in all.iter().filter(|other| other.number == table.number) {
            rewriter.close(Closed::Suspended);
        }
    });
    let busy = |other: &&Arc<Rewriter>| other.number == table.number && !other.is_quiet();
    while let Some(rewriter) = rewriters::with(|all| all.iter().find(busy).cloned()) {
        rewriter.quiet.wait_idle(None, || rewriter.is_quiet());
    }
}

/// Opens the rewriters of `table`, which is in use for the first time or again.
pub(in crate::remap) fn resume(table: &Table) {
    rewriters::with(|all| {
        table.resumed.store(true, Relaxed);
        let place = core::ptr::from_ref(table) as usize;
        // What was read through another table is not written by this one.
        for rewriter in all.iter().filter(|other| other.table == place) {
            if !rewriter.is_replaced() {
                rewriter.open(Closed::Suspended);
            }
        }
    });
}

/// Tells the rewriters of `table` that it goes.
pub(in crate::remap) fn unregister(table: &Table) {
    rewriters::with(|all| {
        let place = core::ptr::from_ref(table) as usize;
        for rewriter in all.iter().filter(|other| other.table == place) {
            rewriter.replaced.store(true, Release);
        }
    });
}
