// SPDX-License-Identifier: GPL-2.0

//! A sample of what a worker has touched, to read again at the end.

use core::num::NonZeroU64;

use kernel::{
    prelude::*,
    sync::Arc, //
};
use remap_core::{
    random::Random,
    stress::generator::Operation, //
};

use super::memory::{
    Account,
    Charge, //
};

/// Ranges that each worker remembers. With 32 workers some 2000 are read again: a fraction of a
/// second even on a disk, and enough that a fault in one of a hundred writes shows.
const SAMPLE: usize = 64;

/// Most sectors of a range, where the device's logical block is no larger.
const PIECE: u32 = 8;

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
    /// Most sectors of a range.
    piece: u32,
    seen: u64,
    random: Random,
    _memory: Charge,
}

impl Sample {
    /// An empty sample of a device with logical blocks of so many sectors. May sleep.
    pub(super) fn new(
        (seed, worker): (u64, u32),
        logical_block: u32,
        account: &Arc<Account>,
    ) -> Result<Self> {
        Ok(Self {
            touched: KVec::with_capacity(SAMPLE, GFP_KERNEL)?,
            piece: PIECE.max(logical_block),
            seen: 0,
            // A stream beside those of the generators.
            random: Random::new(!seed, u64::from(worker)),
            _memory: Account::charge(account, SAMPLE * size_of::<Touched>()),
        })
    }

    /// Offers `operation`; `checksum` gives that of what some bytes of its range hold, from an
    /// offset on. It is called only for what is taken: of a large operation only a piece, so that
    /// nobody waits for checksums, at the start of a test less than anywhere.
    pub(super) fn offer(
        &mut self,
        operation: &Operation,
        checksum: impl FnOnce(usize, usize) -> u32,
    ) {
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
        let pieces = operation.sectors.div_ceil(self.piece);
        let skipped = match NonZeroU64::new(u64::from(pieces)) {
            Some(pieces) => self.random.below(pieces) as u32 * self.piece,
            None => return,
        };
        let sectors = self.piece.min(operation.sectors.saturating_sub(skipped));
        let touched = Touched {
            sector: operation.sector.saturating_add(u64::from(skipped)),
            sectors,
            checksum: checksum(skipped as usize * 512, sectors as usize * 512),
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
