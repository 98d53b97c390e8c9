// SPDX-License-Identifier: GPL-2.0

//! Sectors of blocks on the spare that have no contents in their slot.
//!
//! An *unread* sector was not copied when its block moved: main keeps the contents, and nothing is written
//! there. The contents of a *lost* sector are gone: they were in a slot that could not be read, and nowhere
//! else. A read of either fails until the sector has been written.
//!
//! The unread sectors of a block are *untried* while main was not asked for them since the block moved, or since
//! the table was loaded: main may be able to read them.
//!
//! A write to an unread or a lost sector takes two steps: the data is written to the slot, then the metadata
//! records that the sector has contents. In between the sector is *filled*: still unread or lost for readers and in
//! the metadata, but its contents are in the slot, and a move of the block has to take them along. A read of an untried
//! sector that is filled has the contents that main keeps.

use crate::table::geometry::MAX_BLOCK_SECTORS;

const WORDS: usize = MAX_BLOCK_SECTORS as usize / 64;

/// Set of sectors of one block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SectorSet {
    bits: [u64; WORDS],
}

impl Default for SectorSet {
    fn default() -> Self {
        Self::NONE
    }
}

impl SectorSet {
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

    /// Adds the `len` sectors of the block from `first` on.
    pub fn insert(&mut self, first: u32, len: u32) {
        for (n, word) in self.bits.iter_mut().enumerate() {
            *word |= Self::mask(n, first, len);
        }
    }

    /// Removes the `len` sectors from `first` on.
    pub fn remove(&mut self, first: u32, len: u32) {
        for (n, word) in self.bits.iter_mut().enumerate() {
            *word &= !Self::mask(n, first, len);
        }
    }

    /// Returns whether the set has any of the `len` sectors from `first` on.
    pub fn any_in(&self, first: u32, len: u32) -> bool {
        self.bits
            .iter()
            .enumerate()
            .any(|(n, word)| word & Self::mask(n, first, len) != 0)
    }

    /// Returns whether the set has all of the `len` sectors from `first` on.
    pub fn all_in(&self, first: u32, len: u32) -> bool {
        self.bits.iter().enumerate().all(|(n, word)| {
            let mask = Self::mask(n, first, len);
            word & mask == mask
        })
    }

    /// Returns the number of sectors in the set.
    pub fn count(&self) -> u32 {
        self.bits.iter().map(|word| word.count_ones()).sum()
    }

    /// Returns whether the set is empty.
    pub fn is_empty(&self) -> bool {
        *self == Self::NONE
    }
}

/// Ways in which a range of sectors lacks contents in its slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Missing {
    /// Sectors are unread, filled or not.
    pub unread: bool,
    /// Sectors are lost, filled or not.
    pub lost: bool,
    /// Unread or lost sectors are filled.
    pub filled: bool,
}

impl Missing {
    /// Returns whether any sector is unread or lost.
    pub const fn any(self) -> bool {
        self.unread || self.lost
    }
}

/// Place that a sector of a block on the spare is read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The slot.
    Slot,
    /// Main, which was not asked for the sector so far.
    Main,
    /// None: a read fails.
    Nowhere,
}

/// Unread, lost and filled sectors of one block.
///
/// # Invariants
///
/// No sector is both unread and lost. Every filled sector is unread or lost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LostBlock {
    unread: SectorSet,
    lost: SectorSet,
    filled: SectorSet,
    untried: bool,
    /// Main has refused the unread sectors, and is asked again since the block is untried.
    refused_before: bool,
    /// Number that tells this stay of the block in its slot from others.
    pub stay: u64,
}

impl LostBlock {
    /// State of a block whose contents are all in the slot.
    pub const WHOLE: Self = Self {
        unread: SectorSet::NONE,
        lost: SectorSet::NONE,
        filled: SectorSet::NONE,
        untried: false,
        refused_before: false,
        stay: 0,
    };

    /// Returns the unread sectors, filled or not.
    pub fn unread(&self) -> &SectorSet {
        &self.unread
    }

