// SPDX-License-Identifier: GPL-2.0

//! Keeps writes to an area in memory.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    io, //
};

use remap_core::metadata::{
    page::Page,
    store::Storage,
    PAGE_SECTORS, //
};

use crate::image::{
    Image,
    Medium, //
};

/// Image that is not changed, and the pages that would be written to it, by their sector. Reads return
/// these pages.
pub struct Overlay<'a> {
    image: &'a Image,
    pages: RefCell<BTreeMap<u64, Page>>,
}

impl<'a> Overlay<'a> {
    /// Makes an overlay without changes.
    pub fn new(image: &'a Image) -> Self {
        Self {
            image,
            pages: RefCell::default(),
        }
    }

    /// Returns the pages that would be written, by their sector.
    pub fn into_pages(self) -> BTreeMap<u64, Page> {
        self.pages.into_inner()
    }
}

/// Returns the sector of page number `number`, counted from the page at `sector`.
fn nth(sector: u64, number: usize) -> u64 {
    sector.saturating_add(PAGE_SECTORS.saturating_mul(number as u64))
}

impl Storage for &Overlay<'_> {
    type Error = io::Error;

    fn read(&mut self, sector: u64, pages: &mut [Page]) -> io::Result<()> {
        let known = self.pages.borrow();
        let mut written = known.range(sector..nth(sector, pages.len()));
        if written.next().is_none() {
            return self.image.read_bytes(sector, Page::bytes_mut(pages));
        }
        for (number, page) in pages.iter_mut().enumerate() {
            let sector = nth(sector, number);
            match known.get(&sector) {
                Some(written) => *page = *written,
                None => {
                    let page = std::slice::from_mut(page);
                    self.image.read_bytes(sector, Page::bytes_mut(page))?;
                }
            }
        }
        Ok(())
    }

    fn write(&mut self, sector: u64, pages: &[Page]) -> io::Result<()> {
        let mut known = self.pages.borrow_mut();
        for (number, page) in pages.iter().enumerate() {
            known.insert(nth(sector, number), *page);
        }
        Ok(())
    }
}
