// SPDX-License-Identifier: GPL-2.0

//! Blocks that go from a slot that has failed to another, and what a crash leaves of that.
//!
//! Both slots may be in one page, which is written at once. Else the page of the new slot comes
//! first, then that of the old one, which says that it is bad. Between the two the block is in both,
//! and their turns tell which one counts.
//!
//! As long as the old slot is not noted as bad, nothing else is committed: the block could go on from
//! its new slot, and the old one would be taken for it again.

use core::mem;

use super::{
    CommitError,
    LoadError,
    Reader,
    Storage,
    Store,
    Unwritable,
    Version, //
};
use crate::{
    index::{
        MAX_BLOCKS,
        MAX_SLOTS, //
    },
    metadata::{
        entry::{
            Entry,
            LostUnits, //
        },
        page::Page,
        turn::Turn, //
    },
};

/// Bits of the slot in a block and its slot as one number.
const SLOT_BITS: u32 = MAX_SLOTS.ilog2() + 1;
const _: () = assert!(MAX_BLOCKS.ilog2() + SLOT_BITS <= u64::BITS);

/// Bits of the turn in a slot and its turn as one number.
const TURN_BITS: u32 = 2;

/// A slot that has failed, of a block that another slot has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failed {
    /// The block.
    pub block: u64,
    /// The slot that it had before.
    pub slot: u32,
}

impl Failed {
    fn pack(self) -> u64 {
        self.block << SLOT_BITS | u64::from(self.slot)
    }

    fn unpack(number: u64) -> Self {
        Self {
            block: number >> SLOT_BITS,
            slot: (number & ((1 << SLOT_BITS) - 1)) as u32,
        }
    }
}

/// What has to be remembered of entries while they are loaded, so that two of one block can be told
/// apart. Next to no entry has another turn than the first.
#[derive(Default)]
pub(super) struct Pairs<G> {
    /// Slots with a block of another turn than the first, in order, each with that turn.
    turns: G,
    /// Slots that have failed.
    failed: G,
}

impl<G: AsRef<[u64]> + AsMut<[u64]>> Pairs<G> {
    /// Hands an entry on to `reader`, unless another one of the same block counts. Called in the
    /// order of the slots.
    pub(super) fn take<R: Reader<Numbers = G>>(
        &mut self,
        slot: u32,
        entry: &Entry,
        reader: &mut R,
    ) -> Result<(), R::Error> {
        let Entry::Block { block, turn, .. } = *entry else {
            return reader.take(slot, entry).map(|_| ());
        };
        if turn != Turn::FIRST {
            let number = u64::from(slot) << TURN_BITS | u64::from(turn.number());
            R::push(&mut self.turns, number)?;
        }
        let Some(other) = reader.take(slot, entry)? else {
            return Ok(());
        };
        let others = self.turn_of(other);
        let failed = if turn.follows(others) {
            reader.replace(other, slot, entry)?;
            other
        } else if others.follows(turn) {
            reader.take(slot, &Entry::Bad)?;
            slot
        } else {
            return Err(LoadError::Twice { slot }.into());
        };
        let failed = Failed {
            block,
            slot: failed,
        };
        R::push(&mut self.failed, failed.pack())
    }

    fn turn_of(&self, slot: u32) -> Turn {
        let turns = self.turns.as_ref();
        let found = turns.binary_search_by_key(&u64::from(slot), |number| number >> TURN_BITS);
        let number = found.ok().and_then(|at| turns.get(at));
        let turn = number.and_then(|number| Turn::new((number & ((1 << TURN_BITS) - 1)) as u8));
        turn.unwrap_or(Turn::FIRST)
    }

    /// The slots that have failed, in order. An error where a block was in three.
    pub(super) fn end(mut self) -> Result<G, LoadError> {
        let failed = self.failed.as_mut();
        failed.sort_unstable();
        for pair in failed.windows(2) {
            if let [one, other] = pair {
                let (one, other) = (Failed::unpack(*one), Failed::unpack(*other));
                if one.block == other.block {
                    return Err(LoadError::Twice { slot: other.slot });
                }
            }
        }
        failed.sort_unstable_by_key(|number| Failed::unpack(*number).slot);
        Ok(self.failed)
    }
}

