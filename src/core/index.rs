// SPDX-License-Identifier: GPL-2.0

//! The reader's side of the remap table: where a block is, found without a lock.
//!
//! The ordered truth is a tree that only the writer sees. Readers use this index, which is
//! derived from it, in two steps:
//!
//! * a *filter* of one bit per block, in words that cover 64 consecutive blocks. Word `w` holds
//!   the bits of all groups of 64 blocks whose number is `w` modulo the number of words; a clear
//!   bit means that the block is on main. One load thus answers for up to 64 blocks, and where
//!   there are as many words as the target has groups, the filter is exact.
//! * *cells*, an open-addressing hash table of one word per entry that holds block and state
//!   together, so that a reader sees either the old entry or the new one. The eight blocks of an
//!   aligned run hash to one cache line.
//!
//! There is one writer at a time and it changes words in place; an index that has become too
//! full is replaced as a whole, and the old one is freed when no reader can see it any more.
//! Words are ordered by Release stores and Acquire loads, which are plain moves on x86. What
//! makes a *change* safe is not this order but the gate: a block's state only goes from one place
//! to another by way of [`Route::Held`], and bios mapped before the hold have completed by then.

use core::sync::atomic::{
    AtomicU64,
    Ordering, //
};

/// Blocks that an index can name: 2^39 (2 PiB of 4 KiB blocks).
pub const MAX_BLOCKS: u64 = 1 << 39;

/// Spare blocks that an index can name.
pub const MAX_SLOTS: u32 = (1 << SLOT_BITS) - 2;

const SLOT_BITS: u32 = 24;
const SLOT_MASK: u64 = (1 << SLOT_BITS) - 1;
/// Slot part of a cell whose block is in no slot, but not simply on main either: held, or with
/// [`LOST`] pending.
const HELD: u64 = SLOT_MASK;
/// Set where some sectors of the block are lost.
const LOST: u64 = 1 << SLOT_BITS;
const BLOCK_SHIFT: u32 = SLOT_BITS + 1;

/// Cell that has never held an entry; ends a probe.
const EMPTY: u64 = 0;
/// Cell whose entry was removed; a probe goes on. Slot part 0 is given to no slot.
const REMOVED: u64 = LOST;

/// Fewest cells of an index: one cache line of filter.
pub const MIN_CELLS: usize = 64;

/// Bits of filter for each cell, as a power of two.
const FILTER_SHIFT: u32 = 3;

/// Where a block is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// In its own place on the main device.
    Main,
    /// There, too, and has failed.
    Pending,
    /// In a spare block.
    Spare {
        /// Number of the spare block.
        slot: u32,
        /// Whether some of its sectors may be lost.
        lost: bool,
    },
    /// On the way from one place to another: bios wait.
    Held,
}

impl Route {
    fn encode(self, block: u64) -> u64 {
        let state = match self {
            Route::Main => return REMOVED,
            Route::Spare { slot, lost } => (u64::from(slot) + 1) | if lost { LOST } else { 0 },
            Route::Held => HELD,
            Route::Pending => HELD | LOST,
        };
        block << BLOCK_SHIFT | state
    }

    fn decode(cell: u64) -> Self {
        match cell & SLOT_MASK {
            HELD if cell & LOST != 0 => Route::Pending,
            HELD => Route::Held,
            0 => Route::Main,
            slot => Route::Spare {
                slot: (slot - 1) as u32,
                lost: cell & LOST != 0,
            },
        }
    }
}

/// Size of the two parts of an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Number of words of the filter, a power of two.
    pub filter: usize,
    /// Number of cells, a power of two.
    pub cells: usize,
}

