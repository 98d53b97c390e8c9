// SPDX-License-Identifier: GPL-2.0

//! Sleep and wakening of the keeper, and what it reads with.

use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Full,
            Relaxed,
            Release, //
        },
        Mutex, //
    }, //
};

use super::reader::{
    Reader,
    SECTORS_TOGETHER, //
};
use crate::linux::{
    block_device::BlockDevice,
    wait::{
        new_wait_queue,
        WaitQueue, //
    }, //
};

/// The keeper of a table as others see it.
#[pin_data]
pub(in crate::remap) struct Keeper {
    /// Reader of the keeper. Held while it uses the devices.
    #[pin]
    pub(in crate::remap) reader: Mutex<Reader>,
    has_work: Atomic<u32>,
    is_stopped: Atomic<u32>,
    #[pin]
    pause: WaitQueue,
}

impl Keeper {
    /// Makes that of a new table. May sleep. `ENOMEM`.
    #[inline(never)]
    pub(in crate::remap) fn new(
        main: &BlockDevice,
        spare: &BlockDevice,
    ) -> Result<Pin<KBox<Self>>> {
        let reader = Reader::new(main, spare, SECTORS_TOGETHER)?;
        let keeper = pin_init!(Self {
            reader <- new_mutex!(reader, "dm_remap::keeper"),
            has_work: Atomic::new(0),
            is_stopped: Atomic::new(0),
            pause <- new_wait_queue!("dm_remap::keeper_pause"),
        });
        KBox::pin_init(keeper, GFP_KERNEL)
    }

    /// Wakes the keeper: there is something to look at. Any context.
    pub(in crate::remap) fn wake(&self) {
        self.has_work.store(1, Release);
        self.pause.notify_all();
    }

    /// Tells the keeper to end. May be called in any context.
    pub(in crate::remap) fn stop(&self) {
        self.is_stopped.store(1, Relaxed);
        self.pause.notify_all();
    }

    /// Returns whether the keeper is to end.
    pub(in crate::remap) fn is_stopped(&self) -> bool {
        self.is_stopped.load(Relaxed) != 0
    }

    /// Waits until the keeper uses no device. Sleeps.
    pub(in crate::remap) fn settle(&self) {
        drop(self.reader.lock());
    }

    /// Sleeps for so many nanoseconds, or until there is something to look at or the keeper is to end. Returns
    /// whether it is.
    pub(in crate::remap) fn rest(&self, ns: u64) -> bool {
        let ready = || self.is_stopped() || self.has_work.load(Relaxed) != 0;
        self.pause.wait_idle(Some(ns), ready);
        // Before the keeper looks: what comes later wakes it again.
        self.has_work.xchg(0, Full);
        self.is_stopped()
    }
}
