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
//!   Where it is, *ranks* beside it tell the slots of groups whose blocks have them in order.
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

mod ranks;
use ranks::Rank;

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
/// What a cell says of its block.
const STATE_MASK: u64 = (1 << BLOCK_SHIFT) - 1;

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
            Route::Spare { slot, lost } => u64::from(slot) + 1 + if lost { LOST } else { 0 },
            Route::Held => HELD,
            Route::Pending => HELD + LOST,
        };
        (block << BLOCK_SHIFT) + state
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

/// Size of the parts of an index, in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Number of words of the filter, a power of two.
    pub filter: usize,
    /// Number of words of ranks, two of which are in one: those of all groups, or none where groups
    /// share words of the filter.
    pub ranks: usize,
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
        let groups = usize::try_from(groups).unwrap_or(usize::MAX);
        let filter = (cells << FILTER_SHIFT >> 6).min(groups);
        let ranks = if filter == groups {
            groups.div_ceil(2)
        } else {
            0
        };
        Some(Self {
            filter,
            ranks,
            cells,
        })
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
/// Filter and cells have a power of two of words, and at least one cell is [`EMPTY`]. Where there are
/// ranks, no two groups share a word of the filter.
pub struct Index<W> {
    filter: W,
    ranks: W,
    cells: W,
}

impl<W: AsRef<[AtomicU64]>> Index<W> {
    /// An index over storage that `zeroed` provides, or `None` where the size is none of
    /// [`Size::for_entries`].
    pub fn new<E>(size: Size, zeroed: impl Fn(usize) -> Result<W, E>) -> Result<Option<Self>, E> {
        let index = Self {
            filter: zeroed(size.filter)?,
            ranks: zeroed(size.ranks)?,
            cells: zeroed(size.cells)?,
        };
        // INVARIANT: Just checked, and the cells are zeroed. A size has ranks only where the filter has a
        // word for every group.
        let fits = |part: &W| part.as_ref().len().is_power_of_two();
        Ok((fits(&index.filter) && fits(&index.cells)).then_some(index))
    }

    #[inline(always)]
    fn filter_word(&self, group: u64) -> Option<&AtomicU64> {
        let words = self.filter.as_ref();
        words.get(group as usize & words.len().wrapping_sub(1))
    }

    /// Whether a block is on main for sure, by one word of the filter.
    #[inline(always)]
    pub fn is_on_main(&self, block: u64) -> bool {
        match self.filter_word(block >> 6) {
            Some(word) => word.load(Ordering::Acquire) & 1 << (block & 63) == 0,
            None => false,
        }
    }

    /// Most words of the filter that are asked for one bio: enough for 1 MiB in 4 KiB blocks at
    /// any place.
    const MAX_WORDS: u64 = 5;

    /// Whether every block of `first..=last` is on main, as far as a few words of the filter can
    /// tell. `false` where they cannot.
    #[inline(always)]
    pub fn all_on_main(&self, first: u64, last: u64) -> bool {
        let (first_group, last_group) = (first >> 6, last >> 6);
        if last_group.wrapping_sub(first_group) >= Self::MAX_WORDS {
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
        (place & !7).wrapping_add((block & 7) as usize)
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
        if self.is_on_main(block) {
            return Route::Main;
        }
        self.find(block).map_or(Route::Main, Route::decode)
    }

    /// The slot that `block` is in, where it is in one and has no lost sectors. For blocks that are not
    /// on main for sure.
    #[inline(always)]
    pub fn slot_of(&self, block: u64) -> Option<u32> {
        let group = block >> 6;
        let word = self.filter_word(group)?.load(Ordering::Acquire);
        let rank = ranks::load(self.ranks.as_ref(), group);
        rank.slot(word, block as u32 & 63)
            .or_else(|| self.slot_in_cell(block))
    }

    #[inline]
    fn slot_in_cell(&self, block: u64) -> Option<u32> {
        let state = self.find(block)? & STATE_MASK;
        // Neither held nor pending, and with LOST it is larger than any slot's.
        (state < HELD).then(|| state.wrapping_sub(1) as u32)
    }

    /// The cell's value of a block that has an entry.
    #[inline(always)]
    fn find(&self, block: u64) -> Option<u64> {
        let cells = self.cells.as_ref();
        let mask = cells.len().wrapping_sub(1);
        let mut at = self.home(block);
        for _ in 0..cells.len() {
            let value = cells.get(at & mask)?.load(Ordering::Acquire);
            if value >> BLOCK_SHIFT == block && value & SLOT_MASK != 0 {
                return Some(value);
            }
            if value == EMPTY {
                return None;
            }
            at = at.wrapping_add(1);
        }
        None
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
            Route::Spare { slot, lost: false } => end = self.end_of_slots_from(slot, first, last),
            Route::Spare { lost: true, .. } | Route::Held | Route::Pending => {}
        }
        (route, end.saturating_sub(first))
    }

