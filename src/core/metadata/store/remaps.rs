// SPDX-License-Identifier: GPL-2.0

//! The remaps of an area while it is loaded: from the order of the slots to that of the blocks.
//!
//! A block that is found twice was on its way from a slot that had failed to another. That is seen
//! when they are in order, and so costs no look-up for every block.

use super::{
    area::{
        Reader,
        Storage,
        Store,
        Unwritable, //
    },
    load_error::LoadError, //
};
use crate::{
    metadata::{
        copies::Doubt,
        entry::Entry,
        page::Page,
        radix_sort::sort_by_upper_bits,
        turn::Turn, //
    },
    table::index::{
        MAX_BLOCKS,
        MAX_SLOTS, //
    }, //
};

/// Bits of the slot in a block and its slot as one number.
const SLOT_BITS: u32 = MAX_SLOTS.ilog2() + 1;
const _: () = assert!(MAX_BLOCKS.ilog2() + SLOT_BITS <= u64::BITS);

/// Bits of the turn in a slot and its turn as one number.
const TURN_BITS: u32 = 2;

/// A block and a slot that has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Remap {
    pub(super) block: u64,
    pub(super) slot: u32,
}

impl Remap {
    pub(super) fn pack(self) -> u64 {
        self.block << SLOT_BITS | u64::from(self.slot)
    }

    pub(super) fn unpack(number: u64) -> Self {
        Self {
            block: number >> SLOT_BITS,
            slot: (number & ((1 << SLOT_BITS) - 1)) as u32,
        }
    }
}

/// Sorts packed remaps by their slots, with `spare` as memory of the same size. Returns `false` if the sizes differ.
fn sort_by_slot(remaps: &mut [u64], spare: &mut [u64]) -> bool {
    // The slots become the upper bits, which are sorted by.
    for number in &mut *remaps {
        *number = number.rotate_right(SLOT_BITS);
    }
    let sorted = sort_by_upper_bits(remaps, u64::BITS - SLOT_BITS, spare);
    for number in remaps {
        *number = number.rotate_left(SLOT_BITS);
    }
    sorted
}

/// What is remembered of entries while they are loaded, so that they can be handed on in order, and two
/// of one block be told apart. Next to no entry has another turn than the first.
#[derive(Default)]
pub(super) struct Remaps<G> {
    /// Blocks with their slots, in the order of the slots.
    remaps: G,
    /// Slots with a block of another turn than the first, in order, each with that turn.
    turns: G,
}

impl<G: AsRef<[u64]> + AsMut<[u64]> + Default> Remaps<G> {
    /// Hands an entry on to `reader`. Called in the order of the slots.
    pub(super) fn take<R: Reader<Numbers = G>>(
        &mut self,
        slot: u32,
        entry: &Entry,
        reader: &mut R,
    ) -> Result<(), R::Error> {
        reader.take(slot, entry)?;
        let Entry::Block { block, turn, .. } = *entry else {
            return Ok(());
        };
        if turn != Turn::FIRST {
            let number = u64::from(slot) << TURN_BITS | u64::from(turn.number());
            R::push(&mut self.turns, number)?;
        }
        R::push(&mut self.remaps, Remap { block, slot }.pack())
    }

    /// Tells `reader` which of two slots with a block counts, and then what is left. Returns the slots
    /// that have failed, in order. An error where neither has taken over from the other, or a block
    /// was in three.
    pub(super) fn end<R: Reader<Numbers = G>, S: Storage>(
        mut self,
        store: &mut Store<S, G>,
        page: &mut Page,
        reader: &mut R,
    ) -> Result<G, R::Error> {
        let mut spare = R::numbers(self.remaps.as_ref().len())?;
        if !sort_by_upper_bits(self.remaps.as_mut(), SLOT_BITS, spare.as_mut()) {
            return Err(LoadError::Scratch.into());
        }
        drop(spare);
        let mut failed = G::default();
        let mut kept: usize = 0;
        let mut last: Option<Remap> = None;
        let mut pair = None;
        for at in 0..self.remaps.as_ref().len() {
            let Some(number) = self.remaps.as_ref().get(at).copied() else {
                break;
            };
            let mut this = Remap::unpack(number);
            if let Some(before) = last.filter(|before| before.block == this.block) {
                if pair == Some(this.block) {
                    return Err(LoadError::Twice { slot: this.slot }.into());
                }
                pair = Some(this.block);
                let loser = self.loser(before, this)?;
                if loser == this {
                    this = before;
                }
                let read = store.read_entry(this.slot, page);
                let entry = read.map_err(|Unwritable { index }| {
                    let doubt = Doubt::Nothing;
                    LoadError::Page { index, doubt }
                })?;
                reader.replace(loser.slot, this.slot, &entry)?;
                R::push(&mut failed, loser.pack())?;
                kept = kept.saturating_sub(1);
            }
            if let Some(place) = self.remaps.as_mut().get_mut(kept) {
                *place = this.pack();
            }
            kept = kept.saturating_add(1);
            last = Some(this);
        }
        let counts = self.remaps.as_ref().iter().take(kept);
        reader.end(counts.map(|number| {
            let Remap { block, slot } = Remap::unpack(*number);
            (block, slot)
        }))?;
        let mut spare = R::numbers(failed.as_ref().len())?;
        if !sort_by_slot(failed.as_mut(), spare.as_mut()) {
            return Err(LoadError::Scratch.into());
        }
        Ok(failed)
    }

    /// Which of two slots with the same block has failed.
    fn loser(&self, one: Remap, other: Remap) -> Result<Remap, LoadError> {
        let (turn, others) = (self.turn_of(one.slot), self.turn_of(other.slot));
        if others.follows(turn) {
            Ok(one)
        } else if turn.follows(others) {
            Ok(other)
        } else {
            Err(LoadError::Twice { slot: other.slot })
        }
    }

    fn turn_of(&self, slot: u32) -> Turn {
        let turns = self.turns.as_ref();
        let found = turns.binary_search_by_key(&u64::from(slot), |number| number >> TURN_BITS);
        let number = found.ok().and_then(|at| turns.get(at));
        let turn = number.and_then(|number| Turn::new((number & ((1 << TURN_BITS) - 1)) as u8));
        turn.unwrap_or(Turn::FIRST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_that_have_failed_are_put_in_order() {
        let remap = |block, slot| Remap { block, slot }.pack();
        let mut remaps = [remap(1, 9), remap(2, 3), remap(3, MAX_SLOTS), remap(0, 4)];
        assert!(sort_by_slot(&mut remaps, &mut [0; 4]));
        let sorted = [remap(2, 3), remap(0, 4), remap(1, 9), remap(3, MAX_SLOTS)];
        assert_eq!(remaps, sorted);
        assert!(!sort_by_slot(&mut remaps, &mut [0; 3]));
        assert_eq!(remaps, sorted);
    }
}
