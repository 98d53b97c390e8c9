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
        Store,
        MOST_PLACES, //
    },
    superblock::Superblock, //
};
use zerocopy::FromZeros;

use crate::{
    failure::Failure,
    image::Location, //
};

/// An area as it was found.
#[derive(Debug)]
pub struct Area {
    /// What it is.
    pub superblock: Superblock,
    /// Number of slots.
    pub slots: u32,
    /// Where the first of them starts, in sectors from the start of the area.
    pub first_slot: u64,
    /// Slots that are not free, in order.
    pub entries: Vec<(u32, Entry)>,
    /// What is wrong with the copies.
    pub findings: Findings,
}

fn crc32c(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes)
}

/// Takes everything that is there.
#[derive(Default)]
struct Entries {
    taken: Vec<(u32, Entry)>,
    blocks: HashSet<u64>,
}

impl Reader for Entries {
    type Error = Failure;
    type Generations = Vec<u64>;

    fn begin(
        &mut self,
        superblock: &Superblock,
        layout: &Layout,
    ) -> Result<(u64, Vec<u64>), Failure> {
        let blocks = superblock
            .length
            .div_ceil(u64::from(superblock.block.sectors()));
        Ok((blocks, vec![0; layout.pages() as usize]))
    }

    fn take(&mut self, slot: u32, entry: &Entry) -> Result<(), Failure> {
        match entry {
            Entry::Block { block, .. } if !self.blocks.insert(*block) => {
                return Err(LoadError::Twice { slot }.into())
            }
            _ => {}
        }
        self.taken.push((slot, *entry));
        Ok(())
    }
}

impl Area {
    /// Loads an area, and changes nothing in it.
    pub fn load(location: &Location) -> Result<Self, Failure> {
        let image = location.open()?;
        let sectors = image.sectors();
        let mut head = vec![Page::new_zeroed(); MOST_PLACES];
        let mut tail = head.clone();
        let mut scratch = Scratch {
            head: &mut head,
            tail: &mut tail,
        };
        let mut entries = Entries::default();
        let (store, findings) =
            Store::load(image, sectors, crc32c, &mut scratch, false, &mut entries)?;
        Ok(Self {
            superblock: *store.superblock(),
            slots: store.layout().slots(),
            first_slot: store.layout().first_slot(),
            entries: entries.taken,
            findings,
        })
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
