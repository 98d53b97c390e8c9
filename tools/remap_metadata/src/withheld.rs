// SPDX-License-Identifier: GPL-2.0

//! Areas that are none before they are whole.

use std::{
    collections::BTreeMap,
    io, //
};

use remap_core::metadata::{
    layout::superblocks,
    page::Page,
    store::Storage,
    PAGE_BYTES,
    PAGE_SECTORS, //
};
use zerocopy::{
    FromZeros,
    IntoBytes, //
};

use crate::image::{
    Medium,
    SECTOR, //
};

/// What stands in the first place of an area until everything else is there. The kernel takes it for
/// something that is no metadata, and leaves the area alone; a blank one it would format.
const UNFINISHED: &[u8] = b"Writing dm-remap's metadata here was cut short: do it again.\n";

/// Keeps the superblocks of an area back until everything else is durable: before that the area
/// would be taken for one with fewer remaps, or with other contents.
pub struct Withheld<'a, M> {
    medium: &'a M,
    superblocks: BTreeMap<u64, Page>,
}

impl<'a, M: Medium> Withheld<'a, M> {
    /// Makes what is there no area, and then lets it be written to.
    pub fn begin(medium: &'a M) -> io::Result<Self> {
        medium.write_bytes(0, placeholder(0).as_bytes())?;
        medium.sync()?;
        let mut withheld = BTreeMap::new();
        for sector in superblocks(medium.sectors()) {
            withheld.insert(sector, Page::new_zeroed());
            if sector != 0 {
                medium.write_bytes(sector, placeholder(sector).as_bytes())?;
            }
        }
        medium.sync()?;
        Ok(Self {
            medium,
            superblocks: withheld,
        })
    }

    /// Writes bytes from `sector`, the start of a page, on; superblocks among them are kept back. `bytes`
    /// are changed to what is written. What is zero on a medium that `is_zero` need not be.
    pub fn write_bytes(&mut self, sector: u64, bytes: &mut [u8], is_zero: bool) -> io::Result<()> {
        for (sector, page) in (sector..)
            .step_by(PAGE_SECTORS as usize)
            .zip(bytes.chunks_exact_mut(PAGE_BYTES))
        {
            if let Some(kept) = self.superblocks.get_mut(&sector) {
                kept.as_mut_bytes().copy_from_slice(page);
                page.copy_from_slice(placeholder(sector).as_bytes());
            }
        }
        if is_zero && bytes.iter().all(|byte| *byte == 0) {
            return Ok(());
        }
        self.medium.write_bytes(sector, bytes)
    }

    /// Makes durable what was written, and then the superblocks, the first place last.
    pub fn finish(self) -> io::Result<()> {
        self.medium.sync()?;
        for (sector, page) in self.superblocks.iter().rev() {
            self.medium.write_bytes(*sector, page.as_bytes())?;
            self.medium.sync()?;
        }
        Ok(())
    }
}

/// What stands in a place of the superblock meanwhile.
fn placeholder(sector: u64) -> Page {
    let mut page = Page::new_zeroed();
    if sector == 0 {
        for (to, from) in page.as_mut_bytes().iter_mut().zip(UNFINISHED) {
            *to = *from;
        }
    }
    page
}

impl<M: Medium> Storage for &mut Withheld<'_, M> {
    type Error = io::Error;

    fn read(&mut self, sector: u64, pages: &mut [Page]) -> io::Result<()> {
        self.medium.read_bytes(sector, pages.as_mut_bytes())
    }

    fn write(&mut self, sector: u64, pages: &[Page]) -> io::Result<()> {
        // A superblock and what is next to it are never written together.
        if let (Some(kept), [page]) = (self.superblocks.get_mut(&sector), pages) {
            *kept = *page;
            return Ok(());
        }
        self.medium.write_bytes(sector, pages.as_bytes())
    }
}

const _: () = assert!(PAGE_BYTES as u64 == PAGE_SECTORS * SECTOR);
