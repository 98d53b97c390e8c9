// SPDX-License-Identifier: GPL-2.0

//! Loads spare areas.

use std::collections::HashMap;

use remap_core::metadata::{
    entry::Entry,
    layout::Layout,
    page::Page,
    store::{
        numbers_of,
        Failed,
        Findings,
        LoadError,
        LoadOptions,
        Reader,
        Scratch,
        Storage,
        Store,
        MAX_PLACES, //
    },
    superblock::Superblock, //
};
use zerocopy::FromZeros;

use crate::{
    failure::Failure,
    image::{
        Access,
        Location,
        Medium, //
    },
};

/// Area as it was found on a medium.
#[derive(Debug)]
pub struct Area {
    /// Contents of its superblock.
    pub superblock: Superblock,
    /// Places of its pages and slots.
    pub layout: Layout,
    /// Slots that are not free, in order.
    pub entries: Vec<(u32, Entry)>,
    /// Faults of the copies.
    pub findings: Findings,
    /// Slots that have failed, but are not recorded as bad in the metadata, in order. `entries` has them
    /// as bad.
    pub failed: Vec<Failed>,
}

/// Returns the checksum of a page.
pub fn crc32c(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes)
}

/// Collects all entries of an area.
#[derive(Default)]
struct Entries(Vec<(u32, Entry)>);

impl Reader for Entries {
    type Error = LoadError;
    type Numbers = Vec<u64>;

    fn begin(
        &mut self,
        superblock: &Superblock,
        layout: &Layout,
    ) -> Result<(u64, Vec<u64>), LoadError> {
        let blocks = superblock
            .length
            .div_ceil(u64::from(superblock.block.sectors()));
        Ok((blocks, vec![0; numbers_of(layout)]))
    }

    fn take(&mut self, slot: u32, entry: &Entry) -> Result<(), LoadError> {
        self.0.push((slot, *entry));
        Ok(())
    }

    fn replace(&mut self, old: u32, _: u32, _: &Entry) -> Result<(), LoadError> {
        let at = self.0.binary_search_by_key(&old, |(slot, _)| *slot);
        if let Some((_, there)) = at.ok().and_then(|at| self.0.get_mut(at)) {
            *there = Entry::Bad;
        }
        Ok(())
    }

    fn numbers(count: usize) -> Result<Vec<u64>, LoadError> {
        Ok(vec![0; count])
    }

    fn push(numbers: &mut Vec<u64>, number: u64) -> Result<(), LoadError> {
        numbers.push(number);
        Ok(())
    }
}

/// Calls `with` with memory for the largest number of pages that are read together.
pub fn with_scratch<R>(with: impl FnOnce(&mut Scratch<'_>) -> R) -> R {
    let mut head = vec![Page::new_zeroed(); MAX_PLACES];
    let mut tail = head.clone();
    with(&mut Scratch {
        head: &mut head,
        tail: &mut tail,
    })
}

/// Returns a hint on how to find an area that was not found in `sectors` sectors, if there is one.
pub fn length_hint(why: &LoadError, location: &Location, sectors: u64) -> Option<String> {
    match (why, location.length) {
        (LoadError::Length { is }, Some(_)) => Some(format!("--length {is} looks at all of it")),
        (LoadError::Length { is }, None) => Some(format!(
            "the image has only {sectors} of its {is} sectors"
        )),
        (LoadError::Foreign | LoadError::NotBlank { .. }, None) => Some(format!(
            "{sectors} sectors were looked at: where the area is shorter, --length SECTORS takes the \
             spare_len of its table"
        )),
        _ => None,
    }
}

impl Area {
    /// Loads an area. Does not write to it.
    pub fn load(location: &Location) -> Result<Self, Failure> {
        let image = location.open_found(Access::Read)?;
        let loaded = Self::load_from(&image, image.sectors(), false);
        let (area, _) = loaded.map_err(|why| Failure::Unusable {
            why,
            hint: length_hint(&why, location, image.sectors()),
        })?;
        Ok(area)
    }

    /// Loads an area of `sectors` sectors. With `mend`, also repairs what it can.
    ///
    /// The findings are those before the repair, except for `unmended`: it counts what could not be
    /// written.
    pub fn load_from<S: Storage>(
        storage: S,
        sectors: u64,
        mend: bool,
    ) -> Result<(Self, Store<S, Vec<u64>>), LoadError> {
        let mut entries = Entries::default();
        let (mut store, mut findings) = with_scratch(|scratch| {
            let options = LoadOptions { mend, grow: false };
            Store::load(storage, sectors, crc32c, scratch, options, &mut entries)
        })?;
        let failed = store.failed().collect();
        if mend && store.retire(&mut [Page::new_zeroed(); 2]).is_err() {
            findings.unmended = findings.unmended.saturating_add(1);
        }
        let area = Self {
            superblock: *store.superblock(),
            layout: *store.layout(),
            entries: entries.0,
            findings,
            failed,
        };
        Ok((area, store))
    }

    /// Returns a line for each slot that has failed, but is not recorded as bad.
    pub fn failed_slots(&self) -> Vec<String> {
        if self.failed.is_empty() {
            return Vec::new();
        }
        let block_of = |(slot, entry): &(u32, Entry)| match entry {
            Entry::Block { block, .. } => Some((*block, *slot)),
            Entry::Free | Entry::Bad => None,
        };
        let slots: HashMap<_, _> = self.entries.iter().filter_map(block_of).collect();
        let line = |failed: &Failed| {
            let (slot, now) = (failed.slot, slots.get(&failed.block)?);
            let sector = self.superblock.block.first_sector(failed.block);
            Some(format!(
                "slot {slot} has failed; its block, at sector {sector}, is in slot {now}"
            ))
        };
        self.failed.iter().filter_map(line).collect()
    }

    /// Returns words about the blocks that lack contents in their slots, if there are any.
    pub fn missing(&self) -> String {
        let states = self.entries.iter().filter_map(|(_, entry)| match entry {
            Entry::Block { states, .. } => Some(states),
            Entry::Free | Entry::Bad => None,
        });
        let unread = states.clone().filter(|states| !states.unread().is_empty());
        let lost = states.filter(|states| !states.lost().is_empty());
        match (unread.count(), lost.count()) {
            (0, 0) => String::new(),
            (unread, lost) => {
                format!(", {unread} with unread sectors, {lost} with lost ones")
            }
        }
    }

    /// Returns the number of remapped blocks.
    pub fn remaps(&self) -> usize {
        let is_block = |entry: &Entry| matches!(entry, Entry::Block { .. });
        self.entries
            .iter()
            .filter(|(_, entry)| is_block(entry))
            .count()
    }
}