    /// Returns the lost sectors, filled or not.
    pub fn lost(&self) -> &SectorSet {
        &self.lost
    }

    /// Returns whether the block has unread sectors that main was not asked for.
    pub fn is_untried(&self) -> bool {
        self.untried && !self.unread.is_empty()
    }

    /// Sets whether main was not asked for the unread sectors, those that become unread later included.
    pub fn set_untried(&mut self, untried: bool) {
        self.untried = untried;
        self.refused_before = false;
    }

    /// Makes the block untried: main is asked for its unread sectors again.
    pub fn ask_again(&mut self) {
        self.refused_before |= !self.untried;
        self.untried = true;
    }

    /// Returns whether the block has unread sectors that main has refused when it was asked last.
    pub fn is_refused(&self) -> bool {
        (!self.untried || self.refused_before) && !self.unread.is_empty()
    }

    /// Marks the `len` sectors from `first` on as unread, except for those that are lost. Sectors stay filled or
    /// not.
    pub fn mark_unread(&mut self, first: u32, len: u32) {
        let words = self.unread.bits.iter_mut().zip(&self.lost.bits);
        for (n, (unread, lost)) in words.enumerate() {
            *unread |= SectorSet::mask(n, first, len) & !lost;
        }
    }

    /// Marks the `len` sectors from `first` on as lost. Sectors stay filled or not.
    pub fn mark_lost(&mut self, first: u32, len: u32) {
        self.lost.insert(first, len);
        self.unread.remove(first, len);
    }

    /// Returns whether any sector is filled.
    pub fn has_fills(&self) -> bool {
        !self.filled.is_empty()
    }

    /// Makes all sectors not filled: what was written to their slot is not what counts.
    pub fn forget_fills(&mut self) {
        self.filled = SectorSet::NONE;
    }

    /// Marks the unread and the lost ones of the `len` sectors from `first` on as filled.
    pub fn fill(&mut self, first: u32, len: u32) {
        let missing = self.unread.bits.iter().zip(&self.lost.bits);
        for (n, (filled, (unread, lost))) in self.filled.bits.iter_mut().zip(missing).enumerate() {
            *filled |= (unread | lost) & SectorSet::mask(n, first, len);
        }
    }

    /// Unmarks the `len` sectors from `first` on: the metadata records that they have contents.
    pub fn written(&mut self, first: u32, len: u32) {
        for set in [&mut self.unread, &mut self.lost, &mut self.filled] {
            set.remove(first, len);
        }
    }

    /// Returns whether no sector is unread or lost.
    pub fn is_whole(&self) -> bool {
        self.unread.is_empty() && self.lost.is_empty()
    }

    /// Returns how the `len` sectors from `first` on lack contents.
    pub fn missing_in(&self, first: u32, len: u32) -> Missing {
        let [unread, lost, filled] =
            [&self.unread, &self.lost, &self.filled].map(|set| set.any_in(first, len));
        Missing {
            unread,
            lost,
            filled,
        }
    }

    /// Returns whether each of the `len` sectors from `first` on has contents in the slot: it is
    /// filled, or neither unread nor lost.
    pub fn has_contents(&self, first: u32, len: u32) -> bool {
        let missing = self.unread.bits.iter().zip(&self.lost.bits);
        let words = missing.zip(&self.filled.bits);
        words.enumerate().all(|(n, ((unread, lost), filled))| {
            (unread | lost) & !filled & SectorSet::mask(n, first, len) == 0
        })
    }

    /// Returns whether none of the `len` sectors from `first` on has contents in the slot.
    pub fn is_empty(&self, first: u32, len: u32) -> bool {
        let words = self.unread.bits.iter().zip(&self.lost.bits);
        let all_missing = words.enumerate().all(|(n, (unread, lost))| {
            let mask = SectorSet::mask(n, first, len);
            (unread | lost) & mask == mask
        });
        all_missing && !self.filled.any_in(first, len)
    }

