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
    pub fn commit(
        &mut self,
        changes: impl IntoIterator<Item = (u32, impl Into<Change>)>,
        pages: &mut [Page; 2],
    ) -> Result<(), CommitError> {
        let unretired = self.unretired().map(|slot| self.layout.entry_of(slot).0);
        if let Some(index) = self.unsettled.or(unretired) {
            return Err(CommitError::Unchanged(Unwritable { index }));
        }
        let mut open = None;
        for (slot, change) in changes {
            let (index, number) = self.layout.entry_of(slot);
            let unchanged = CommitError::Unchanged(Unwritable { index });
            if slot >= self.layout.slots() {
                return Err(unchanged);
            }
            if open != Some(index) {
                self.close(open, pages)?;
                let [new, old] = pages;
                let known = self.recall(index, new);
                known.map_err(CommitError::Unchanged)?;
                old.payload_mut().copy_from_slice(new.payload());
                open = Some(index);
            }
            let shape = *self.layout.shape();
            let [new, _] = pages;
            let entry = change.into().of(&shape, new, number).ok_or(unchanged)?;
            let written = entry.write(&shape, new.payload_mut(), number);
            written.ok_or(unchanged)?;
        }
        self.close(open, pages)
    }

    /// Writes the page that was changed; where that fails, what it was before once more, so that what
    /// was written of the change does not count.
    fn close(&mut self, open: Option<u32>, [new, old]: &mut [Page; 2]) -> Result<(), CommitError> {
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

    /// Records the number of sectors of the target. `page` is memory for one page.
    pub fn set_length(&mut self, length: u64, page: &mut Page) -> Result<(), Unwritable> {
        let superblock = Superblock {
            length,
            ..self.superblock
        };
        superblock
            .write(page.payload_mut())
            .ok_or(Unwritable { index: 0 })?;
        self.write_next(0, page)?;
        self.superblock = superblock;
        Ok(())
    }
}