impl Size {
    /// The size for `entries` entries on a target of `blocks` blocks; half of the cells or fewer
    /// are then taken, so that an index may grow by a fourth before it is replaced. `None` where
    /// no memory has room for that many.
    pub fn for_entries(entries: usize, blocks: u64) -> Option<Self> {
        let cells = entries
            .checked_mul(2)?
            .max(MIN_CELLS)
            .checked_next_power_of_two()?;
        let groups = blocks.div_ceil(64).max(1).checked_next_power_of_two()?;
        let filter =
            (cells << FILTER_SHIFT >> 6).min(usize::try_from(groups).unwrap_or(usize::MAX));
        Some(Self { filter, cells })
    }
}

/// What the writer knows of an index: how full it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Occupancy {
    /// Cells with an entry.
    pub entries: usize,
    /// Cells whose entry was removed.
    pub removed: usize,
}

/// An index over storage that the owner provides.
///
/// # Invariants
///
/// Both parts have a power of two of words, and at least one cell is [`EMPTY`].
pub struct Index<W> {
    filter: W,
    cells: W,
}

impl<W: AsRef<[AtomicU64]>> Index<W> {
    /// An index over zeroed storage, or `None` where a part is not a power of two.
    pub fn new(filter: W, cells: W) -> Option<Self> {
        let fits = |part: &W| part.as_ref().len().is_power_of_two();
        // INVARIANT: just checked, and the cells are zeroed.
        (fits(&filter) && fits(&cells)).then_some(Self { filter, cells })
    }

    #[inline(always)]
    fn filter_word(&self, group: u64) -> Option<&AtomicU64> {
        let words = self.filter.as_ref();
        words.get(group as usize & words.len().wrapping_sub(1))
    }

    /// Most words of the filter that are asked for one bio: enough for 1 MiB in 4 KiB blocks at
    /// any place.
    const MOST_WORDS: u64 = 5;

    /// Whether every block of `first..=last` is on main, as far as a few words of the filter can
    /// tell. `false` where they cannot.
    #[inline(always)]
    pub fn all_on_main(&self, first: u64, last: u64) -> bool {
        if first == last {
            // What most bios are: the shortest way.
            return match self.filter_word(first >> 6) {
                Some(word) => word.load(Ordering::Acquire) & 1 << (first & 63) == 0,
                None => false,
            };
        }
        let (first_group, last_group) = (first >> 6, last >> 6);
        if last_group.wrapping_sub(first_group) >= Self::MOST_WORDS {
            return false;
        }
        let mut from = first & 63;
        for group in first_group..=last_group {
            let to = if group == last_group { last & 63 } else { 63 };
            let mask = (u64::MAX << from) & (u64::MAX >> (63 - to));
            match self.filter_word(group) {
                Some(word) if word.load(Ordering::Acquire) & mask == 0 => {}
                _ => return false,
            }
            from = 0;
        }
        true
    }

    /// First cell of a block's probe sequence.
    #[inline]
    fn home(&self, block: u64) -> usize {
        let cells = self.cells.as_ref();
        // Fibonacci hashing (Knuth, vol. 3, 6.4) of the aligned run of eight. What counts are the high
        // bits of the product: by them neighbouring runs are as far from each other as can be.
        let mixed = (block >> 3).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let place = (u128::from(mixed) * cells.len() as u128 >> u64::BITS) as usize;
        place & !7 | (block & 7) as usize
    }

    /// The cell of `block`, or the one that ends its probe, with the first reusable one before it.
    fn probe(&self, block: u64) -> Option<(&AtomicU64, u64, Option<&AtomicU64>)> {
        let cells = self.cells.as_ref();
        let mask = cells.len().wrapping_sub(1);
        let mut at = self.home(block);
        let mut reusable = None;
        for _ in 0..cells.len() {
            let cell = cells.get(at & mask)?;
            let value = cell.load(Ordering::Acquire);
            if value == EMPTY || (value >> BLOCK_SHIFT == block && value & SLOT_MASK != 0) {
                return Some((cell, value, reusable));
            }
            if value == REMOVED && reusable.is_none() {
                reusable = Some(cell);
            }
            at = at.wrapping_add(1);
        }
        None
    }

    /// Where `block` is.
    pub fn route(&self, block: u64) -> Route {
        if self.all_on_main(block, block) {
            return Route::Main;
        }
        self.exact_route(block)
    }