    /// Returns where the `len` sectors from `first` on are read, and for how many of them that holds. `Nowhere` holds
    /// for all of them if it does for any.
    pub fn source_of(&self, first: u32, len: u32) -> (Source, u32) {
        let end = first.saturating_add(len);
        let missing = self.missing_in(first, len);
        if missing.lost || missing.unread && !self.untried {
            return (Source::Nowhere, len);
        }
        let is_unread = |sector: &u32| self.unread.any_in(*sector, 1);
        let from_main = is_unread(&first);
        let run = (first..end).take_while(|sector| is_unread(sector) == from_main);
        let source = match from_main {
            true => Source::Main,
            false => Source::Slot,
        };
        (source, run.count() as u32)
    }

    /// Returns the first run of sectors, of those from `from` to before `end`, whose contents only main has.
    pub fn unread_run(&self, from: u32, end: u32) -> Option<(u32, u32)> {
        self.run(from, end, |block, sector| block.is_on_main(sector, 1))
    }

    /// Returns the first run of sectors, of those from `from` to before `end`, whose contents only main has, and which
    /// are in `read`.
    pub fn run_to_store(&self, read: &SectorSet, from: u32, end: u32) -> Option<(u32, u32)> {
        self.run(from, end, |block, sector| {
            read.any_in(sector, 1) && block.is_on_main(sector, 1)
        })
    }

    /// Returns the first run of sectors, of those from `from` to before `end`, that have contents in the slot.
    pub fn contents_run(&self, from: u32, end: u32) -> Option<(u32, u32)> {
        self.run(from, end, |block, sector| block.has_contents(sector, 1))
    }

    fn run(&self, from: u32, end: u32, is: impl Fn(&Self, u32) -> bool) -> Option<(u32, u32)> {
        let first = (from..end).find(|sector| is(self, *sector))?;
        let run = (first..end).take_while(|sector| is(self, *sector));
        Some((first, run.count() as u32))
    }

    /// Returns whether main has the contents of all of the `len` sectors from `first` on: they are unread and
    /// not filled.
    pub fn is_on_main(&self, first: u32, len: u32) -> bool {
        self.unread.all_in(first, len) && !self.filled.any_in(first, len)
    }

