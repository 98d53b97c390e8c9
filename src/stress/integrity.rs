// SPDX-License-Identifier: GPL-2.0

//! ReservoirSample of the ranges that a worker has accessed. They are read again at the end.

use core::num::{
    NonZeroU32,
    NonZeroU64, //
};

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

/// Number of ranges in a sample. With 32 workers about 2000 ranges are read again. On a fast device this
/// takes a fraction of a second, and it is enough to find a fault in one of a hundred writes.
const SAMPLE: usize = 64;

/// Largest number of sectors of a range, unless the device's logical block is larger.
const PIECE: u32 = 8;

/// Range and the checksum of its contents.
#[derive(Clone, Copy)]
pub(super) struct Touched {
    pub(super) sector: u64,
    pub(super) sectors: u32,
    pub(super) checksum: u32,
}

/// Fair sample of the ranges that a worker accesses: each is as likely to be in it as any other (reservoir
/// sampling). It depends on the seed and the operations only.
pub(super) struct ReservoirSample {
    touched: KVec<Touched>,
    /// Largest number of sectors of a range.
    piece: NonZeroU32,
    seen: u64,
    random: Random,
    _memory: Charge,
}

impl ReservoirSample {
    /// Makes an empty sample for a device with logical blocks of `logical_block` sectors. May sleep.
    pub(super) fn new(
        (seed, worker): (u64, u32),
        logical_block: u32,
        account: &Arc<Account>,
    ) -> Result<Self> {
        Ok(Self {
            touched: KVec::with_capacity(SAMPLE, GFP_KERNEL)?,
            piece: NonZeroU32::new(PIECE.max(logical_block)).ok_or(EINVAL)?,
            seen: 0,
            // Another stream than those of the generators.
            random: Random::new(!seed, u64::from(worker)),
            _memory: Account::charge(account, SAMPLE * size_of::<Touched>()),
        })
    }

    /// Offers the range of `operation`. `checksum` returns the checksum of the range's contents, of some
    /// bytes from an offset on.
    ///
    /// Of a large range only a piece is taken, and `checksum` is called for that piece only. At the start of
    /// a test every range is taken, and checksums of whole ranges would slow the workers down.
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
        let piece = self.piece.get();
        let pieces = operation.sectors.div_ceil(piece);
        let skipped = match NonZeroU64::new(u64::from(pieces)) {
            Some(pieces) => self.random.below(pieces) as u32 * piece,
            None => return,
        };
        let sectors = piece.min(operation.sectors.saturating_sub(skipped));
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

    /// Takes a range out of the sample.
    pub(super) fn take(&mut self) -> Option<Touched> {
        self.touched.pop()
    }
}
