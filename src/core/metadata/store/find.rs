// SPDX-License-Identifier: GPL-2.0

//! What area this is, before anything else is known.

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

/// What of an area is known before it is loaded.
pub(super) struct Found {
    pub(super) superblock: Superblock,
    pub(super) layout: Layout,
    /// Of the superblock.
    generation: u64,
}

impl Found {
    /// Becomes what was found, unless that is newer.
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

/// Looks for superblocks. `pages` is memory for some pages; the more, the fewer requests where there
/// are none.
pub(super) fn find<S: Storage>(
    storage: &mut S,
    sectors: u64,
    pages: &mut [Page],
    checksum: Checksum,
) -> Result<Found, LoadError> {
    let mut found: Option<Found> = None;
    let mut first = None;
    let mut refused = None;
    let mut unreadable = false;
    let page = pages.get_mut(..1).ok_or(LoadError::Scratch)?;
    let mut look = |storage: &mut S, sector: u64, odd: bool, found: &mut Option<Found>| {
        if storage.read(sector, page).is_err() {
            unreadable = true;
            return Ok(());
        }
        let Some(page) = page.first_mut() else {
            return Ok(());
        };
        let checked = page.check(checksum);
        if sector == 0 {
            first = Some(checked);
            // Nobody has relied on anything yet.
            if checked.is_ok_and(|page| page.index == FORMATTING) {
                return Err(LoadError::Blank);
            }
        }
        let (area, generation) = match checked {
            Ok(page) if page.index == 0 && (page.generation % 2 == 1) == odd => {
                (page.area, page.generation)
            }
            _ => return Ok(()),
        };
        // The places of the head are the same for every length.
        let of_this_length = |is: u64| sector <= PAGE_SECTORS || is == sectors;
        match Superblock::read(page.payload()) {
            Ok(superblock) if superblock.area() == area && of_this_length(superblock.sectors) => {
                let layout = superblock.layout().ok_or(LoadError::Foreign)?;
                let new = Found {
                    superblock,
                    layout,
                    generation,
                };
                new.keep_newer(found)?;
            }
            Ok(_) => {}
            Err(error) => refused = Some(LoadError::Superblock(error)),
        }
        Ok(())
    };
    for (number, sector) in superblocks(sectors).enumerate() {
        look(storage, sector, number % 2 == 1, &mut found)?;
    }
    match (found, refused, first) {
        (Some(found), _, _) => Ok(found),
        (None, Some(error), _) => Err(error),
        // What cannot be read may be a superblock.
        (None, None, _) if unreadable => Err(LoadError::Unreadable),
        (None, None, Some(Err(Defect::Blank))) => {
            check_blank(storage, sectors, pages)?;
            Err(LoadError::Blank)
        }
        (None, None, _) => Err(LoadError::Foreign),
    }
}
