// SPDX-License-Identifier: GPL-2.0

//! The search for the superblock of an area, which comes before everything else.

use super::{
    area::Storage,
    format::FORMATTING,
    load_error::LoadError, //
};
use crate::metadata::{
    layout::{
        superblocks,
        Layout, //
    },
    page::{
        Defect,
        Page, //
    },
    superblock::Superblock,
    Checksum,
    PAGE_BYTES,
    PAGE_SECTORS, //
};

/// Bytes of a sector.
const SECTOR_BYTES: usize = PAGE_BYTES / PAGE_SECTORS as usize;

/// Superblock of an area, and what follows from it.
pub(super) struct Found {
    pub(super) superblock: Superblock,
    pub(super) layout: Layout,
    /// Generation of the superblock.
    generation: u64,
}

impl Found {
    /// Replaces `found`, unless that is newer. [`LoadError::Several`] where it is of another area.
    fn keep_newer(self, found: &mut Option<Found>) -> Result<(), LoadError> {
        match found {
            Some(known) if known.superblock.uuid != self.superblock.uuid => {
                return Err(LoadError::Several)
            }
            // The length of the target may be another in the newer one.
            Some(known) if known.generation >= self.generation => {}
            _ => *found = Some(self),
        }
        Ok(())
    }
}

/// Sectors at either end of an area that are zeros where it is blank. The labels of file systems,
/// volume managers, RAIDs, encryption and partitions lie there, wherever the rest of theirs is.
const BLANK_SECTORS: u64 = 2048;

/// Looks at both ends of an area in which no superblock was found, as many pages together as there is
/// memory for.
fn check_blank<S: Storage>(
    storage: &mut S,
    sectors: u64,
    pages: &mut [Page],
) -> Result<(), LoadError> {
    // In whole pages, for which an area that is no multiple of a page has room at either end.
    let end = sectors.min(BLANK_SECTORS) / PAGE_SECTORS * PAGE_SECTORS;
    for start in [0, sectors.saturating_sub(end)] {
        let mut done = 0;
        while done < end {
            let count = pages.len().min(((end - done) / PAGE_SECTORS) as usize);
            let pages = pages.get_mut(..count).filter(|pages| !pages.is_empty());
            let pages = pages.ok_or(LoadError::Scratch)?;
            let first = start.saturating_add(done);
            storage
                .read(first, pages)
                .map_err(|_| LoadError::Unreadable)?;
            if let Some(byte) = Page::bytes(pages).iter().position(|byte| *byte != 0) {
                let sector = first.saturating_add((byte / SECTOR_BYTES) as u64);
                return Err(LoadError::NotBlank { sector });
            }
            done += count as u64 * PAGE_SECTORS;
        }
    }
    Ok(())
}

/// Search for superblocks in an area.
struct Search {
    /// Sectors of the area.
    sectors: u64,
    checksum: Checksum,
    found: Option<Found>,
    /// Check of the first place.
    first: Option<Result<(), Defect>>,
    refused: Option<LoadError>,
    unreadable: bool,
}

impl Search {
    /// Looks at a place for superblocks of one parity. `page` is memory for one page.
    fn look<S: Storage>(
        &mut self,
        storage: &mut S,
        page: &mut [Page],
        sector: u64,
        odd: bool,
    ) -> Result<(), LoadError> {
        if storage.read(sector, page).is_err() {
            self.unreadable = true;
            return Ok(());
        }
        let Some(page) = page.first_mut() else {
            return Ok(());
        };
        let checked = page.check(self.checksum);
        if sector == 0 {
            self.first = Some(checked.map(drop));
            // Formatting was cut short: nobody has relied on anything.
            if checked.is_ok_and(|page| page.index == FORMATTING) {
                return Err(LoadError::Blank);
            }
        }
        match checked {
            Ok(header) if header.index == 0 && (header.generation % 2 == 1) == odd => {
                self.take(page, sector, header.area, header.generation)
            }
            _ => Ok(()),
        }
    }

    /// Takes a page for a superblock, the newest one so far.
    fn take(
        &mut self,
        page: &Page,
        sector: u64,
        area: u64,
        generation: u64,
    ) -> Result<(), LoadError> {
        // The places of the head are the same for every length.
        let of_this_length = |is: u64| sector <= PAGE_SECTORS || is == self.sectors;
        match Superblock::read(page.payload()) {
            Ok(superblock) if superblock.area() == area && of_this_length(superblock.sectors) => {
                let layout = superblock.layout().ok_or(LoadError::Foreign)?;
                let new = Found {
                    superblock,
                    layout,
                    generation,
                };
                new.keep_newer(&mut self.found)?;
            }
            Ok(_) => {}
            Err(error) => self.refused = Some(LoadError::Superblock(error)),
        }
        Ok(())
    }

    /// Ends the search. `pages` is memory for some pages.
    fn end<S: Storage>(self, storage: &mut S, pages: &mut [Page]) -> Result<Found, LoadError> {
        match (self.found, self.refused, self.first) {
            (Some(found), _, _) => Ok(found),
            (None, Some(error), _) => Err(error),
            // A place that cannot be read may have a superblock.
            (None, None, _) if self.unreadable => Err(LoadError::Unreadable),
            (None, None, Some(Err(Defect::Blank))) => {
                check_blank(storage, self.sectors, pages)?;
                Err(LoadError::Blank)
            }
            (None, None, _) => Err(LoadError::Foreign),
        }
    }
}

/// Returns the newest superblock of an area of `sectors` sectors. `pages` is memory for some pages; the more,
/// the fewer requests where there is none.
pub(super) fn find<S: Storage>(
    storage: &mut S,
    sectors: u64,
    pages: &mut [Page],
    checksum: Checksum,
) -> Result<Found, LoadError> {
    let mut search = Search {
        sectors,
        checksum,
        found: None,
        first: None,
        refused: None,
        unreadable: false,
    };
    for (number, sector) in superblocks(sectors).enumerate() {
        let page = pages.get_mut(..1).ok_or(LoadError::Scratch)?;
        search.look(storage, page, sector, number % 2 == 1)?;
    }
    search.end(storage, pages)
}