    /// The first slot of consecutive ones that the blocks of `first..=last` are all in, where they are
    /// and none has lost sectors.
    #[inline]
    pub fn slots_of(&self, first: u64, last: u64) -> Option<u32> {
        if self.is_on_main(first) {
            return None;
        }
        let slot = self.slot_of(first)?;
        (self.end_of_slots_from(slot, first, last) > last).then_some(slot)
    }

    /// The first block behind `first`, which is in `slot`, that is not in the slot that follows on that
    /// of the one before, or the one behind `last`.
    fn end_of_slots_from(&self, slot: u32, first: u64, last: u64) -> u64 {
        let mut end = first.saturating_add(1);
        while end <= last {
            let next = slot.saturating_add(end.saturating_sub(first) as u32);
            match self.in_slots_from(next, end, last) {
                0 => break,
                blocks => end = end.saturating_add(blocks),
            }
        }
        end
    }

    /// How many blocks from `first` on are in consecutive slots from `slot` on without lost sectors: one
    /// or none by a look at a cell, and where the group of 64 that `first` is in has a rank, those up
    /// to its end or to `last`.
    #[inline]
    fn in_slots_from(&self, slot: u32, first: u64, last: u64) -> u64 {
        let (group, bit) = (first >> 6, first as u32 & 63);
        let Some(word) = self.filter_word(group) else {
            return 0;
        };
        let word = word.load(Ordering::Acquire);
        let rank = ranks::load(self.ranks.as_ref(), group);
        if rank.slot(word, bit) == Some(slot) {
            let blocks = u64::from((word >> bit).trailing_ones());
            return blocks.min(last.saturating_sub(first).saturating_add(1));
        }
        u64::from(self.slot_in_cell(first) == Some(slot))
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
            let block = (first & !63).wrapping_add(u64::from(word.trailing_zeros()));
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
        if value == EMPTY {
            if new == REMOVED {
                return true;
            }
            // The last empty cell stays so, or a probe for an absent block would find no end.
            if reusable.is_none() && !self.has_room(occupancy, 1) {
                return false;
            }
        }
        let group = block >> 6;
        let rank = ranks::load(self.ranks.as_ref(), group);
        ranks::store(self.ranks.as_ref(), group, Rank::NONE);
        reusable
            .filter(|_| value == EMPTY)
            .unwrap_or(cell)
            .store(new, Ordering::Release);
        if value != EMPTY {
            self.rank_group(group);
            if new == REMOVED {
                occupancy.entries = occupancy.entries.saturating_sub(1);
                occupancy.removed = occupancy.removed.saturating_add(1);
            }
            return true;
        }
        if reusable.is_some() {
            occupancy.removed = occupancy.removed.saturating_sub(1);
        }
        occupancy.entries = occupancy.entries.saturating_add(1);
        if let Some(word) = self.filter_word(group) {
            let before = word.fetch_or(1 << (block & 63), Ordering::Release);
            self.rank_with(rank, before, block, route);
        }
        true
    }

    /// Writer: gives a group its rank again that has got one more entry, where it goes on in order: so
    /// entries that come in order need no look at those before. `rank` and `before` are what it had.
    fn rank_with(&self, rank: Rank, before: u64, block: u64, route: Route) {
        let bit = block as u32 & 63;
        let Route::Spare { slot, lost: false } = route else {
            return;
        };
        let entries = before.count_ones();
        let goes_on = |first: &u32| before >> bit == 0 && first.wrapping_add(entries) == slot;
        let group = block >> 6;
        match rank.first(before).filter(goes_on) {
            Some(first) => {
                let rank = Rank::new(first, entries.wrapping_add(1));
                ranks::store(self.ranks.as_ref(), group, rank);
            }
            None => self.rank_group(group),
        }
    }

    /// Writer: gives a group its rank where its cells say that its entries are in order.
    fn rank_group(&self, group: u64) {
        if self.ranks.as_ref().is_empty() {
            return;
        }
        let Some(word) = self.filter_word(group) else {
            return;
        };
        let mut left = word.load(Ordering::Relaxed);
        let mut first = None;
        let mut entries = 0;
        while left != 0 {
            let block = (group << 6).wrapping_add(u64::from(left.trailing_zeros()));
            let Some(slot) = self.slot_in_cell(block) else {
                return;
            };
            if slot != first.get_or_insert(slot).wrapping_add(entries) {
                return;
            }
            entries = entries.wrapping_add(1);
            left &= left.wrapping_sub(1);
        }
        if let Some(first) = first {
            ranks::store(self.ranks.as_ref(), group, Rank::new(first, entries));
        }
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
mod tests;
