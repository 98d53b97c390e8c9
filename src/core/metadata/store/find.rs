// SPDX-License-Identifier: GPL-2.0

//! What area this is, before anything else is known.

use super::{
    format::FORMATTING,
    LoadError,
    Storage, //
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
    PAGE_SECTORS, //
};

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

/// Looks for superblocks.
pub(super) fn find<S: Storage>(
    storage: &mut S,
    sectors: u64,
    page: &mut [Page],
    checksum: Checksum,
) -> Result<Found, LoadError> {
    let mut found: Option<Found> = None;
    let mut first = None;
    let mut refused = None;
    let mut unreadable = false;
    let page = page.get_mut(..1).ok_or(LoadError::Scratch)?;
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
        (None, None, Some(Err(Defect::Blank))) => Err(LoadError::Blank),
        (None, None, _) => Err(LoadError::Foreign),
    }
}
