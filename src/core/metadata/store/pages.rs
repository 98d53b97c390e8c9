// SPDX-License-Identifier: GPL-2.0

//! Single pages of an area: read as they were last written, and written as their next generation.

use core::ops::RangeInclusive;

use super::area::{
    judge,
    Storage,
    Store,
    Unwritable, //
};
use crate::metadata::{
    copies::Seen,
    layout::{
        Half,
        Place, //
    },
    page::{
        Identity,
        Page, //
    }, //
};

impl<S: Storage, G: AsRef<[u64]> + AsMut<[u64]> + Default> Store<S, G> {
    pub(super) fn generation(&self, index: u32) -> u64 {
        let generations = self.generations.as_ref();
        generations.get(index as usize).copied().unwrap_or(0)
    }

    pub(super) fn set_generation(&mut self, index: u32, generation: u64) {
        if let Some(known) = self.generations.as_mut().get_mut(index as usize) {
            *known = generation;
        }
    }

    fn identity(&self, index: u32, generation: u64) -> Identity {
        Identity {
            area: self.superblock.area(),
            index,
            generation,
        }
    }

    /// Writes `page` as a generation of page `index` to its places in `halves`, to each that takes it.
    pub(super) fn write_places(
        &mut self,
        index: u32,
        generation: u64,
        halves: &[Half],
        page: &mut Page,
    ) -> Result<(), Unwritable> {
        // Both halves get the same.
        page.seal(&self.identity(index, generation), self.checksum);
        let mut ended = Ok(());
        for half in halves {
            let place = Place::of(*half, generation);
            let sector = self.layout.sector_of(index, place);
            let sector = sector.ok_or(Unwritable { index })?;
            let written = self.storage.write(sector, core::slice::from_ref(page));
            ended = ended.and(written.map_err(|_| Unwritable { index }));
        }
        ended
    }

    /// Writes `page` as the next generation of page `index`. Where a place cannot be written, as the
    /// one after that, whose places are others: what counts has to be in both halves.
    pub(super) fn write_next(&mut self, index: u32, page: &mut Page) -> Result<(), Unwritable> {
        for _ in 0..2 {
            let next = self.generation(index).checked_add(1);
            let next = next.ok_or(Unwritable { index })?;
            let written = self.write_places(index, next, &Half::BOTH, page);
            // Some of it may have been written, so it is not written again.
            self.set_generation(index, next);
            if written.is_ok() {
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

    /// Reads page `index` as it was last written.
    pub(super) fn read_current(&mut self, index: u32, page: &mut Page) -> Result<(), Unwritable> {
        let generation = self.generation(index);
        self.read_newest(index, generation..=generation, page)
    }

    /// Reads the newest of some generations of page `index` that can be read.
    pub(super) fn read_newest(
        &mut self,
        index: u32,
        generations: RangeInclusive<u64>,
        page: &mut Page,
    ) -> Result<(), Unwritable> {
        // It may turn out to be something else, with the name of what was held.
        self.held = None;
        let newest_first = generations.rev();
        for (generation, half) in newest_first.flat_map(|of| Half::BOTH.map(|half| (of, half))) {
            let place = Place::of(half, generation);
            let Some(sector) = self.layout.sector_of(index, place) else {
                continue;
            };
            let read = self.storage.read(sector, core::slice::from_mut(page));
            if read.is_err() {
                continue;
            }
            let seen = judge(page, self.checksum, self.superblock.area(), index, place);
            if seen == Seen::Valid(generation) {
                return Ok(());
            }
        }
        Err(Unwritable { index })
    }
}
