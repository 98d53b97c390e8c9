// SPDX-License-Identifier: GPL-2.0

//! A scrub: its thread, and how far it has come.

use core::fmt::{
    self,
    Write, //
};

use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Mutex, //
    }, //
};

use remap_core::numbered::Numbered;

use super::reader::Reader;
use crate::linux::{
    atomic_enum::AtomicEnum,
    kthread::Kthread,
    text::Text,
    wait::{
        new_wait_queue,
        WaitQueue, //
    }, //
};

/// State of a scrub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::remap) enum ScrubState {
    /// None was started.
    Idle,
    /// The scrub reads, or waits for its turn.
    Running,
    /// The scrub has read everything.
    Done,
    /// The scrub was stopped, or could not go on.
    Stopped,
}

impl Numbered for ScrubState {
    const ALL: &'static [Self] = &[Self::Idle, Self::Running, Self::Done, Self::Stopped];
    const FALLBACK: Self = Self::Idle;

    fn number(self) -> u32 {
        self as u32
    }
}

/// The scrub of a table.
#[pin_data]
pub(in crate::remap) struct Scrub {
    /// Thread of the scrub. Held while a scrub is started or stopped.
    #[pin]
    pub(in crate::remap) thread: Mutex<Option<Kthread>>,
    /// Reader of the scrub. Held while a chunk is read.
    #[pin]
    pub(in crate::remap) reader: Mutex<Option<Reader>>,
    pub(in crate::remap) state: AtomicEnum<ScrubState>,
    /// Sectors that were looked at.
    pub(in crate::remap) read: Atomic<u64>,
    /// Blocks that could not be read.
    pub(in crate::remap) unreadable: Atomic<u64>,
    pub(in crate::remap) stop: Atomic<u32>,
    #[pin]
    pub(in crate::remap) pause: WaitQueue,
}

impl Scrub {
    /// Makes one that was never started. May sleep.
    #[inline(never)]
    pub(in crate::remap) fn new() -> Result<Pin<KBox<Self>>> {
        let scrub = pin_init!(Self {
            thread <- new_mutex!(None, "dm_remap::scrub"),
            reader <- new_mutex!(None, "dm_remap::scrub_reader"),
            state: AtomicEnum::new(ScrubState::Idle),
            read: Atomic::new(0),
            unreadable: Atomic::new(0),
            stop: Atomic::new(0),
            pause <- new_wait_queue!("dm_remap::scrub_pause"),
        });
        KBox::pin_init(scrub, GFP_KERNEL)
    }

    pub(in crate::remap) fn is(&self, state: ScrubState) -> bool {
        self.state.load() == state
    }

    pub(in crate::remap) fn enter(&self, state: ScrubState) {
        self.state.store(state);
    }

    /// Waits until nothing is being read.
    pub(in crate::remap) fn settle(&self) {
        drop(self.reader.lock());
    }

    /// Ends the scrub, if it runs. Returns whether its thread was stopped before it ran, so that it has not
    /// reported the end. Sleeps until the chunk in flight has been read.
    pub(in crate::remap) fn stop(&self) -> bool {
        let mut thread = self.thread.lock();
        self.stop.store(1, Relaxed);
        self.pause.notify_all();
        // Joins it.
        drop(thread.take());
        *self.reader.lock() = None;
        let unreported = self.is(ScrubState::Running);
        if unreported {
            self.enter(ScrubState::Stopped);
        }
        unreported
    }

    /// Returns how many sectors were read, if the scrub runs.
    pub(in crate::remap) fn progress(&self) -> Option<u64> {
        self.is(ScrubState::Running)
            .then(|| self.read.load(Relaxed))
    }

    /// Prints the state of the scrub, of so many sectors.
    pub(in crate::remap) fn print(&self, sectors: u64, text: &mut Text<'_>) -> fmt::Result {
        // First: the figures of a scrub that has ended are final.
        let state = self.state.load();
        let (read, unreadable) = (self.read.load(Relaxed), self.unreadable.load(Relaxed));
        match state {
            ScrubState::Idle => text.write_str("idle"),
            ScrubState::Running => write!(text, "running {read}/{sectors} unreadable {unreadable}"),
            ScrubState::Done => write!(text, "done {sectors} unreadable {unreadable}"),
            ScrubState::Stopped => write!(text, "stopped {read}/{sectors} unreadable {unreadable}"),
        }
    }

    /// Sleeps for so many nanoseconds, or until the scrub is stopped. Returns whether it is.
    pub(in crate::remap) fn rest(&self, ns: u64) -> bool {
        self.pause
            .wait_idle(Some(ns), || self.stop.load(Relaxed) != 0)
    }
}
