// SPDX-License-Identifier: GPL-2.0

//! Remap table for its writer: the slots of blocks, the free slots, the pending blocks, and the updates of the
//! readers' index.
//!
//! A block changes its place in two steps, with the copy between them: `begin_*` sets its route in the index
//! to [`Route::Held`], `finish_*` or `cancel_*` sets it to the place where the block then is. The owner of
//! the table serialises the moves.

use core::sync::atomic::AtomicU64;

use crate::table::{
    index::{
        Index,
        Occupancy,
        Route, //
    },
    spare::SpareMap, //
};

/// Ordered tree of blocks, each with its slot.
pub trait Tree {
    /// Memory for one entry. The caller allocates it in advance, so that an insertion cannot fail.
    type Node;

    /// Returns the slot of `block`.
    fn get(&self, block: u64) -> Option<u32>;

    /// Adds `block`, which has no entry.
    fn insert(&mut self, block: u64, slot: u32, node: Self::Node);

    /// Removes the entry of `block` and returns its slot.
    fn remove(&mut self, block: u64) -> Option<u32>;

    /// Gives `block`, which has an entry, another slot and returns the slot before. Allocates nothing.
    fn replace(&mut self, block: u64, slot: u32) -> Option<u32>;

    /// Returns the first entry at or behind `block`.
    fn at_or_after(&self, block: u64) -> Option<(u64, u32)>;

    /// Calls `visit` with the entries from `block` on, in order, until it returns `false`.
    fn each(&mut self, block: u64, visit: impl FnMut(u64, u32) -> bool);
}

/// Reason why a block cannot begin to move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MoveRefusal {
    /// The block is on the spare already.
    Remapped,
    /// The block is not on the spare.
    NotRemapped,
    /// No slot is free.
    NoSpare,
    /// The index has no room. The caller replaces it and tries again.
    NoRoom,
}

/// Remap table for its writer.
pub struct RemapTable<T, S> {
    tree: T,
    entries: u32,
    /// Pending blocks, each with slot 0.
    pending: T,
    pending_blocks: u32,
    spares: SpareMap<S>,
    occupancy: Occupancy,
}

impl<T: Tree, S: AsRef<[u64]> + AsMut<[u64]>> RemapTable<T, S> {
    /// Makes an empty table over empty trees, for an empty index.
    pub fn new(tree: T, pending: T, spares: SpareMap<S>) -> Self {
        Self {
            tree,
            entries: 0,
            pending,
            pending_blocks: 0,
            spares,
            occupancy: Occupancy::default(),
        }
    }

    /// Adds an entry from the metadata for `block`, which has none. Leaves the index as it is: the caller
    /// calls [`Self::fill`] afterwards. Returns `false`, with nothing changed, if the slot is taken.
    pub fn restore(&mut self, block: u64, slot: u32, node: T::Node) -> bool {
        if !self.spares.take(slot) {
            return false;
        }
        self.tree.insert(block, slot, node);
        self.entries = self.entries.saturating_add(1);
        true
    }

    /// Sets `slot` aside: no block gets it any more. Returns `false` if it is taken.
    pub fn set_aside(&mut self, slot: u32) -> bool {
        self.spares.take(slot)
    }

    /// Adds all entries to an empty index. `lost` returns whether a block has lost sectors. Returns `false`
    /// if the index is too small.
    pub fn fill<W>(&mut self, index: &Index<W>, lost: impl Fn(u64) -> bool) -> bool
    where
        W: AsRef<[AtomicU64]>,
    {
        let occupancy = &mut self.occupancy;
        let mut fits = true;
        self.tree.each(0, |block, slot| {
            let lost = lost(block);
            fits = index.has_room(occupancy, 1)
                && index.set(block, Route::Spare { slot, lost }, occupancy);
            fits
        });
        fits
    }

    /// Returns the number of remapped blocks.
    pub fn entries(&self) -> u32 {
        self.entries
    }

