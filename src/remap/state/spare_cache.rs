// SPDX-License-Identifier: GPL-2.0

//! The volatile cache of the spare, and whether a flush has to go there.

use kernel::sync::atomic::{
    Atomic,
    Full,
    Relaxed, //
};

use crate::linux::compat::{
    smp_mb,
    Read, //
};

/// Bit: a write to the spare has completed since the last flush of it began.
const WRITTEN: u32 = 1 << 31;

/// Bit: a block is on the spare, or on its way there.
const OCCUPIED: u32 = 1 << 30;

/// Bits: the number of flushes of the spare that are in flight.
const FLUSHES: u32 = OCCUPIED - 1;

/// Knowledge of whether the cache of the spare may hold what was acknowledged.
///
/// A flush does not go to the spare where no block is there, or where nothing was written since the last flush. So
/// a spare that is gone and has no block fails no flush. All methods may be called in any context.
///
/// # Proof
///
/// A write that was acknowledged before a flush is mapped has set [`WRITTEN`] before. If the flush does not find
/// the bit, an earlier flush has taken it, and was sent after the write completed. If that flush is in flight, it is
/// counted, and the later one is sent as well. If it has failed, the bit was set again in the step that counted it
/// out.
pub(in crate::remap) struct SpareCache {
    state: Atomic<u32>,
}

impl SpareCache {
    /// Makes one for a table that begins with blocks on the spare, or with none. What was written through an
    /// earlier table may still be in the cache.
    pub(in crate::remap) fn new(occupied: bool) -> Self {
        Self {
            state: Atomic::new(if occupied { OCCUPIED | WRITTEN } else { 0 }),
        }
    }

    /// Records that a block is about to go to the spare. Called before anything of it is written there.
    pub(in crate::remap) fn occupy(&self) {
        self.change(|state| Some(state | OCCUPIED));
    }

    /// Records that no block is on the spare or on its way there.
    pub(in crate::remap) fn vacate(&self) {
        self.change(|state| Some(state & !OCCUPIED));
    }

    /// Records that a write to the spare has completed, before it is acknowledged.
    pub(in crate::remap) fn record_write(&self) {
        // The look must not come before the completion: a flush may have taken the bit in between.
        smp_mb(Read);
        if self.state.load(Relaxed) & WRITTEN == 0 {
            self.change(|state| Some(state | WRITTEN));
        }
    }

    /// Begins a flush. Returns `false` where it need not go to the spare, else [`SpareCache::end_flush`] has to
    /// follow.
    #[must_use]
    pub(in crate::remap) fn begin_flush(&self) -> bool {
        self.change(|state| {
            let wanted = state & OCCUPIED != 0 && state & (WRITTEN | FLUSHES) != 0;
            wanted.then(|| (state & !WRITTEN).wrapping_add(1))
        })
    }

    /// Ends a flush that was sent to the spare. `done` says that it has succeeded.
    pub(in crate::remap) fn end_flush(&self, done: bool) {
        let written = if done { 0 } else { WRITTEN };
        self.change(|state| Some(state.wrapping_sub(1) | written));
    }

    /// Replaces the state by what `next` makes of it. Returns `false` where that is nothing.
    fn change(&self, next: impl Fn(u32) -> Option<u32>) -> bool {
        let mut known = self.state.load(Relaxed);
        while let Some(new) = next(known) {
            match self.state.cmpxchg(known, new, Full) {
                Ok(_) => return true,
                Err(other) => known = other,
            }
        }
        false
    }
}