    /// Where `block` is, without a look at the filter first.
    #[inline]
    pub fn exact_route(&self, block: u64) -> Route {
        let cells = self.cells.as_ref();
        let mask = cells.len().wrapping_sub(1);
        let mut at = self.home(block);
        for _ in 0..cells.len() {
            let Some(cell) = cells.get(at & mask) else {
                break;
            };
            let value = cell.load(Ordering::Acquire);
            if value >> BLOCK_SHIFT == block && value & SLOT_MASK != 0 {
                return Route::decode(value);
            }
            if value == EMPTY {
                break;
            }
            at = at.wrapping_add(1);
        }
        Route::Main
    }

    /// Where the blocks from `first` on are, and how many up to `last` go the same way: on main,
    /// in consecutive slots without lost sectors, or a single block that is held, is pending or has
    /// some.
    pub fn run(&self, first: u64, last: u64) -> (Route, u64) {
        let route = self.route(first);
        let mut end = first.saturating_add(1);
        match route {
            Route::Main => {
                while end <= last {
                    match self.first_off_main(end, last) {
                        Some(block) => return (route, block.saturating_sub(first)),
                        None => end = (end | 63).saturating_add(1),
                    }
                }
                end = last.saturating_add(1);
            }
            Route::Spare { slot, lost: false } => {
                let mut next = slot;
                while end <= last {
                    next = next.saturating_add(1);
                    if self.route(end)
                        != (Route::Spare {
                            slot: next,
                            lost: false,
                        })
                    {
                        break;
                    }
                    end = end.saturating_add(1);
                }
            }
            Route::Spare { lost: true, .. } | Route::Held | Route::Pending => {}
        }
        (route, end.saturating_sub(first))
    }

    /// The first block of `first..=last` that is not on main, looking no further than the end of
    /// the group of 64 that `first` is in.
    fn first_off_main(&self, first: u64, last: u64) -> Option<u64> {
        let mut word = match self.filter_word(first >> 6) {
            Some(word) => word.load(Ordering::Acquire),
            None => return None,
        };
        let last = last.min(first | 63);
        word &= (u64::MAX << (first & 63)) & (u64::MAX >> (63 - (last & 63)));
        while word != 0 {
            let block = first & !63 | u64::from(word.trailing_zeros());
            if self.route(block) != Route::Main {
                return Some(block);
            }
            word &= word.wrapping_sub(1);
        }
        None
    }

    /// Writer: sets where `block` is. [`Route::Main`] removes the entry.
    ///
    /// Returns `false`, with nothing changed, where there is no cell left or the block or slot is
    /// beyond what a cell can name; see [`Index::has_room`].
    pub fn set(&self, block: u64, route: Route, occupancy: &mut Occupancy) -> bool {
        if block >= MAX_BLOCKS || matches!(route, Route::Spare { slot, .. } if slot >= MAX_SLOTS) {
            return false;
        }
        let Some((cell, value, reusable)) = self.probe(block) else {
            return false;
        };
        let new = route.encode(block);
        if value != EMPTY {
            cell.store(new, Ordering::Release);
            if new == REMOVED {
                occupancy.entries = occupancy.entries.saturating_sub(1);
                occupancy.removed = occupancy.removed.saturating_add(1);
            }
            return true;
        }
        if new == REMOVED {
            return true;
        }
        match reusable {
            Some(cell) => {
                cell.store(new, Ordering::Release);
                occupancy.removed = occupancy.removed.saturating_sub(1);
            }
            // The last empty cell stays so, or a probe for an absent block would find no end.
            None if !self.has_room(occupancy, 1) => return false,
            None => cell.store(new, Ordering::Release),
        }
        occupancy.entries = occupancy.entries.saturating_add(1);
        if let Some(word) = self.filter_word(block >> 6) {
            word.fetch_or(1 << (block & 63), Ordering::Release);
        }
        true
    }

