// SPDX-License-Identifier: GPL-2.0

//! Growth of an area: slots stay where they are, and the places behind them move to the new end.
//!
//! The superblock in the head commits the growth. Before that nothing is written that the area uses, so it loads with
//! its old length. A step is durable before the next:
//!
//! 1. all pages in their new places, the superblock with the old length, too,
//! 2. the superblock with the new length in the head,
//! 3. zeros in the old tail's places of the superblock: the old length is not to be believed without the head,
//! 4. the superblock in the new tail,
//! 5. the superblock once more, so that none has the old length any more.
//!
//! No table uses the area before all of this is done. As long as a superblock has a shorter length, the steps from 3 on
//! are done when the area is loaded.

use zerocopy::FromZeros as _;

use super::area::{
    Storage,
    Store,
    Unwritable, //
};
use crate::metadata::{
    layout::{
        superblocks,
        Half, //
    },
    page::Page, //
};

use super::pages::{
    numbers_of,
    MAX_GENERATION, //
};

impl<S: Storage, G: AsRef<[u64]> + AsMut<[u64]> + Default> Store<S, G> {
    /// Makes the area as long as it was to be when it was loaded ([`LoadOptions`](super::LoadOptions)). Nothing happens
    /// if it is. `pages` is memory for an even number of pages; the more, the fewer requests.
    ///
    /// After an error the store must not be used any more. The area can be loaded: with the old length, or the new one.
    #[inline(never)]
    pub fn grow(&mut self, pages: &mut [Page]) -> Result<(), Unwritable> {
        let nowhere = Unwritable { index: 0 };
        let Some(sectors) = self.grows_to.take() else {
            return Ok(());
        };
        let before = self.superblock.sectors;
        let superblock = self.superblock.grown(sectors).ok_or(nowhere)?;
        let layout = superblock.layout().ok_or(nowhere)?;
        let known = self.layout.pages();
        let commit = self.generation(0).saturating_add(1);
        // All places of the superblock will be written, those of the old tail included.
        if self.is_torn(0) || self.numbers.as_ref().len() != numbers_of(&layout) {
            return Err(nowhere);
        }
        for index in known..layout.pages() {
            self.set_generation(index, 2);
        }
        let further = layout.head_pages();
        for (half, first) in [(Half::Head, further), (Half::Tail, 0)] {
            self.write_half(half, first, known, &layout, pages)?;
        }
        let page = pages.first_mut().ok_or(nowhere)?;
        self.make_superblock(&superblock, page)?;
        self.write_places(0, commit, &[Half::Head], page)?;
        self.set_generation(0, commit);
        self.superblock = superblock;
        self.layout = layout;
        // Bad places of the old tail are left behind.
        self.degraded = (0..layout.pages()).any(|index| self.is_torn(index));
        self.forget_tail(before, pages)?;
        self.end_growth(pages)
    }

    /// Writes zeros to the superblock's places in the tail of the area when it had `sectors` sectors.
    #[inline(never)]
    pub(super) fn forget_tail(
        &mut self,
        sectors: u64,
        pages: &mut [Page],
    ) -> Result<(), Unwritable> {
        let nowhere = Unwritable { index: 0 };
        let start = superblocks(sectors).nth(2).ok_or(nowhere)?;
        let places = pages.get_mut(..2).ok_or(nowhere)?;
        places.zero();
        let written = self.storage.write(start, places);
        written.map_err(|_| nowhere)
    }

    /// Writes the superblock to the tail, and then once more to both halves: the old length is in no place after this.
    #[inline(never)]
    pub(super) fn end_growth(&mut self, pages: &mut [Page]) -> Result<(), Unwritable> {
        let nowhere = Unwritable { index: 0 };
        let page = pages.first_mut().ok_or(nowhere)?;
        let generation = self.generation(0);
        let next = generation.saturating_add(1);
        if self.is_torn(0) || next > MAX_GENERATION {
            return Err(nowhere);
        }
        self.read_current(0, page)?;
        self.write_places(0, generation, &[Half::Tail], page)?;
        self.write_places(0, next, &Half::BOTH, page)?;
        self.set_generation(0, next);
        Ok(())
    }
}