    /// Returns the number of free slots.
    pub fn free_slots(&self) -> u32 {
        self.spares.free()
    }

    /// Returns the slot that is given out next, if there is one.
    pub fn next_slot(&self) -> Option<u32> {
        self.spares.next_free()
    }

    /// Returns the slot of `block`.
    pub fn get(&self, block: u64) -> Option<u32> {
        self.tree.get(block)
    }

    /// Returns the first remapped block at or behind `block`, and its slot.
    pub fn at_or_after(&self, block: u64) -> Option<(u64, u32)> {
        self.tree.at_or_after(block)
    }

    /// Calls `visit` with the remapped blocks from `block` on, in order, until it returns `false`.
    pub fn each(&mut self, block: u64, visit: impl FnMut(u64, u32) -> bool) {
        self.tree.each(block, visit);
    }

    /// Returns the number of pending blocks.
    pub fn pending_blocks(&self) -> u32 {
        self.pending_blocks
    }

    /// Returns the first pending block at or behind `block`.
    pub fn pending_at_or_after(&self, block: u64) -> Option<u64> {
        self.pending.at_or_after(block).map(|(block, _)| block)
    }

    /// Calls `visit` with the pending blocks from `block` on, in order, until it returns `false`.
    pub fn each_pending(&mut self, block: u64, mut visit: impl FnMut(u64) -> bool) {
        self.pending.each(block, |block, _| visit(block));
    }

    /// Returns whether `block` is pending.
    pub fn is_pending(&self, block: u64) -> bool {
        self.pending.get(block).is_some()
    }

    /// Returns the route of a block without a slot.
    fn home_route(&self, block: u64) -> Route {
        match self.pending.get(block) {
            Some(_) => Route::Pending,
            None => Route::Main,
        }
    }

    /// Makes `block`, which has failed on main and is not held, pending, unless it is pending already. Refused
    /// if the block is on the spare, or the index has no room.
    pub fn set_pending<W>(
        &mut self,
        index: &Index<W>,
        block: u64,
        node: T::Node,
    ) -> Result<(), MoveRefusal>
    where
        W: AsRef<[AtomicU64]>,
    {
        if self.tree.get(block).is_some() {
            return Err(MoveRefusal::Remapped);
        }
        if self.pending.get(block).is_some() {
            return Ok(());
        }
        let fits = index.has_room(&self.occupancy, 1)
            && index.set(block, Route::Pending, &mut self.occupancy);
        if !fits {
            return Err(MoveRefusal::NoRoom);
        }
        self.pending.insert(block, 0, node);
        self.pending_blocks = self.pending_blocks.saturating_add(1);
        Ok(())
    }

    /// Makes `block`, which is not held, not pending any more.
    pub fn clear_pending<W>(&mut self, index: &Index<W>, block: u64)
    where
        W: AsRef<[AtomicU64]>,
    {
        if self.forget_pending(block) {
            index.set(block, Route::Main, &mut self.occupancy);
        }
    }

    /// Removes `block` from the pending blocks, but not from the index. Returns whether it was pending.
    fn forget_pending(&mut self, block: u64) -> bool {
        let was = self.pending.remove(block).is_some();
        self.pending_blocks = self.pending_blocks.saturating_sub(u32::from(was));
        was
    }

    /// Returns whether `index` has room for `more` entries.
    pub fn has_room<W: AsRef<[AtomicU64]>>(&self, index: &Index<W>, more: usize) -> bool {
        index.has_room(&self.occupancy, more)
    }

    /// Returns whether `index` should be replaced by a cleaner one.
    pub fn is_worn<W: AsRef<[AtomicU64]>>(&self, index: &Index<W>) -> bool {
        index.is_worn(&self.occupancy)
    }

    /// Returns the number of entries that a replacement of the index needs room for.
    pub fn indexed(&self) -> usize {
        self.occupancy.entries
    }

