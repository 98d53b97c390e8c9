// SPDX-License-Identifier: GPL-2.0

//! Slots of whole groups of 64 blocks, beside the filter.
//!
//! Blocks are mostly given slots in their own order: a list of bad blocks is, and so is a bad run, and a
//! group with one entry is anyway. Then the first slot is enough to know of a group: that of a block is
//! as many further as the filter has bits below the block's. With a million entries that is a quarter of a
//! megabyte, which a processor's cache can hold, where the cells take sixteen.
//!
//! # Proof
//!
//! A reader loads the word of the filter, then the rank, and has to be sure that they belong together.
//!
//! * Of the bits of a word, none is ever cleared. So of two states of a word with as many bits both have
//!   the same, and the number of them, which is kept with the first slot, tells whether it is that word.
//! * The writer takes the rank away before it changes a cell or the word of the group, and gives it
//!   again only when the cells say so of every bit. So a rank tells what the cells did when it was
//!   given, and a reader who finds it may have read the cells then.

use core::sync::atomic::{
    AtomicU64,
    Ordering, //
};

/// Bits of the first slot in a rank.
const SLOT_BITS: u32 = 25;

/// What is known of a group: its first slot and the number of its entries, or nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rank(u32);

impl Rank {
    /// Nothing.
    pub(super) const NONE: Self = Self(0);

    /// Of a group with so many entries, whose slots are those from `first` on.
    pub(super) fn new(first: u32, entries: u32) -> Self {
        Self((entries << SLOT_BITS).wrapping_add(first))
    }

    /// The first slot, where this is the rank of a group with the bits of `word`.
    pub(super) fn first(self, word: u64) -> Option<u32> {
        (self != Self::NONE && self.0 >> SLOT_BITS == word.count_ones())
            .then_some(self.0 & ((1 << SLOT_BITS) - 1))
    }

    /// The slot of the block of `bit`, where this is the rank of a group with the bits of `word`.
    #[inline(always)]
    pub(super) fn slot(self, word: u64, bit: u32) -> Option<u32> {
        let below = word & !u64::MAX.wrapping_shl(bit);
        (self.0 >> SLOT_BITS == word.count_ones() && word >> bit & 1 != 0)
            .then(|| (self.0 & ((1 << SLOT_BITS) - 1)).wrapping_add(below.count_ones()))
    }
}

/// Loads a group's rank from storage with two to a word. [`Rank::NONE`] where there is none.
#[inline(always)]
pub(super) fn load(ranks: &[AtomicU64], group: u64) -> Rank {
    match ranks.get((group >> 1) as usize) {
        Some(pair) => Rank((pair.load(Ordering::Acquire) >> shift(group)) as u32),
        None => Rank::NONE,
    }
}

/// Writer: stores it.
pub(super) fn store(ranks: &[AtomicU64], group: u64, rank: Rank) {
    if let Some(pair) = ranks.get((group >> 1) as usize) {
        let others = pair.load(Ordering::Relaxed) & !(u64::from(u32::MAX) << shift(group));
        let all = others.wrapping_add(u64::from(rank.0) << shift(group));
        pair.store(all, Ordering::Release);
    }
}

#[inline(always)]
fn shift(group: u64) -> u32 {
    (group as u32 & 1) << 5
}
