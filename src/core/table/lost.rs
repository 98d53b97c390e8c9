// SPDX-License-Identifier: GPL-2.0

//! Lost sectors of remapped blocks, whose contents could not be read from main or were given up. A read of a
//! lost sector fails until the sector has been written.
//!
//! A write to a lost sector takes two steps: the data is written to the slot, then the metadata records that
//! the sector has contents. In between the sector is *filled*: still lost for readers and in the
//! metadata, but its contents are in the slot, and a move of the block has to take them along.

use crate::table::geometry::MAX_BLOCK_SECTORS;

const WORDS: usize = MAX_BLOCK_SECTORS as usize / 64;

/// Set of lost sectors of one block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LostSectors {
    bits: [u64; WORDS],
}

impl Default for LostSectors {
    fn default() -> Self {
        Self::NONE
    }
}

impl LostSectors {
    /// Empty set.
    pub const NONE: Self = Self { bits: [0; WORDS] };

    /// Returns the bits of word `n` for the `len` sectors from `first` on.
    fn mask(n: usize, first: u32, len: u32) -> u64 {
        let base = (n as u32) * 64;
        let from = first.max(base).saturating_sub(base);
        let to = first
            .saturating_add(len)
            .min(base + 64)
            .saturating_sub(base);
        if from >= to {
            return 0;
        }
        (u64::MAX << from) & (u64::MAX >> (64 - to))
    }

    /// Marks the `len` sectors of the block from `first` on as lost.
    pub fn mark(&mut self, first: u32, len: u32) {
        for (n, word) in self.bits.iter_mut().enumerate() {
            *word |= Self::mask(n, first, len);
        }
    }

    /// Unmarks the `len` sectors from `first` on, which have been written.
    pub fn written(&mut self, first: u32, len: u32) {
        for (n, word) in self.bits.iter_mut().enumerate() {
            *word &= !Self::mask(n, first, len);
        }
    }

    /// Returns whether any of the `len` sectors from `first` on is lost.
    pub fn any_in(&self, first: u32, len: u32) -> bool {
        self.bits
            .iter()
            .enumerate()
            .any(|(n, word)| word & Self::mask(n, first, len) != 0)
    }

    /// Returns whether all of the `len` sectors from `first` on are lost.
    pub fn all_in(&self, first: u32, len: u32) -> bool {
        self.bits.iter().enumerate().all(|(n, word)| {
            let mask = Self::mask(n, first, len);
            word & mask == mask
        })
    }

    /// Returns the number of lost sectors.
    pub fn count(&self) -> u32 {
        self.bits.iter().map(|word| word.count_ones()).sum()
    }
}

/// Lost and filled sectors of one block.
///
/// # Invariants
///
/// Every filled sector is lost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LostBlock {
    lost: LostSectors,
    filled: LostSectors,
}

impl LostBlock {
    /// Makes the state of a block whose sectors `lost` are lost and not filled.
    pub const fn new(lost: LostSectors) -> Self {
        Self {
            lost,
            filled: LostSectors::NONE,
        }
    }

    /// Returns the lost sectors, filled or not.
    pub fn lost(&self) -> &LostSectors {
        &self.lost
    }

    /// Marks the `len` sectors from `first` on as lost. Sectors that are lost already stay filled or not.
    pub fn mark(&mut self, first: u32, len: u32) {
        self.lost.mark(first, len);
    }

    /// Marks the lost ones of the `len` sectors from `first` on as filled.
    pub fn fill(&mut self, first: u32, len: u32) {
        let words = self.filled.bits.iter_mut().zip(&self.lost.bits);
        for (n, (filled, lost)) in words.enumerate() {
            *filled |= lost & LostSectors::mask(n, first, len);
        }
    }

    /// Unmarks the `len` sectors from `first` on: the metadata records that they have contents.
    pub fn written(&mut self, first: u32, len: u32) {
        self.lost.written(first, len);
        self.filled.written(first, len);
    }

    /// Returns whether each of the `len` sectors from `first` on has contents in the slot: it is
    /// filled, or not lost.
    pub fn has_contents(&self, first: u32, len: u32) -> bool {
        let words = self.lost.bits.iter().zip(&self.filled.bits);
        words
            .enumerate()
            .all(|(n, (lost, filled))| lost & !filled & LostSectors::mask(n, first, len) == 0)
    }