    /// Copies the contents of `old` to `new`; the table works with `new` from then on. Returns `false`, with
    /// the table unchanged, if `new` is too small.
    pub fn move_index<V, W>(&mut self, old: &Index<V>, new: &Index<W>) -> bool
    where
        V: AsRef<[AtomicU64]>,
        W: AsRef<[AtomicU64]>,
    {
        match new.take_over(old) {
            Some(occupancy) => {
                self.occupancy = occupancy;
                true
            }
            None => false,
        }
    }

    /// Holds `block`, which is on main and stays there.
    pub fn begin_hold<W>(&mut self, index: &Index<W>, block: u64) -> Result<(), MoveRefusal>
    where
        W: AsRef<[AtomicU64]>,
    {
        if self.tree.get(block).is_some() {
            return Err(MoveRefusal::Remapped);
        }
        let fits = index.has_room(&self.occupancy, 1)
            && index.set(block, Route::Held, &mut self.occupancy);
        fits.then_some(()).ok_or(MoveRefusal::NoRoom)
    }

    /// Holds `block` no more, which is on main, pending or not.
    pub fn end_hold<W>(&mut self, index: &Index<W>, block: u64)
    where
        W: AsRef<[AtomicU64]>,
    {
        index.set(block, self.home_route(block), &mut self.occupancy);
    }

    /// Holds `block` and takes a free slot for it, which is returned.
    pub fn begin_remap<W>(&mut self, index: &Index<W>, block: u64) -> Result<u32, MoveRefusal>
    where
        W: AsRef<[AtomicU64]>,
    {
        if self.spares.free() == 0 && self.tree.get(block).is_none() {
            return Err(MoveRefusal::NoSpare);
        }
        self.begin_hold(index, block)?;
        self.spares.allocate().ok_or(MoveRefusal::NoSpare)
    }

    /// Records that `block` is in `slot`, which was taken for it.
    pub fn finish_remap<W>(
        &mut self,
        index: &Index<W>,
        block: u64,
        slot: u32,
        lost: bool,
        node: T::Node,
    ) where
        W: AsRef<[AtomicU64]>,
    {
        self.forget_pending(block);
        self.tree.insert(block, slot, node);
        self.entries = self.entries.saturating_add(1);
        index.set(block, Route::Spare { slot, lost }, &mut self.occupancy);
    }

    /// Gives up a remap: `block` stays on main, pending or not, and `slot` is free again.
    pub fn cancel_remap<W>(&mut self, index: &Index<W>, block: u64, slot: u32)
    where
        W: AsRef<[AtomicU64]>,
    {
        self.end_hold(index, block);
        self.spares.release(slot);
    }

    /// Frees a slot that was taken for a block, but is not its slot.
    pub fn give_back(&mut self, slot: u32) {
        self.spares.release(slot);
    }

    /// Holds `block`, which has a slot, and returns the slot.
    pub fn begin_unremap<W>(&mut self, index: &Index<W>, block: u64) -> Result<u32, MoveRefusal>
    where
        W: AsRef<[AtomicU64]>,
    {
        let slot = self.tree.get(block).ok_or(MoveRefusal::NotRemapped)?;
        index.set(block, Route::Held, &mut self.occupancy);
        Ok(slot)
    }

    /// Records that `block` is on main, and frees its slot.
    ///
    /// No bio uses the slot any more: bios to it have completed since the block was held.
    pub fn finish_unremap<W>(&mut self, index: &Index<W>, block: u64)
    where
        W: AsRef<[AtomicU64]>,
    {
        index.set(block, Route::Main, &mut self.occupancy);
        if let Some(slot) = self.tree.remove(block) {
            self.entries = self.entries.saturating_sub(1);
            self.spares.release(slot);
        }
    }

    /// Holds `block`, whose slot has failed, and takes another one for it. Returns its slot and the new one.
    pub fn begin_replace<W>(
        &mut self,
        index: &Index<W>,
        block: u64,
    ) -> Result<(u32, u32), MoveRefusal>
    where
        W: AsRef<[AtomicU64]>,
    {
        let old = self.tree.get(block).ok_or(MoveRefusal::NotRemapped)?;
        let new = self.spares.allocate().ok_or(MoveRefusal::NoSpare)?;
        index.set(block, Route::Held, &mut self.occupancy);
        Ok((old, new))
    }

