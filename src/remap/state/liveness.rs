// SPDX-License-Identifier: GPL-2.0

//! Knowledge of whether a device answers, and of the sectors that it is asked for.

use kernel::sync::atomic::{
    Atomic,
    Relaxed, //
};

/// Number of sectors that are remembered.
const RECENT: usize = 3;

/// Sentinel for a sector that is not known.
const UNKNOWN: u64 = u64::MAX;

/// Liveness of one device. All methods may be called in any context.
pub(in crate::remap) struct Liveness {
    /// Not 0 during an outage.
    is_out: Atomic<u32>,
    /// Not 0 where I/O has failed since the keeper last asked.
    is_suspected: Atomic<u32>,
    /// Not 0 where I/O has succeeded in an outage since the keeper last asked.
    has_answered: Atomic<u32>,
    /// Sectors that were read lately, in the order of their arrival in a ring.
    recent: [Atomic<u64>; RECENT],
    /// Place of the next one.
    next: Atomic<u32>,
    /// Number of other witnesses that were bad.
    passed_over: Atomic<u32>,
}

impl Liveness {
    /// Makes that of a device of which nothing is known.
    pub(in crate::remap) fn new() -> Self {
        Self {
            is_out: Atomic::new(0),
            is_suspected: Atomic::new(0),
            has_answered: Atomic::new(0),
            recent: core::array::from_fn(|_| Atomic::new(UNKNOWN)),
            next: Atomic::new(0),
            passed_over: Atomic::new(0),
        }
    }

    /// Returns whether the device does not answer.
    pub(in crate::remap) fn is_out(&self) -> bool {
        self.is_out.load(Relaxed) != 0
    }

    /// Sets whether the device does not answer. Returns whether that is news.
    pub(in crate::remap) fn set_out(&self, out: bool) -> bool {
        self.is_out.xchg(u32::from(out), Relaxed) != u32::from(out)
    }

    /// Records that I/O has failed, so that the keeper asks whether the device answers.
    pub(in crate::remap) fn suspect(&self) {
        self.is_suspected.store(1, Relaxed);
    }

    /// Returns whether I/O has failed since the last call.
    pub(in crate::remap) fn take_suspicion(&self) -> bool {
        self.is_suspected.xchg(0, Relaxed) != 0
    }

    /// Records that I/O has succeeded.
    pub(in crate::remap) fn record_answer(&self) {
        self.has_answered.store(1, Relaxed);
    }

    /// Returns whether I/O has succeeded since the last call.
    pub(in crate::remap) fn take_answer(&self) -> bool {
        self.has_answered.xchg(0, Relaxed) != 0
    }

    /// Records that a logical block could be read whose first sector this is.
    pub(in crate::remap) fn record_read(&self, sector: u64) {
        if self.recent().any(|known| known == sector) {
            return;
        }
        let next = self.next.fetch_add(1, Relaxed) as usize % RECENT;
        if let Some(oldest) = self.recent.get(next) {
            oldest.store(sector, Relaxed);
        }
    }

    /// Returns how many witnesses that were not read lately were passed over.
    pub(in crate::remap) fn passed_over(&self) -> u32 {
        self.passed_over.load(Relaxed)
    }

    /// Passes over a witness: it could not be read, or not soon. Others are asked first from now on.
    pub(in crate::remap) fn pass_over(&self, sector: u64) {
        let mut is_recent = false;
        for known in &self.recent {
            if known.load(Relaxed) == sector {
                known.store(UNKNOWN, Relaxed);
                is_recent = true;
            }
        }
        if !is_recent {
            self.passed_over.fetch_add(1, Relaxed);
        }
    }

    /// Returns the sectors that were read lately, the last one first as a rule.
    pub(in crate::remap) fn recent(&self) -> impl Iterator<Item = u64> + '_ {
        let next = self.next.load(Relaxed) as usize;
        let newest_first = (1..=RECENT).map(move |back| next.wrapping_sub(back) % RECENT);
        let sectors = newest_first.filter_map(|place| self.recent.get(place));
        sectors
            .map(|sector| sector.load(Relaxed))
            .filter(|sector| *sector != UNKNOWN)
    }
}
