// SPDX-License-Identifier: GPL-2.0

//! What is in a spare area.

use std::collections::HashSet;

use remap_core::metadata::{
    entry::Entry,
    layout::Layout,
    page::Page,
    store::{
        Findings,
        LoadError,
        Reader,
        Scratch,
        Storage,
        Store,
        MOST_PLACES, //
    },
    superblock::Superblock, //
};
use zerocopy::FromZeros;

use crate::{
    failure::Failure,
    image::{
        Access,
        Location, //
    },
};

/// An area as it was found.
#[derive(Debug)]
pub struct Area {
    /// What it is.
    pub superblock: Superblock,
    /// How it is divided.
    pub layout: Layout,
    /// Slots that are not free, in order.
    pub entries: Vec<(u32, Entry)>,
    /// What is wrong with the copies.
    pub findings: Findings,
}

/// The checksum of pages.
pub fn crc32c(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes)
}

/// Takes everything that is there.
#[derive(Default)]
struct Entries {
    taken: Vec<(u32, Entry)>,
    blocks: HashSet<u64>,
}

impl Reader for Entries {
    type Error = LoadError;
    type Generations = Vec<u64>;

    fn begin(
        &mut self,
        superblock: &Superblock,
        layout: &Layout,
    ) -> Result<(u64, Vec<u64>), LoadError> {
        let blocks = superblock
            .length
            .div_ceil(u64::from(superblock.block.sectors()));
        Ok((blocks, vec![0; layout.pages() as usize]))
    }

    fn take(&mut self, slot: u32, entry: &Entry) -> Result<(), LoadError> {
        match entry {
            Entry::Block { block, .. } if !self.blocks.insert(*block) => {
                return Err(LoadError::Twice { slot })
            }
            _ => {}
        }
        self.taken.push((slot, *entry));
        Ok(())
    }
}

/// Calls `with` with memory for as many pages as may be looked at together.
pub fn with_scratch<R>(with: impl FnOnce(&mut Scratch<'_>) -> R) -> R {
    let mut head = vec![Page::new_zeroed(); MOST_PLACES];
    let mut tail = head.clone();
    with(&mut Scratch {
        head: &mut head,
        tail: &mut tail,
    })
}

impl Area {
    /// Loads an area, and changes nothing in it.
    pub fn load(location: &Location) -> Result<Self, Failure> {
        let image = location.open(Access::Read)?;
        let (area, _) = Self::load_from(&image, image.sectors(), false)?;
        Ok(area)
    }

    /// Loads an area of `sectors` sectors, and puts right what it can where it is to be mended.
    pub fn load_from<S: Storage>(
        storage: S,
        sectors: u64,
        mend: bool,
    ) -> Result<(Self, Store<S, Vec<u64>>), LoadError> {
        let mut entries = Entries::default();
        let (store, findings) = with_scratch(|scratch| {
            Store::load(storage, sectors, crc32c, scratch, mend, &mut entries)
        })?;
        let area = Self {
            superblock: *store.superblock(),
            layout: *store.layout(),
            entries: entries.taken,
            findings,
        };
        Ok((area, store))
    }

    /// Number of remapped blocks.
    pub fn remaps(&self) -> usize {
        let is_block = |entry: &Entry| matches!(entry, Entry::Block { .. });
        self.entries
            .iter()
            .filter(|(_, entry)| is_block(entry))
            .count()
    }
}