    /// Takes another free slot for a block that is held, when the slot that was taken for it has failed, too.
    /// The failed slot stays set aside. `None` if no slot is free.
    pub fn another_slot(&mut self) -> Option<u32> {
        self.spares.allocate()
    }

    /// Records that `block` is in `new`. Its old slot is set aside.
    pub fn finish_replace<W>(&mut self, index: &Index<W>, block: u64, new: u32, lost: bool)
    where
        W: AsRef<[AtomicU64]>,
    {
        self.tree.replace(block, new);
        index.set(block, Route::Spare { slot: new, lost }, &mut self.occupancy);
    }

    /// Gives up a replacement: `block` stays in its old slot, and `new` is free again. `lost` says whether the
    /// block has lost sectors.
    pub fn cancel_replace<W>(&mut self, index: &Index<W>, block: u64, new: u32, lost: bool)
    where
        W: AsRef<[AtomicU64]>,
    {
        self.cancel_unremap(index, block, lost);
        self.spares.release(new);
    }

    /// Gives up an unremap: `block` stays in its slot. `lost` says whether it has lost sectors.
    pub fn cancel_unremap<W>(&mut self, index: &Index<W>, block: u64, lost: bool)
    where
        W: AsRef<[AtomicU64]>,
    {
        if let Some(slot) = self.tree.get(block) {
            let route = Route::Spare { slot, lost };
            index.set(block, route, &mut self.occupancy);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{
        index::Size,
        spare::words_for, //
    };
    use proptest::prelude::*;
    use std::{
        collections::{
            BTreeMap,
            BTreeSet, //
        },
        vec,
        vec::Vec,
    };

    impl Tree for BTreeMap<u64, u32> {
        type Node = ();

        fn get(&self, block: u64) -> Option<u32> {
            BTreeMap::get(self, &block).copied()
        }

        fn insert(&mut self, block: u64, slot: u32, _node: ()) {
            assert_eq!(BTreeMap::insert(self, block, slot), None);
        }

        fn remove(&mut self, block: u64) -> Option<u32> {
            BTreeMap::remove(self, &block)
        }

        fn replace(&mut self, block: u64, slot: u32) -> Option<u32> {
            Some(std::mem::replace(self.get_mut(&block)?, slot))
        }

        fn at_or_after(&self, block: u64) -> Option<(u64, u32)> {
            self.range(block..)
                .next()
                .map(|(block, slot)| (*block, *slot))
        }

        fn each(&mut self, block: u64, mut visit: impl FnMut(u64, u32) -> bool) {
            let _ = self
                .range(block..)
                .all(|(block, slot)| visit(*block, *slot));
        }
    }

    const BLOCKS: u64 = 4096;

    fn index(entries: usize) -> Index<Vec<AtomicU64>> {
        let size = Size::for_entries(entries, BLOCKS).unwrap();
        let zeroed = |len| Ok::<_, ()>((0..len).map(|_| AtomicU64::new(0)).collect());
        Index::new(size, zeroed).unwrap().unwrap()
    }

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Remap {
            block: u64,
            finish: bool,
        },
        Hold {
            block: u64,
        },
        Unremap {
            block: u64,
            finish: bool,
        },
        /// Number of slots taken for the block that fail, too.
        Replace {
            block: u64,
            failing: u32,
            finish: bool,
        },
        SetPending {
            block: u64,
        },
        ClearPending {
            block: u64,
        },
    }

    fn step() -> impl Strategy<Value = Step> {
        let block = || prop_oneof![0..64_u64, 0..BLOCKS];
        let finish = || prop::bool::weighted(0.8);
        prop_oneof![
            5 => (block(), finish()).prop_map(|(block, finish)| Step::Remap { block, finish }),
            1 => block().prop_map(|block| Step::Hold { block }),
            3 => (block(), finish()).prop_map(|(block, finish)| Step::Unremap { block, finish }),
            2 => (0..64_u64, 0..3_u32, finish()).prop_map(|(block, failing, finish)| {
                Step::Replace { block, failing, finish }
            }),
            1 => block().prop_map(|block| Step::SetPending { block }),
            1 => block().prop_map(|block| Step::ClearPending { block }),
        ]
    }

    #[test]
    fn what_was_there_before_is_there_again() {
        let spares = SpareMap::new(vec![0; words_for(8)], 8).unwrap();
        let mut table = RemapTable::new(BTreeMap::new(), BTreeMap::new(), spares);
        assert!(table.restore(5, 4, ()));
        assert!(!table.restore(6, 4, ()));
        assert!(table.set_aside(0));
        assert!(table.set_aside(1));
        assert!(!table.set_aside(4));
        assert_eq!((table.entries(), table.free_slots()), (1, 5));
        let readers = index(8);
        assert!(table.fill(&readers, |_| true));
        let route = Route::Spare {
            slot: 4,
            lost: true,
        };
        assert_eq!(readers.route(5), route);
        // Slots 0 and 1 are set aside.
        let slots: Vec<_> = (10..15)
            .map(|block| table.begin_remap(&readers, block))
            .collect();
        assert_eq!(slots, [2, 3, 5, 6, 7].map(Ok));
        assert_eq!(table.begin_remap(&readers, 15), Err(MoveRefusal::NoSpare));
    }

    proptest! {
        /// Contents are modelled, too: a slot holds the contents that were copied there. So a slot of two
        /// blocks, or a mapping that shifts, shows as wrong contents.
        #[test]
        fn agrees_with_a_map(
            slots in 1..200_u32,
            steps in prop::collection::vec(step(), 1..400),
        ) {
            let spares = SpareMap::new(vec![0; words_for(slots)], slots).unwrap();
            let mut table = RemapTable::new(BTreeMap::new(), BTreeMap::new(), spares);
            let mut readers = index(0);
            let mut pending = BTreeSet::new();
            let mut model = BTreeMap::new();
            let mut contents = vec![None; slots as usize];
            let mut aside = BTreeSet::new();
            for step in steps {
                if !table.has_room(&readers, 1) || table.is_worn(&readers) {
                    let new = index(table.indexed() + 1);
                    prop_assert!(table.move_index(&readers, &new));
                    readers = new;
                }
                match step {
                    Step::Remap { block, finish } => {
                        let begun = table.begin_remap(&readers, block);
                        if model.contains_key(&block) {
                            prop_assert_eq!(begun, Err(MoveRefusal::Remapped));
                            continue;
                        }
                        if model.len() + aside.len() == slots as usize {
                            prop_assert_eq!(begun, Err(MoveRefusal::NoSpare));
                            continue;
                        }
                        let slot = begun.unwrap();
                        prop_assert!(!aside.contains(&slot));
                        prop_assert_eq!(readers.route(block), Route::Held);
                        prop_assert!(!model.values().any(|&taken| taken == slot));
                        if finish {
                            contents[slot as usize] = Some(block);
                            table.finish_remap(&readers, block, slot, false, ());
                            model.insert(block, slot);
                            pending.remove(&block);
                        } else {
                            table.cancel_remap(&readers, block, slot);
                        }
                    }
                    Step::Hold { block } => {
                        let before = readers.route(block);
                        let begun = table.begin_hold(&readers, block);
                        if model.contains_key(&block) {
                            prop_assert_eq!(begun, Err(MoveRefusal::Remapped));
                            prop_assert_eq!(readers.route(block), before);
                            continue;
                        }
                        prop_assert_eq!(begun, Ok(()));
                        prop_assert_eq!(readers.route(block), Route::Held);
                        table.end_hold(&readers, block);
                        prop_assert_eq!(readers.route(block), before);
                    }
                    Step::Unremap { block, finish } => {
                        let begun = table.begin_unremap(&readers, block);
                        let Some(&slot) = model.get(&block) else {
                            prop_assert_eq!(begun, Err(MoveRefusal::NotRemapped));
                            continue;
                        };
                        prop_assert_eq!(begun, Ok(slot));
                        prop_assert_eq!(readers.route(block), Route::Held);
                        if finish {
                            table.finish_unremap(&readers, block);
                            model.remove(&block);
                        } else {
                            table.cancel_unremap(&readers, block, false);
                        }
                    }
                    Step::Replace { block, failing, finish } => {
                        let begun = table.begin_replace(&readers, block);
                        let Some(&old) = model.get(&block) else {
                            prop_assert_eq!(begun, Err(MoveRefusal::NotRemapped));
                            continue;
                        };
                        if model.len() + aside.len() == slots as usize {
                            prop_assert_eq!(begun, Err(MoveRefusal::NoSpare));
                            // No block is held.
                            let route = Route::Spare { slot: old, lost: false };
                            prop_assert_eq!(readers.route(block), route);
                            continue;
                        }
                        let (found, mut new) = begun.unwrap();
                        prop_assert_eq!(found, old);
                        prop_assert_eq!(readers.route(block), Route::Held);
                        for _ in 0..failing {
                            let Some(another) = table.another_slot() else {
                                prop_assert_eq!(model.len() + aside.len() + 1, slots as usize);
                                break;
                            };
                            prop_assert!(aside.insert(new));
                            new = another;
                        }
                        prop_assert!(!aside.contains(&new));
                        prop_assert!(!model.values().any(|&taken| taken == new));
                        if finish {
                            contents[new as usize] = Some(block);
                            table.finish_replace(&readers, block, new, false);
                            prop_assert!(aside.insert(old));
                            model.insert(block, new);
                        } else {
                            table.cancel_replace(&readers, block, new, false);
                        }
                        prop_assert_eq!(table.get(block), model.get(&block).copied());
                    }
                    Step::SetPending { block } => {
                        let set = table.set_pending(&readers, block, ());
                        if model.contains_key(&block) {
                            prop_assert_eq!(set, Err(MoveRefusal::Remapped));
                            continue;
                        }
                        prop_assert_eq!(set, Ok(()));
                        pending.insert(block);
                    }
                    Step::ClearPending { block } => {
                        table.clear_pending(&readers, block);
                        pending.remove(&block);
                    }
                }
                prop_assert_eq!(table.pending_blocks() as usize, pending.len());
                prop_assert_eq!(table.entries() as usize, model.len());
                let taken = table.entries() + aside.len() as u32;
                prop_assert_eq!(table.free_slots() + taken, slots);
            }
            for block in 0..BLOCKS {
                let wanted = match model.get(&block) {
                    Some(&slot) => {
                        prop_assert_eq!(contents[slot as usize], Some(block));
                        Route::Spare { slot, lost: false }
                    }
                    None if pending.contains(&block) => Route::Pending,
                    None => Route::Main,
                };
                prop_assert_eq!(readers.route(block), wanted);
            }
            let mut listed = BTreeSet::new();
            table.each_pending(7, |block| listed.insert(block));
            prop_assert_eq!(listed, pending.range(7..).copied().collect::<BTreeSet<_>>());
            prop_assert_eq!(table.pending_at_or_after(7), pending.range(7..).next().copied());
            prop_assert_eq!(model.values().collect::<BTreeSet<_>>().len(), model.len());
            let mut listed = Vec::new();
            let mut from = 0;
            while let Some((block, slot)) = table.at_or_after(from) {
                listed.push((block, slot));
                from = block + 1;
            }
            prop_assert_eq!(&listed, &model.into_iter().collect::<Vec<_>>());
            let mut again = Vec::new();
            table.each(0, |block, slot| {
                again.push((block, slot));
                again.len() < 100
            });
            listed.truncate(100);
            prop_assert_eq!(again, listed);
        }
    }
}