impl<S: Storage, G: AsRef<[u64]> + AsMut<[u64]> + Default> Store<S, G> {
    /// Slots that were found to have failed when the area was loaded, each with the block that has
    /// another one. None of them after [`Store::retire`].
    pub fn failed(&self) -> impl Iterator<Item = Failed> + '_ {
        let numbers = self.failed.as_ref().iter();
        numbers.map(|number| Failed::unpack(*number))
    }

    /// Whether everything is written: no page is uncertain, and every slot that has failed is noted
    /// as bad. Nothing can be committed before that.
    pub fn is_settled(&self) -> bool {
        self.unsettled.is_none() && self.unretired().is_none()
    }

    /// The first slot that is to be noted as bad before anything else is committed.
    pub(super) fn unretired(&self) -> Option<u32> {
        self.failed().next().map(|it| it.slot).or(self.leaving)
    }

    /// What a slot holds. `pages` is memory for two pages, as for [`Store::commit`]. An error where
    /// its page cannot be read, and while a page is uncertain.
    ///
    /// Sleeps where the storage does; allocates nothing.
    pub fn entry(&mut self, slot: u32, pages: &mut [Page; 2]) -> Result<Entry, Unwritable> {
        let (index, number) = self.layout.entry_of(slot);
        if let Some(index) = self.unsettled {
            return Err(Unwritable { index });
        }
        if slot >= self.layout.slots() {
            return Err(Unwritable { index });
        }
        let [page, _] = pages;
        self.read_current(index, page)?;
        let read = Entry::read(self.layout.shape(), page.payload(), number, MAX_BLOCKS);
        read.map_err(|_| Unwritable { index })
    }

    /// Makes it durable that `block` has gone from slot `old`, which has failed and is bad from now
    /// on, to slot `new`, which is free, with what is lost of it. Its contents are durable there.
    ///
    /// After an error it is in the old slot, or where [`Store::settle`] decides. Where only the old
    /// slot's page could not be written, that is no error: [`Store::is_settled`] says so, and
    /// [`Store::retire`] tries it again. `pages` is as for [`Store::commit`].
    pub fn replace(
        &mut self,
        block: u64,
        old: u32,
        new: u32,
        lost: &LostUnits,
        pages: &mut [Page; 2],
    ) -> Result<(), CommitError> {
        let before = self.entry(old, pages).map_err(CommitError::Unchanged)?;
        let ((from, _), (to, _)) = (self.layout.entry_of(old), self.layout.entry_of(new));
        let turn = match before {
            Entry::Block {
                block: there, turn, ..
            } if there == block => turn.next(),
            _ => return Err(CommitError::Unchanged(Unwritable { index: from })),
        };
        let entry = Entry::Block {
            block,
            turn,
            lost: *lost,
        };
        if from == to {
            return self.commit([(new, entry), (old, Entry::Bad)], pages);
        }
        let committed = self.commit([(new, entry)], pages);
        if matches!(committed, Err(CommitError::Unchanged(_))) {
            return committed;
        }
        self.leaving = Some(old);
        committed?;
        // The block is in its new slot, whether that can be written or not.
        let _ = self.retire(pages);
        Ok(())
    }

    /// Notes those slots as bad that have failed and are not noted so far, if any. `pages` is as for
    /// [`Store::commit`]; in either version an uncertain page is right.
    pub fn retire(&mut self, pages: &mut [Page; 2]) -> Result<(), CommitError> {
        let failed = mem::take(&mut self.failed);
        let leaving = self.leaving.take();
        let slots = failed.as_ref().iter();
        let slots = slots.map(|number| Failed::unpack(*number).slot);
        let ended = self.commit(slots.chain(leaving).map(|slot| (slot, Entry::Bad)), pages);
        if ended.is_err() {
            self.failed = failed;
            self.leaving = leaving;
        }
        ended
    }

    /// An uncertain page has become what it is in `version`: if that is the page of a new slot, and
    /// without the block, the old slot keeps it.
    pub(super) fn decided(&mut self, index: u32, version: Version) {
        if let (Version::Old, Some(old)) = (version, self.leaving) {
            if self.layout.entry_of(old).0 != index {
                self.leaving = None;
            }
        }
    }
}
