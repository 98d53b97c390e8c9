// SPDX-License-Identifier: GPL-2.0

//! Single pages of an area: read as they were last written, and written as their next generation.

use zerocopy::FromZeros as _;

use super::area::{
    judge,
    Storage,
    Store,
    Unwritable, //
};
use crate::metadata::{
    layout::{
        Half,
        Layout,
        Place, //
    },
    page::{
        Identity,
        Page, //
    },
    superblock::Superblock, //
};

/// Largest generation of a page. The bits above say in memory which of its places are torn: bad, or written in vain.
pub(super) const MAX_GENERATION: u64 = (1 << GENERATION_BITS) - 1;
const GENERATION_BITS: u32 = 60;

/// Returns the bit of a place that is torn.
fn torn_bit(place: Place) -> u64 {
    let half = match place.half {
        Half::Head => 0,
        Half::Tail => 1,
    };
    1 << (GENERATION_BITS + 2 * half + u32::from(place.odd))
}

/// Returns how many numbers a store needs memory for: of each page of its layout its generation, and the last one that
/// was tried.
pub fn numbers_of(layout: &Layout) -> usize {
    2 * layout.pages() as usize
}

impl<S: Storage, G: AsRef<[u64]> + AsMut<[u64]> + Default> Store<S, G> {
    /// Returns the generation that page `index` was written in last.
    pub(super) fn generation(&self, index: u32) -> u64 {
        self.known(index) & MAX_GENERATION
    }

    /// Records the generation that page `index` was written in last. There is no later one.
    pub(super) fn set_generation(&mut self, index: u32, generation: u64) {
        let torn = self.known(index) & !MAX_GENERATION;
        self.set_known(index, torn | generation & MAX_GENERATION);
        self.set_tried(index, generation);
    }

    /// Returns the last generation that page `index` was to be written in, of which nothing or a part is there if it
    /// is not [`Store::generation`]. 0 of a page that has not been looked at.
    pub(super) fn tried(&self, index: u32) -> u64 {
        let tried = self.split_numbers().1;
        tried.get(index as usize).copied().unwrap_or(0)
    }

    /// Records a generation that page `index` is to be written in, or may have been written in.
    pub(super) fn set_tried(&mut self, index: u32, generation: u64) {
        let (_, tried) = self.split_numbers_mut();
        if let Some(tried) = tried.get_mut(index as usize) {
            *tried = generation;
        }
    }

    /// Returns the generation of a page and its torn places, as one number.
    fn known(&self, index: u32) -> u64 {
        let (known, _) = self.split_numbers();
        known.get(index as usize).copied().unwrap_or(0)
    }

    fn set_known(&mut self, index: u32, new: u64) {
        let (all, _) = self.split_numbers_mut();
        if let Some(known) = all.get_mut(index as usize) {
            *known = new;
        }
    }

    fn split_numbers(&self) -> (&[u64], &[u64]) {
        let numbers = self.numbers.as_ref();
        numbers.split_at(numbers.len() / 2)
    }

    fn split_numbers_mut(&mut self) -> (&mut [u64], &mut [u64]) {
        let numbers = self.numbers.as_mut();
        numbers.split_at_mut(numbers.len() / 2)
    }

    pub(super) fn identity(&self, index: u32, generation: u64) -> Identity {
        Identity {
            area: self.superblock.area(),
            index,
            generation,
        }
    }

    /// Returns the half whose place for `generation` of page `index` is bad, or may be.
    fn torn_half(&self, index: u32, generation: u64) -> Option<Half> {
        Half::BOTH
            .into_iter()
            .find(|half| self.known(index) & torn_bit(Place::of(*half, generation)) != 0)
    }

    /// Returns whether a place of page `index` is bad, or may be.
    pub(super) fn is_torn(&self, index: u32) -> bool {
        self.known(index) & !MAX_GENERATION != 0
    }

