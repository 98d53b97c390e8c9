// SPDX-License-Identifier: GPL-2.0

//! Changing the metadata of an area.

use crate::metadata::{
    page::Page,
    superblock::Superblock, //
};

use super::area::{
    Change,
    CommitError,
    Storage,
    Store,
    Unwritable,
    Version, //
};

impl<S: Storage, G: AsRef<[u64]> + AsMut<[u64]> + Default> Store<S, G> {
    /// Makes entries durable: those of neighbouring slots that come in order with one write of their
    /// page. What was written before an error stays. Nothing is written while a slot that has failed is
    /// not recorded as bad ([`Store::retire`]). `pages` is memory for two pages, which belong to
    /// the store from an uncertain end to [`Store::settle`]; nothing else is written meanwhile. Where it
    /// is the same as for the commit before, and the page as well, that is not read again.
    ///
    /// The first change of an area of version 1 upgrades it before.
    pub fn commit(
        &mut self,
        changes: impl IntoIterator<Item = (u32, impl Into<Change>)>,
        pages: &mut [Page; 2],
    ) -> Result<(), CommitError> {
        self.may_commit()?;
        let mut open = None;
        for (slot, change) in changes {
            self.stage(slot, &change.into(), &mut open, pages)?;
        }
        self.close(open, pages)
    }

    /// Reads the page of a slot that will be committed soon, so that the commit need not.
    pub fn prepare(&mut self, slot: u32, pages: &mut [Page; 2]) {
        let (index, _) = self.layout.entry_of(slot);
        if self.unsettled.is_some() || slot >= self.layout.slots() {
            return;
        }
        let [new, _] = pages;
        if self.recall(index, new).is_ok() {
            self.held = Some(index);
        }
    }

    /// Fails while something else has to be written before.
    pub(super) fn may_commit(&self) -> Result<(), CommitError> {
        let unretired = self.unretired().map(|slot| self.layout.entry_of(slot).0);
        match self.unsettled.or(unretired) {
            Some(index) => Err(CommitError::Unchanged(Unwritable { index })),
            None => Ok(()),
        }
    }

    /// Changes the entry of a slot in memory. `open` is the page that is changed: if the slot is in another one, that
    /// is written, and the slot's is read. [`Store::close`] writes the last one.
    // Entries are large: a function of its own keeps them off the stack of those who call it.
    #[inline(never)]
    pub(super) fn stage(
        &mut self,
        slot: u32,
        change: &Change,
        open: &mut Option<u32>,
        pages: &mut [Page; 2],
    ) -> Result<(), CommitError> {
        let (index, number) = self.layout.entry_of(slot);
        let unchanged = CommitError::Unchanged(Unwritable { index });
        if slot >= self.layout.slots() {
            return Err(unchanged);
        }
        if *open != Some(index) {
            self.close(*open, pages)?;
            let [new, old] = pages;
            if self.superblock.format.is_old() {
                // Before the page is changed: its entries may mean something else from here on.
                let upgraded = self.write_superblock(self.superblock.length, old);
                upgraded.map_err(CommitError::Unchanged)?;
            }
            let known = self.recall(index, new);
            known.map_err(CommitError::Unchanged)?;
            old.payload_mut().copy_from_slice(new.payload());
            *open = Some(index);
        }
        let shape = *self.layout.shape();
        let [new, _] = pages;
        change.write(&shape, new, number).ok_or(unchanged)
    }

    /// Writes the page that was changed; where that fails, what it was before once more, so that what
    /// was written of the change does not count.
    pub(super) fn close(
        &mut self,
        open: Option<u32>,
        [new, old]: &mut [Page; 2],
    ) -> Result<(), CommitError> {
        let Some(index) = open else {
            return Ok(());
        };
        match self.write_next(index, new) {
            Ok(()) => {
                self.held = Some(index);
                Ok(())
            }
            Err(why) => match self.write_next(index, old) {
                Ok(()) => Err(CommitError::Unchanged(why)),
                Err(why) => {
                    self.unsettled = Some(index);
                    Err(CommitError::Uncertain(why))
                }
            },
        }
    }

    /// Tries again to write the page that a commit has left uncertain, in the version that counts
    /// from now on. Nothing happens where there is none.
    pub fn settle(
        &mut self,
        version: Version,
        [new, old]: &mut [Page; 2],
    ) -> Result<(), Unwritable> {
        let Some(index) = self.unsettled else {
            return Ok(());
        };
        let page = match version {
            Version::Old => old,
            Version::New => new,
        };
        self.write_next(index, page)?;
        self.unsettled = None;
        self.decided(index, version);
        Ok(())
    }

    /// Records the number of sectors of the target. `page` is memory for one page. An error also while a page is
    /// uncertain.
    pub fn set_length(&mut self, length: u64, page: &mut Page) -> Result<(), Unwritable> {
        match self.unsettled {
            Some(index) => Err(Unwritable { index }),
            None => self.write_superblock(length, page),
        }
    }

    /// Writes the superblock with this length of the target, in the current format.
    fn write_superblock(&mut self, length: u64, page: &mut Page) -> Result<(), Unwritable> {
        let unwritable = Unwritable { index: 0 };
        let superblock = Superblock {
            format: self.superblock.format.current(),
            length,
            ..self.superblock
        };
        let layout = superblock.layout().ok_or(unwritable)?;
        self.make_superblock(&superblock, page)?;
        self.write_next(0, page)?;
        self.superblock = superblock;
        self.layout = layout;
        Ok(())
    }
}
