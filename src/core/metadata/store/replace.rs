// SPDX-License-Identifier: GPL-2.0

//! Blocks that go from a slot that has failed to another, and what a crash leaves of that.
//!
//! Both slots may be in one page, which is written at once. Else the page of the new slot comes
//! first, then that of the old one, which says that it is bad. Between the two the block is in both,
//! and their turns tell which one counts.
//!
//! As long as the old slot is not recorded as bad, nothing else is committed: the block could go on from
//! its new slot, and the old one would be taken for it again.

use core::mem;

use super::{
    area::{
        Change,
        CommitError,
        Storage,
        Store,
        Unwritable,
        Version, //
    },
    remaps::Remap, //
};
use crate::{
    metadata::{
        entry::{
            Entry,
            UnitStates, //
        },
        page::Page,
        turn::Turn, //
    },
    table::index::MAX_BLOCKS, //
};

/// A slot that has failed, of a block that another slot has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failed {
    /// The block.
    pub block: u64,
    /// The slot that it had before.
    pub slot: u32,
}

impl From<Remap> for Failed {
    fn from(Remap { block, slot }: Remap) -> Self {
        Self { block, slot }
    }
}

impl<S: Storage, G: AsRef<[u64]> + AsMut<[u64]> + Default> Store<S, G> {
    /// Slots that were found to have failed when the area was loaded, each with the block that has
    /// another one. None of them after [`Store::retire`].
    pub fn failed(&self) -> impl Iterator<Item = Failed> + '_ {
        let numbers = self.failed.as_ref().iter();
        numbers.map(|number| Remap::unpack(*number).into())
    }

    /// Whether everything is written: no page is uncertain, and every slot that has failed is
    /// recorded as bad. Nothing can be committed before that.
    pub fn is_settled(&self) -> bool {
        self.unsettled.is_none() && self.unretired().is_none()
    }

    /// The first slot that is to be recorded as bad before anything else is committed.
    pub(super) fn unretired(&self) -> Option<u32> {
        self.failed().next().map(|it| it.slot).or(self.leaving)
    }

    /// What a slot holds. `pages` is memory for two pages, as for [`Store::commit`]. An error where
    /// its page cannot be read, and while a page is uncertain.
    ///
    /// Sleeps where the storage does; allocates nothing.
    pub fn entry(&mut self, slot: u32, pages: &mut [Page; 2]) -> Result<Entry, Unwritable> {
        if let Some(index) = self.unsettled {
            return Err(Unwritable { index });
        }
        let [page, _] = pages;
        self.read_entry(slot, page)
    }

    /// The same with memory for one page, where no page is uncertain.
    pub(super) fn read_entry(&mut self, slot: u32, page: &mut Page) -> Result<Entry, Unwritable> {
        let (index, number) = self.layout.entry_of(slot);
        if slot >= self.layout.slots() {
            return Err(Unwritable { index });
        }
        self.read_current(index, page)?;
        let read = Entry::read(self.layout.shape(), page.payload(), number, MAX_BLOCKS);
        read.map_err(|_| Unwritable { index })
    }

    /// Makes it durable that `block` has gone from slot `old`, which has failed and is bad from now
    /// on, to slot `new`, which is free, with these states of its units. Its contents are durable there.
    ///
    /// After an error it is in the old slot, or where [`Store::settle`] decides. Where only the old
    /// slot's page could not be written, that is no error: [`Store::is_settled`] says so, and
    /// [`Store::retire`] tries it again. `pages` is as for [`Store::commit`].
    pub fn replace(
        &mut self,
        block: u64,
        old: u32,
        new: u32,
        states: &UnitStates,
        pages: &mut [Page; 2],
    ) -> Result<(), CommitError> {
        let turn = self.turn_of(block, old, pages)?.next();
        let change = Change::To(Entry::Block {
            block,
            turn,
            states: *states,
        });
        let ((from, _), (to, _)) = (self.layout.entry_of(old), self.layout.entry_of(new));
        self.may_commit()?;
        let mut open = None;
        self.stage(new, &change, &mut open, pages)?;
        if from == to {
            self.stage(old, &Change::To(Entry::Bad), &mut open, pages)?;
            return self.close(open, pages);
        }
        let committed = self.close(open, pages);
        if matches!(committed, Err(CommitError::Unchanged(_))) {
            return committed;
        }
        self.leaving = Some(old);
        committed?;
        // The block is in its new slot, whether that can be written or not.
        let _ = self.retire(pages);
        Ok(())
    }

    /// Returns the turn of `block`, which `slot` has.
    #[inline(never)]
    fn turn_of(
        &mut self,
        block: u64,
        slot: u32,
        pages: &mut [Page; 2],
    ) -> Result<Turn, CommitError> {
        match self.entry(slot, pages).map_err(CommitError::Unchanged)? {
            Entry::Block {
                block: there, turn, ..
            } if there == block => Ok(turn),
            _ => {
                let (index, _) = self.layout.entry_of(slot);
                Err(CommitError::Unchanged(Unwritable { index }))
            }
        }
    }

    /// Records those slots as bad that have failed and are not recorded so far, if any. `pages` is as for
    /// [`Store::commit`]; in either version an uncertain page is right.
    pub fn retire(&mut self, pages: &mut [Page; 2]) -> Result<(), CommitError> {
        let failed = mem::take(&mut self.failed);
        let leaving = self.leaving.take();
        let slots = failed.as_ref().iter();
        let slots = slots.map(|number| Remap::unpack(*number).slot);
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