    /// Records whether a place of page `index` is bad, or may be.
    pub(super) fn set_torn(&mut self, index: u32, place: Place, is_torn: bool) {
        let others = self.known(index) & !torn_bit(place);
        let torn = if is_torn { torn_bit(place) } else { 0 };
        self.set_known(index, others | torn);
    }

    /// Writes `page` as a generation of page `index` to its places in `halves`, up to one that refuses it: as
    /// long as that is bad, what the next one holds may be needed.
    pub(super) fn write_places(
        &mut self,
        index: u32,
        generation: u64,
        halves: &[Half],
        page: &mut Page,
    ) -> Result<(), Unwritable> {
        // Both halves get the same.
        page.seal(&self.identity(index, generation), self.checksum);
        for half in halves {
            let place = Place::of(*half, generation);
            let sector = self.layout.sector_of(index, place);
            let sector = sector.ok_or(Unwritable { index })?;
            let written = self.storage.write(sector, core::slice::from_ref(page));
            self.set_torn(index, place, written.is_err());
            written.map_err(|_| Unwritable { index })?;
        }
        Ok(())
    }

    /// Writes `page` as the next generation of page `index`. Where a place cannot be written, as the
    /// one after that, whose places are others: what counts has to be in both halves.
    ///
    /// A place that is bad comes before its neighbour in the other half. So there is a valid place of either
    /// parity at any time, whatever fails or is cut short, and the page can be loaded.
    pub(super) fn write_next(&mut self, index: u32, page: &mut Page) -> Result<(), Unwritable> {
        for _ in 0..2 {
            let next = self.tried(index).saturating_add(1);
            if next > MAX_GENERATION {
                return Err(Unwritable { index });
            }
            let halves = match self.torn_half(index, next) {
                Some(Half::Tail) => [Half::Tail, Half::Head],
                Some(Half::Head) | None => Half::BOTH,
            };
            // Some of it may be written in any case, so it is not written again.
            self.set_tried(index, next);
            if self.write_places(index, next, &halves, page).is_ok() {
                self.set_generation(index, next);
                return Ok(());
            }
            self.degraded = true;
        }
        Err(Unwritable { index })
    }

    /// Makes `page` page `index` as it was last written, to be changed. Read only where it is not the
    /// memory that it was last written from.
    pub(super) fn recall(&mut self, index: u32, page: &mut Page) -> Result<(), Unwritable> {
        // No more, whatever becomes of the change.
        let held = self.held.take();
        let current = self.identity(index, self.generation(index));
        if held == Some(index) && page.claims() == current {
            return Ok(());
        }
        self.read_current(index, page)
    }

    /// Makes `page` page 0 with another superblock. A later version's fields and compatible features stay.
    pub(super) fn make_superblock(
        &mut self,
        superblock: &Superblock,
        page: &mut Page,
    ) -> Result<(), Unwritable> {
        if self.superblock.format.is_old() {
            // Version 1 has no further fields.
            page.zero();
        } else {
            self.read_current(0, page)?;
        }
        let written = superblock.write(page.payload_mut());
        written.ok_or(Unwritable { index: 0 })
    }

    /// Reads page `index` as it was last written. Of a page that could not be put right, later generations have the same
    /// payload: they may have replaced the one that was found.
    pub(super) fn read_current(&mut self, index: u32, page: &mut Page) -> Result<(), Unwritable> {
        // It may turn out to be something else, with the name of what was held.
        self.held = None;
        let alike = self.generation(index)..=self.tried(index);
        let parities = if alike.start() == alike.end() { 1 } else { 2 };
        for generation in alike.clone().take(parities) {
            for half in Half::BOTH {
                let place = Place::of(half, generation);
                let Some(sector) = self.layout.sector_of(index, place) else {
                    continue;
                };
                let read = self.storage.read(sector, core::slice::from_mut(page));
                if read.is_err() {
                    continue;
                }
                let seen = judge(page, self.checksum, self.superblock.area(), index, place);
                if seen
                    .generation()
                    .is_some_and(|found| alike.contains(&found))
                {
                    return Ok(());
                }
            }
        }
        Err(Unwritable { index })
    }
}
