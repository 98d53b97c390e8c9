// SPDX-License-Identifier: GPL-2.0

//! Writes an area so that it is valid only when it is complete.

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

/// Text at the start of an area until everything else is there. The kernel takes it for foreign data, and
/// refuses the area. It would format a blank one.
const UNFINISHED: &[u8] = b"Writing dm-remap's metadata here was cut short: do it again.\n";

/// Holds back the superblocks of an area until everything else is durable. Without this, an area that is
/// not complete would be taken for one with fewer remaps, or with other contents.
pub struct Withheld<'a, M> {
    medium: &'a M,
    superblocks: BTreeMap<u64, Page>,
}

impl<'a, M: Medium> Withheld<'a, M> {
    /// Overwrites the superblocks that are there, so that no valid area is left. Durable on return.
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

    /// Writes bytes from `sector`, the start of a page, on. Superblocks among them are held back, and
    /// replaced in `bytes` by their placeholders. Zeros are not written if the medium `is_zero`.
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

    /// Makes the earlier writes durable, and then writes the superblocks, the one at sector 0 last. Each is
    /// durable before the next one is written.
    pub fn finish(self) -> io::Result<()> {
        self.medium.sync()?;
        for (sector, page) in self.superblocks.iter().rev() {
            self.medium.write_bytes(*sector, page.as_bytes())?;
            self.medium.sync()?;
        }
        Ok(())
    }
}

/// Returns the page that stands in a place of the superblock until the end.
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
        // The store writes a superblock alone, never together with the page beside it.
        if let (Some(kept), [page]) = (self.superblocks.get_mut(&sector), pages) {
            *kept = *page;
            return Ok(());
        }
        self.medium.write_bytes(sector, pages.as_bytes())
    }
}

const _: () = assert!(PAGE_BYTES as u64 == PAGE_SECTORS * SECTOR);