    /// Returns whether none of the `len` sectors from `first` on has contents in the slot.
    pub fn is_empty(&self, first: u32, len: u32) -> bool {
        self.lost.all_in(first, len) && !self.filled.any_in(first, len)
    }

    /// Takes over the state of the `len` sectors from `first` on from `old`, the state of the block before a
    /// move. Sectors that are lost here already could not be read during the move. If they were filled in
    /// `old`, those contents are gone.
    pub fn inherit(&mut self, old: &Self, first: u32, len: u32) {
        for n in 0..WORDS {
            let mask = LostSectors::mask(n, first, len);
            let olds = (old.lost.bits.get(n), old.filled.bits.get(n));
            let news = (self.lost.bits.get_mut(n), self.filled.bits.get_mut(n));
            if let ((Some(old), Some(old_filled)), (Some(lost), Some(filled))) = (olds, news) {
                *filled |= old_filled & mask & !*lost;
                *lost |= old & mask;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn agrees_with_a_set(
            steps in prop::collection::vec((any::<bool>(), 0..2048_u32, 0..2100_u32), 0..20),
            first in 0..2048_u32,
            len in 0..300_u32,
        ) {
            let mut lost = LostSectors::default();
            let mut model = BTreeSet::new();
            for (mark, first, len) in steps {
                let range = first..(first + len).min(MAX_BLOCK_SECTORS);
                if mark {
                    lost.mark(first, len);
                    model.extend(range);
                } else {
                    lost.written(first, len);
                    model.retain(|sector| !range.contains(sector));
                }
                prop_assert_eq!(lost.count() as usize, model.len());
            }
            prop_assert_eq!(
                lost.any_in(first, len),
                (first..first + len).any(|sector| model.contains(&sector))
            );
            let end = (first + len).min(MAX_BLOCK_SECTORS);
            prop_assert_eq!(
                lost.all_in(first, len),
                (first..end).all(|sector| model.contains(&sector))
            );
        }

        #[test]
        fn a_block_agrees_with_sets(
            steps in prop::collection::vec((0..4_u8, 0..2048_u32, 0..700_u32), 0..20),
            (first, len) in (0..2048_u32, 1..300_u32),
            unreadable in (0..2048_u32, 0..300_u32),
        ) {
            let range = |first: u32, len: u32| first..(first + len).min(MAX_BLOCK_SECTORS);
            let mut block = LostBlock::default();
            let (mut lost, mut filled) = (BTreeSet::new(), BTreeSet::new());
            for (step, first, len) in steps {
                match step {
                    0 | 1 => {
                        block.mark(first, len);
                        lost.extend(range(first, len));
                    }
                    2 => {
                        block.fill(first, len);
                        filled.extend(range(first, len).filter(|sector| lost.contains(sector)));
                    }
                    _ => {
                        block.written(first, len);
                        lost.retain(|sector| !range(first, len).contains(sector));
                        filled.retain(|sector| !range(first, len).contains(sector));
                    }
                }
            }
            let empty = |sector: &u32| lost.contains(sector) && !filled.contains(sector);
            prop_assert_eq!(block.lost().count() as usize, lost.len());
            prop_assert_eq!(block.is_empty(first, len), range(first, len).all(|sector| empty(&sector)));
            let mut contents = range(first, len).map(|sector| !empty(&sector));
            prop_assert_eq!(block.has_contents(first, len), contents.all(|has| has));

            let mut moved = LostBlock::default();
            moved.mark(unreadable.0, unreadable.1);
            moved.inherit(&block, first, len);
            let unread = range(unreadable.0, unreadable.1);
            for sector in 0..MAX_BLOCK_SECTORS {
                let inherited = range(first, len).contains(&sector) && lost.contains(&sector);
                let is_lost = inherited || unread.contains(&sector);
                let has = inherited && filled.contains(&sector) && !unread.contains(&sector);
                prop_assert_eq!(moved.lost().any_in(sector, 1), is_lost);
                prop_assert_eq!(moved.has_contents(sector, 1), !is_lost || has);
            }
        }
    }
}