    /// Writer: whether `more` entries can be added before the index wants to be replaced.
    pub fn has_room(&self, occupancy: &Occupancy, more: usize) -> bool {
        let cells = self.cells.as_ref().len();
        let taken = occupancy
            .entries
            .saturating_add(occupancy.removed)
            .saturating_add(more);
        taken <= cells / 2 + cells / 8
    }

    /// Writer: whether removed entries outnumber the rest so that a smaller or cleaner index is
    /// worth having: their filter bits still send readers the slow way.
    pub fn is_worn(&self, occupancy: &Occupancy) -> bool {
        occupancy.removed > MIN_CELLS / 4 && occupancy.removed > occupancy.entries
    }

    /// Writer: copies every entry of `old` into this index, which must be new.
    pub fn take_over<V: AsRef<[AtomicU64]>>(&self, old: &Index<V>) -> Option<Occupancy> {
        let mut occupancy = Occupancy::default();
        for cell in old.cells.as_ref() {
            let value = cell.load(Ordering::Relaxed);
            if value != EMPTY
                && value != REMOVED
                && !self.set(value >> BLOCK_SHIFT, Route::decode(value), &mut occupancy)
            {
                return None;
            }
        }
        Some(occupancy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::{
        collections::{
            BTreeMap,
            BTreeSet, //
        },
        vec::Vec,
    };

    const BLOCKS: u64 = 1 << 14;

    fn index(entries: usize, blocks: u64) -> Index<Vec<AtomicU64>> {
        let size = Size::for_entries(entries, blocks).unwrap();
        let zeroed = |len| (0..len).map(|_| AtomicU64::new(0)).collect();
        Index::new(zeroed(size.filter), zeroed(size.cells)).unwrap()
    }

    /// The index with replacement as the owner does it, beside a model.
    struct Pair {
        index: Index<Vec<AtomicU64>>,
        occupancy: Occupancy,
        model: BTreeMap<u64, Route>,
        blocks: u64,
    }

    impl Pair {
        fn set(&mut self, block: u64, route: Route) {
            if !self.index.has_room(&self.occupancy, 1) || self.index.is_worn(&self.occupancy) {
                let new = index(self.occupancy.entries + 1, self.blocks);
                self.occupancy = new.take_over(&self.index).unwrap();
                self.index = new;
            }
            assert!(self.index.set(block, route, &mut self.occupancy));
            match route {
                Route::Main => self.model.remove(&block),
                _ => self.model.insert(block, route),
            };
            assert_eq!(self.occupancy.entries, self.model.len());
        }

        fn wanted(&self, block: u64) -> Route {
            self.model.get(&block).copied().unwrap_or(Route::Main)
        }

        fn wanted_run(&self, first: u64, last: u64) -> (Route, u64) {
            let route = self.wanted(first);
            let mut n = 1;
            while first + n <= last {
                let next = self.wanted(first + n);
                let goes_on = match route {
                    Route::Main => next == Route::Main,
                    Route::Spare { slot, lost: false } => {
                        next == Route::Spare {
                            slot: slot + n as u32,
                            lost: false,
                        }
                    }
                    _ => false,
                };
                if !goes_on {
                    break;
                }
                n += 1;
            }
            (route, n)
        }
    }

    fn route() -> impl Strategy<Value = Route> {
        prop_oneof![
            3 => (0..MAX_SLOTS, prop::bool::weighted(0.1))
                .prop_map(|(slot, lost)| Route::Spare { slot, lost }),
            1 => Just(Route::Held),
            1 => Just(Route::Pending),
            3 => Just(Route::Main),
        ]
    }

    /// Blocks that collide: few groups, and far ones that share their filter words.
    fn block() -> impl Strategy<Value = u64> {
        prop_oneof![
            0..200_u64,
            (0..BLOCKS / 512).prop_map(|n| n * 512 + 5),
            0..BLOCKS
        ]
    }

    proptest! {
        #[test]
        fn agrees_with_a_map(
            steps in prop::collection::vec((block(), route()), 1..400),
            asks in prop::collection::vec((block(), 0..300_u64), 50),
        ) {
            let mut pair = Pair {
                index: index(0, BLOCKS),
                occupancy: Occupancy::default(),
                model: BTreeMap::new(),
                blocks: BLOCKS,
            };
            for (block, route) in steps {
                pair.set(block, route);
                prop_assert_eq!(pair.index.route(block), route);
            }
            for block in 0..BLOCKS {
                prop_assert_eq!(pair.index.route(block), pair.wanted(block));
            }
            for (first, more) in asks {
                let last = (first + more).min(BLOCKS - 1);
                prop_assert_eq!(pair.index.run(first, last), pair.wanted_run(first, last));
                if pair.index.all_on_main(first, last) {
                    prop_assert!((first..=last).all(|block| pair.wanted(block) == Route::Main));
                }
            }
        }

        #[test]
        fn consecutive_slots_are_one_run(first in 0..1000_u64, len in 1..300_u64) {
            let mut pair = Pair {
                index: index(0, BLOCKS),
                occupancy: Occupancy::default(),
                model: BTreeMap::new(),
                blocks: BLOCKS,
            };
            for n in 0..len {
                pair.set(first + n, Route::Spare { slot: 7 + n as u32, lost: false });
            }
            prop_assert_eq!(
                pair.index.run(first, first + 1000),
                (Route::Spare { slot: 7, lost: false }, len)
            );
        }
    }

    #[test]
    fn neighbouring_runs_of_blocks_have_lines_of_their_own() {
        for runs in [1000, 4000, 125_000] {
            let index = index(8 * runs, 1 << 30);
            let lines: BTreeSet<_> = (0..runs as u64)
                .map(|run| index.home(8 * run) >> 3)
                .collect();
            assert!(lines.len() * 100 > runs * 99, "{} of {runs}", lines.len());
        }
    }

    #[test]
    fn empty_index_sends_everything_to_main() {
        let index = index(0, 1 << 30);
        assert!(index.all_on_main(0, 63));
        assert!(index.all_on_main(63, 64 * 5 - 1));
        assert!(
            !index.all_on_main(63, 64 * 5),
            "more words than are asked for one bio"
        );
        assert_eq!(index.run(5, 100_000), (Route::Main, 99_996));
    }

    #[test]
    fn filter_is_exact_where_it_covers_the_target() {
        let index = index(10_000, 64 * 512);
        let mut occupancy = Occupancy::default();
        let held = (0..9_000).map(|n| n * 3);
        for block in held {
            assert!(index.set(block, Route::Held, &mut occupancy));
        }
        for block in 0..27_000_u64 {
            assert_eq!(index.all_on_main(block, block), block % 3 != 0);
        }
    }

    #[test]
    fn refuses_what_a_cell_cannot_name() {
        let index = index(0, 1 << 50);
        let mut occupancy = Occupancy::default();
        assert!(!index.set(MAX_BLOCKS, Route::Held, &mut occupancy));
        let spare = Route::Spare {
            slot: MAX_SLOTS,
            lost: false,
        };
        assert!(!index.set(0, spare, &mut occupancy));
        assert_eq!(occupancy, Occupancy::default());
        let last = Route::Spare {
            slot: MAX_SLOTS - 1,
            lost: true,
        };
        assert!(index.set(MAX_BLOCKS - 1, last, &mut occupancy));
        assert_eq!(index.route(MAX_BLOCKS - 1), last);
    }

    #[test]
    fn a_full_index_refuses_and_keeps_what_it_has() {
        let index = index(0, BLOCKS);
        let mut occupancy = Occupancy::default();
        let taken = (0..BLOCKS)
            .take_while(|&block| index.set(block * 9, Route::Held, &mut occupancy))
            .count() as u64;
        assert_eq!(taken, 40);
        for block in 0..taken {
            assert_eq!(index.route(block * 9), Route::Held);
        }
    }
}
