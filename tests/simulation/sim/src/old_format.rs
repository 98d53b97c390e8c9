// SPDX-License-Identifier: GPL-2.0

//! Spare areas of version 1, which the first change upgrades.

use machine::disk::Sector;
use remap_core::metadata::{
    page::Page,
    store::{numbers_of, Storage, Store},
    superblock::{Format, Main, Superblock},
};
use zerocopy::FromZeros;

use crate::{linux::checksum::crc32c, settings::Settings};

/// A spare disk that no table uses so far.
struct Spare<'a> {
    sectors: &'a mut [Sector],
    /// Where the area begins.
    start: u64,
}

impl Spare<'_> {
    fn sectors(&mut self, sector: u64, pages: usize) -> impl Iterator<Item = &mut Sector> {
        let first = (self.start + sector) as usize;
        self.sectors[first..][..8 * pages].iter_mut()
    }
}

impl Storage for Spare<'_> {
    type Error = ();

    fn read(&mut self, sector: u64, pages: &mut [Page]) -> Result<(), ()> {
        let sectors = self.sectors(sector, pages.len());
        let bytes = Page::bytes_mut(pages).chunks_exact_mut(512);
        bytes
            .zip(sectors)
            .for_each(|(to, from)| to.copy_from_slice(from));
        Ok(())
    }

    fn write(&mut self, sector: u64, pages: &[Page]) -> Result<(), ()> {
        let sectors = self.sectors(sector, pages.len());
        let bytes = Page::bytes(pages).chunks_exact(512);
        sectors
            .zip(bytes)
            .for_each(|(to, from)| to.copy_from_slice(from));
        Ok(())
    }
}

/// Writes an area of version 1, without remaps, for a device whose main disk has so many sectors.
pub(crate) fn format(sectors: &mut [Sector], settings: &Settings, main: u64) {
    let layout = settings.layout().expect("metadata");
    let superblock = Superblock {
        format: Format::FIRST,
        uuid: *b"a version 1 area",
        main: Main {
            identity: [0; 16],
            sectors: main,
            start: settings.main_start,
        },
        length: settings.sectors,
        block: settings.block_size(),
        lost_unit: 1,
        sectors: settings.spare_len.get(),
        head_pages: None,
    };
    let start = settings.spare_start;
    let numbers = vec![0; numbers_of(&layout)];
    let mut pages = [Page::new_zeroed(), Page::new_zeroed()];
    let spare = Spare { sectors, start };
    let formatted = Store::format(spare, &superblock, numbers, crc32c, &mut pages);
    assert!(formatted.is_ok(), "an area of version 1 has no room");
}
