// SPDX-License-Identifier: GPL-2.0

//! A sample of what a worker has touched, to read again at the end.

use core::num::NonZeroU64;

use kernel::prelude::*;
use remap_core::workload::{
    Operation,
    Random, //
};

use super::memory::{
    Account,
    Charge, //
};

use kernel::sync::Arc;

/// Ranges that each worker remembers. With 32 workers some 2000 are read again: a fraction of a
/// second even on a disk, and enough that a fault in one of a hundred writes shows.
const SAMPLE: usize = 64;

/// A range and what it held.
#[derive(Clone, Copy)]
pub(super) struct Touched {
    pub(super) sector: u64,
    pub(super) sectors: u32,
    pub(super) checksum: u32,
}

/// A fair sample of all that passes: every range is as likely to be in it as any other
/// (Vitter's reservoir), and the same seed picks the same ones.
pub(super) struct Sample {
    touched: KVec<Touched>,
    seen: u64,
    random: Random,
    _memory: Charge,
}

impl Sample {
    /// An empty sample. May sleep.
    pub(super) fn new(seed: u64, worker: u32, account: &Arc<Account>) -> Result<Self> {
        Ok(Self {
            touched: KVec::with_capacity(SAMPLE, GFP_KERNEL)?,
            seen: 0,
            // A stream beside those of the generators.
            random: Random::new(!seed, u64::from(worker)),
            _memory: Account::charge(account, SAMPLE * size_of::<Touched>()),
        })
    }

    /// Offers `operation`, whose range holds what `checksum` computes. It is called only for
    /// those that are taken.
    pub(super) fn offer(&mut self, operation: &Operation, checksum: impl FnOnce() -> u32) {
        self.seen = self.seen.saturating_add(1);
        let place = if self.touched.len() < SAMPLE {
            self.touched.len()
        } else {
            match NonZeroU64::new(self.seen) {
                Some(seen) => self.random.below(seen) as usize,
                None => return,
            }
        };
        if place >= SAMPLE {
            return;
        }
        let touched = Touched {
            sector: operation.sector,
            sectors: operation.sectors,
            checksum: checksum(),
        };
        match self.touched.get_mut(place) {
            Some(slot) => *slot = touched,
            // There is capacity for the whole sample, so this allocates nothing.
            None => drop(self.touched.push_within_capacity(touched)),
        }
    }

    /// Takes one range out.
    pub(super) fn take(&mut self) -> Option<Touched> {
        self.touched.pop()
    }
}