    /// Takes over the state of the `len` sectors from `first` on from `old`, the state of the block before a move
    /// from one slot to another. Sectors that are marked here already could not be read from the old slot:
    ///
    /// * If they were filled in `old`, those contents are gone. The write that filled them is not acknowledged.
    /// * If they were unread in `old`, they stay unread: the slot had nothing to read, and main has their contents.
    pub fn inherit(&mut self, old: &Self, first: u32, len: u32) {
        self.untried |= old.untried;
        self.refused_before |= old.refused_before;
        let olds = old.unread.bits.iter().zip(&old.lost.bits);
        let olds = olds.zip(&old.filled.bits);
        let news = self.unread.bits.iter_mut().zip(&mut self.lost.bits);
        let news = news.zip(&mut self.filled.bits);
        for (n, (((unread, lost), filled), ((old_unread, old_lost), old_filled))) in
            news.zip(olds).enumerate()
        {
            let mask = SectorSet::mask(n, first, len);
            *filled |= old_filled & mask & !(*unread | *lost);
            *lost = *lost & !(old_unread & mask) | old_lost & mask;
            *unread = (*unread | old_unread & mask) & !*lost;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;
    use std::vec::Vec;

    proptest! {
        #[test]
        fn a_set_agrees_with_a_set(
            steps in prop::collection::vec((any::<bool>(), 0..2048_u32, 0..2100_u32), 0..20),
            first in 0..2048_u32,
            len in 0..300_u32,
        ) {
            let mut set = SectorSet::default();
            let mut model = BTreeSet::new();
            for (insert, first, len) in steps {
                let range = first..(first + len).min(MAX_BLOCK_SECTORS);
                if insert {
                    set.insert(first, len);
                    model.extend(range);
                } else {
                    set.remove(first, len);
                    model.retain(|sector| !range.contains(sector));
                }
                prop_assert_eq!(set.count() as usize, model.len());
                prop_assert_eq!(set.is_empty(), model.is_empty());
            }
            prop_assert_eq!(
                set.any_in(first, len),
                (first..first + len).any(|sector| model.contains(&sector))
            );
            let end = (first + len).min(MAX_BLOCK_SECTORS);
            prop_assert_eq!(
                set.all_in(first, len),
                (first..end).all(|sector| model.contains(&sector))
            );
        }
    }

    /// Sector of a block on the spare.
    #[derive(Clone, Copy, Debug, Default, PartialEq)]
    struct Sector {
        unread: bool,
        lost: bool,
        filled: bool,
    }

    impl Sector {
        fn has_contents(self) -> bool {
            self.filled || !(self.unread || self.lost)
        }
    }

    type Step = (u8, u32, u32);

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        prop::collection::vec((0..5_u8, 0..2048_u32, 0..700_u32), 0..20)
    }

    fn range(first: u32, len: u32) -> core::ops::Range<usize> {
        let end = (first + len).min(MAX_BLOCK_SECTORS);
        first.min(end) as usize..end as usize
    }

    /// Takes these steps with a block, and with its sectors one by one.
    fn blocks(steps: &[Step]) -> (LostBlock, Vec<Sector>) {
        let mut block = LostBlock::default();
        let mut sectors = std::vec![Sector::default(); MAX_BLOCK_SECTORS as usize];
        for &(step, first, len) in steps {
            for sector in &mut sectors[range(first, len)] {
                match step {
                    0 => sector.unread |= !sector.lost,
                    1 => (sector.unread, sector.lost) = (false, true),
                    2 | 3 => sector.filled |= sector.unread || sector.lost,
                    _ => *sector = Sector::default(),
                }
            }
            match step {
                0 => block.mark_unread(first, len),
                1 => block.mark_lost(first, len),
                2 | 3 => block.fill(first, len),
                _ => block.written(first, len),
            }
        }
        (block, sectors)
    }

    fn state_of(block: &LostBlock, sector: usize) -> Sector {
        let Missing {
            unread,
            lost,
            filled,
        } = block.missing_in(sector as u32, 1);
        Sector {
            unread,
            lost,
            filled,
        }
    }

    proptest! {
        #[test]
        fn a_block_agrees_with_its_sectors(
            steps in steps(),
            (first, len) in (0..2048_u32, 1..300_u32),
        ) {
            let (block, sectors) = blocks(&steps);
            for (number, sector) in sectors.iter().enumerate() {
                prop_assert_eq!(state_of(&block, number), *sector);
                prop_assert!(!sector.unread || !sector.lost);
            }
            let count = |is: fn(&Sector) -> bool| sectors.iter().filter(|it| is(it)).count();
            prop_assert_eq!(block.unread().count() as usize, count(|it| it.unread));
            prop_assert_eq!(block.lost().count() as usize, count(|it| it.lost));
            prop_assert_eq!(block.is_whole(), count(|it| it.unread || it.lost) == 0);
            let part = &sectors[range(first, len)];
            let missing = block.missing_in(first, len);
            prop_assert_eq!(missing.unread, part.iter().any(|it| it.unread));
            prop_assert_eq!(missing.lost, part.iter().any(|it| it.lost));
            prop_assert_eq!(missing.filled, part.iter().any(|it| it.filled));
            prop_assert_eq!(missing.any(), part.iter().any(|it| it.unread || it.lost));
            prop_assert_eq!(block.has_contents(first, len), part.iter().all(|it| it.has_contents()));
            prop_assert_eq!(block.is_empty(first, len), !part.iter().any(|it| it.has_contents()));
            let on_main = part.iter().all(|it| it.unread && !it.filled);
            prop_assert_eq!(block.is_on_main(first, len), on_main);
        }

        #[test]
        fn runs_and_sources_agree_with_the_sectors(
            steps in steps(),
            untried: bool,
            (first, len) in (0..2048_u32, 1..300_u32),
        ) {
            let (mut block, sectors) = blocks(&steps);
            block.set_untried(untried);
            let source = |it: &Sector| match it {
                Sector { lost: true, .. } => Source::Nowhere,
                Sector { unread: true, .. } if untried => Source::Main,
                Sector { unread: true, .. } => Source::Nowhere,
                _ => Source::Slot,
            };
            let end = (first + len).min(MAX_BLOCK_SECTORS);
            let part = &sectors[range(first, len)];
            let sources: Vec<Source> = part.iter().map(source).collect();
            let wanted = if sources.contains(&Source::Nowhere) {
                (Source::Nowhere, sources.len())
            } else {
                let same = sources.iter().take_while(|it| **it == sources[0]);
                (sources[0], same.count())
            };
            let (found, count) = block.source_of(first, end - first);
            prop_assert_eq!((found, count as usize), wanted);
            let run = |is: fn(&Sector) -> bool| {
                let start = part.iter().position(is)?;
                let count = part[start..].iter().take_while(|it| is(it)).count();
                Some((first + start as u32, count as u32))
            };
            prop_assert_eq!(block.unread_run(first, end), run(|it| it.unread && !it.filled));
            let mut all = SectorSet::NONE;
            prop_assert_eq!(block.run_to_store(&all, first, end), None);
            all.insert(first, end - first);
            let stored = block.run_to_store(&all, first, end);
            prop_assert_eq!(stored, block.unread_run(first, end));
            prop_assert_eq!(block.contents_run(first, end), run(|it| it.has_contents()));
        }

        #[test]
        fn a_block_that_moves_keeps_what_main_has(
            before in steps(),
            (first, len) in (0..2048_u32, 1..1500_u32),
            (lost, bad_first, bad_len) in (any::<bool>(), 0..2048_u32, 0..700_u32),
        ) {
            let (old, olds) = blocks(&before);
            let mut moved = LostBlock::default();
            if lost {
                moved.mark_lost(bad_first, bad_len);
            } else {
                moved.mark_unread(bad_first, bad_len);
            }
            moved.inherit(&old, first, len);
            for (number, old) in olds.iter().enumerate() {
                let is_bad = range(bad_first, bad_len).contains(&number);
                let old = if range(first, len).contains(&number) { *old } else { Sector::default() };
                let wanted = Sector {
                    unread: old.unread || is_bad && !lost && !old.lost,
                    lost: old.lost || is_bad && lost && !old.unread,
                    filled: old.filled && !is_bad,
                };
                prop_assert_eq!(state_of(&moved, number), wanted);
            }
        }
    }

    #[test]
    fn only_a_block_with_unread_sectors_is_untried() {
        let mut block = LostBlock::WHOLE;
        block.set_untried(true);
        assert!(!block.is_untried());
        block.mark_unread(3, 2);
        assert!(block.is_untried());
        let mut moved = LostBlock::WHOLE;
        moved.inherit(&block, 0, 8);
        assert!(moved.is_untried());
        moved.written(3, 2);
        assert!(!moved.is_untried());
        block.set_untried(false);
        assert!(!block.is_untried());
    }

    #[test]
    fn what_main_has_refused_stays_refused_while_it_is_asked_again() {
        let mut block = LostBlock::WHOLE;
        block.set_untried(true);
        assert!(!block.is_refused());
        block.mark_unread(3, 2);
        // It was not asked so far, so it is not asked again.
        block.ask_again();
        assert!(block.is_untried() && !block.is_refused());
        block.set_untried(false);
        assert!(block.is_refused());
        block.ask_again();
        assert!(block.is_untried() && block.is_refused());
        let mut moved = LostBlock::WHOLE;
        moved.inherit(&block, 0, 8);
        assert!(moved.is_untried() && moved.is_refused());
        moved.written(3, 2);
        assert!(!moved.is_refused());
        block.set_untried(true);
        assert!(!block.is_refused());
    }
}
