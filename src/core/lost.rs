// SPDX-License-Identifier: GPL-2.0

//! Lost sectors: those of a remapped block whose contents could not be read from main or were
//! given up. A read of one is an error until it has been written.

use crate::geometry::MAX_BLOCK_SECTORS;

const WORDS: usize = MAX_BLOCK_SECTORS as usize / 64;

/// The lost sectors of one block.
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
    /// No sector is lost.
    pub const NONE: Self = Self { bits: [0; WORDS] };

    /// The part of word `n` that lies in the `len` sectors from `first` on.
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

    /// The same sectors have been written: they are lost no more.
    pub fn written(&mut self, first: u32, len: u32) {
        for (n, word) in self.bits.iter_mut().enumerate() {
            *word &= !Self::mask(n, first, len);
        }
    }

    /// Whether one of the `len` sectors from `first` on is lost.
    pub fn any_in(&self, first: u32, len: u32) -> bool {
        self.bits
            .iter()
            .enumerate()
            .any(|(n, word)| word & Self::mask(n, first, len) != 0)
    }

    /// Whether all of the `len` sectors from `first` on are lost.
    pub fn all_in(&self, first: u32, len: u32) -> bool {
        self.bits.iter().enumerate().all(|(n, word)| {
            let mask = Self::mask(n, first, len);
            word & mask == mask
        })
    }

    /// Number of lost sectors.
    pub fn count(&self) -> u32 {
        self.bits.iter().map(|word| word.count_ones()).sum()
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
    }
}
