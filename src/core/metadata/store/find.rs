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
    /// Length that the area had before, if its growth was cut short: an older superblock has it.
    pub(super) shorter: Option<u64>,
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

/// Sectors at either end of an area that are zeros where it is blank. Nearly all labels of file systems,
/// volume managers, RAIDs, encryption and partitions lie there, wherever the rest of theirs is.
const BLANK_SECTORS: u64 = 2048;

/// Further sectors at which labels begin that may be there alone, as libblkid looks for them. Each fits into a page.
const LABEL_SECTORS: [u64; 4] = [
    // The second header of LUKS2, and the members of VMFS.
    1 << 11,
    // The second header of LUKS2, VMFS, and a copy of the superblock of bcachefs.
    1 << 12,
    // The second header of LUKS2.
    1 << 13,
    // A copy of the superblock of btrfs.
    1 << 17,
];

/// Sectors from the end of an area to a label of a Promise RAID.
const LABEL_BEFORE_END: u64 = 3087;

/// Returns [`LoadError::NotBlank`] unless `count` sectors from `start` on are zeros, a multiple of a page. Reads as
/// many pages together as there is memory for.
fn check_zeros<S: Storage>(
    storage: &mut S,
    (start, count): (u64, u64),
    pages: &mut [Page],
) -> Result<(), LoadError> {
    let mut done = 0;
    while done < count {
        let at_once = pages.len().min(((count - done) / PAGE_SECTORS) as usize);
        let pages = pages.get_mut(..at_once).filter(|pages| !pages.is_empty());
        let pages = pages.ok_or(LoadError::Scratch)?;
        let first = start.saturating_add(done);
        storage
            .read(first, pages)
            .map_err(|_| LoadError::Unreadable)?;
        if let Some(byte) = Page::bytes(pages).iter().position(|byte| *byte != 0) {
            let sector = first.saturating_add((byte / SECTOR_BYTES) as u64);
            return Err(LoadError::NotBlank { sector });
        }
        done += at_once as u64 * PAGE_SECTORS;
    }
    Ok(())
}

/// Looks for labels in an area in which no superblock was found.
fn check_blank<S: Storage>(
    storage: &mut S,
    sectors: u64,
    pages: &mut [Page],
) -> Result<(), LoadError> {
    // In whole pages, for which an area that is no multiple of a page has room at either end.
    let end = sectors.min(BLANK_SECTORS) / PAGE_SECTORS * PAGE_SECTORS;
    for start in [0, sectors.saturating_sub(end)] {
        check_zeros(storage, (start, end), pages)?;
    }
    let before_end = sectors.checked_sub(LABEL_BEFORE_END);
    // A logical block of a device has at most a page.
    let before_end = before_end.map(|sector| sector / PAGE_SECTORS * PAGE_SECTORS);
    for sector in LABEL_SECTORS.into_iter().chain(before_end) {
        if sector.saturating_add(PAGE_SECTORS) <= sectors {
            check_zeros(storage, (sector, PAGE_SECTORS), pages)?;
        }
    }
    Ok(())
}

/// Returns [`LoadError::NotBlank`] unless all places of metadata in a blank area are zeros: fresh metadata with this
/// layout would overwrite them. `pages` is memory for some pages.
pub fn check_places<S: Storage>(
    storage: &mut S,
    layout: &Layout,
    pages: &mut [Page],
) -> Result<(), LoadError> {
    for places in layout.places() {
        check_zeros(storage, (places.start, places.end - places.start), pages)?;
    }
    Ok(())
}

/// Search for superblocks in an area.
struct Search {
    /// Sectors of the area.
    sectors: u64,
    checksum: Checksum,
    found: Option<Found>,
    /// UUID and length of every superblock.
    lengths: [Option<([u8; 16], u64)>; 4],
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
            // Nobody has relied on anything.
            if checked.is_ok_and(|page| page.index == FORMATTING) {
                return Err(LoadError::Formatting);
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
                    shorter: None,
                };
                new.keep_newer(&mut self.found)?;
                self.record_length(&superblock);
            }
            // The tail of an area that was growing has the superblock that it had before.
            Ok(superblock) => self.record_length(&superblock),
            Err(error) => self.refused = Some(LoadError::Superblock(error)),
        }
        Ok(())
    }

    fn record_length(&mut self, superblock: &Superblock) {
        if let Some(free) = self.lengths.iter_mut().find(|length| length.is_none()) {
            *free = Some((superblock.uuid, superblock.sectors));
        }
    }

    /// Returns whether the places that were looked at so far are those of an area that has never had so many sectors:
    /// both have the same shorter length, and a growth changes one of them first.
    fn has_never_grown(&self) -> bool {
        match self.lengths {
            [Some(one), Some(other), None, None] => one == other && one.1 < self.sectors,
            _ => false,
        }
    }

    /// Ends the search. `pages` is memory for some pages.
    fn end<S: Storage>(self, storage: &mut S, pages: &mut [Page]) -> Result<Found, LoadError> {
        match (self.found, self.refused, self.first) {
            (Some(mut found), _, _) => {
                let Superblock { uuid, sectors, .. } = found.superblock;
                let lengths = self.lengths.into_iter().flatten();
                let shorter = lengths.filter(|(of, is)| *of == uuid && *is < sectors);
                found.shorter = shorter.map(|(_, is)| is).min();
                Ok(found)
            }
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
        lengths: [None; 4],
        first: None,
        refused: None,
        unreadable: false,
    };
    for (number, sector) in superblocks(sectors).enumerate() {
        if number == 2 && search.has_never_grown() {
            // At the end there may be anything, also metadata of an earlier area.
            break;
        }
        let page = pages.get_mut(..1).ok_or(LoadError::Scratch)?;
        search.look(storage, page, sector, number % 2 == 1)?;
    }
    search.end(storage, pages)
}
