// SPDX-License-Identifier: GPL-2.0

//! Salvage: unread sectors are read from main, and go to the slots of their blocks.
//!
//! A block that moves takes with it what is written, and what main reads at once. The rest is unread: main keeps it, and
//! reads of it go to main. The keeper salvages it afterwards, logical block by logical block. A disk may take
//! seconds for each, and nobody waits for that: a block is held only while what was read goes to its slot.

use kernel::prelude::*;
use remap_core::table::{
    geometry::SectorRange,
    lost::SectorSet, //
};

use super::{
    state::{
        devices::Place,
        reader::Reader,
        statistics::Count, //
    },
    table::Table, //
};
use crate::linux::compat::ENOLINK;

impl Table {
    /// Salvages all blocks that are untried. Process context.
    ///
    /// `ENOLINK` a device does not answer, or an error of `go_on`, which is called before each read. The blocks that are left
    /// stay untried.
    #[inline(never)]
    pub(super) fn salvage_all(&self, reader: &mut Reader, go_on: &impl Fn() -> Result) -> Result {
        if self.policy.read_only {
            return Ok(());
        }
        let mut from = 0;
        while let Some(block) = self.next_untried(from) {
            let ended = self.salvage(block, reader, go_on);
            // Not only at the end: a device that struggles takes its time for each block.
            self.report_health();
            go_on()?;
            if self.is_out() {
                return Err(ENOLINK);
            }
            // Otherwise what was read goes to another slot.
            if ended != Ok(false) {
                from = block.saturating_add(1);
            }
        }
        Ok(())
    }

    /// Makes all blocks with unread sectors untried again: main may return them by now.
    pub(super) fn forget_tries(&self) {
        let mut from = 0;
        loop {
            let mut lost = self.lost.lock();
            let Some((block, _)) = lost.at_or_after(from) else {
                return;
            };
            lost.ask_again(block);
            from = block.saturating_add(1);
        }
    }

    /// Returns the first block at or behind `from` that is untried.
    fn next_untried(&self, mut from: u64) -> Option<u64> {
        loop {
            let lost = self.lost.lock();
            if lost.untried() == 0 {
                return None;
            }
            let (block, known) = lost.at_or_after(from)?;
            if known.is_untried() {
                return Some(block);
            }
            from = block.saturating_add(1);
        }
    }

    /// Salvages one block. Returns `false` if its slot was bad, and it has another one.
    #[inline(never)]
    fn salvage(
        &self,
        block: u64,
        reader: &mut Reader,
        go_on: &impl Fn() -> Result,
    ) -> Result<bool> {
        self.drain_main()?;
        self.lost.lock().copy_to(block, &mut reader.known);
        if !reader.known.is_untried() {
            return Ok(true);
        }
        let range = self.places.main_range(block, 1).ok_or(EINVAL)?;
        let end = range.len() as u32;
        let mut from = 0;
        while let Some((first, len)) = reader.known.unread_run(from, end) {
            go_on()?;
            let len = len.min(reader.buffer.sectors() as u32);
            let start = range.start().saturating_add(u64::from(first));
            let part = SectorRange::new(start, u64::from(len)).ok_or(EINVAL)?;
            let read = self.read_unread(part, first, reader, go_on)?;
            if !read.is_empty() && !self.store(block, &read, (&mut *reader, first))? {
                return Ok(false);
            }
            from = first.saturating_add(len);
        }
        self.record_tried(block, reader)?;
        Ok(true)
    }

    /// Reads `range` of main into the buffer. It begins at sector `first` of its block. Returns the sectors of the block
    /// that could be read.
    #[inline(never)]
    fn read_unread(
        &self,
        range: SectorRange,
        first: u32,
        reader: &mut Reader,
        go_on: &impl Fn() -> Result,
    ) -> Result<SectorSet> {
        let mut read = SectorSet::NONE;
        let main = &self.devices.main;
        if reader.io.read(main, range, &mut reader.buffer, 0).is_ok() {
            read.insert(first, range.len() as u32);
            return Ok(read);
        }
        let Reader { buffer, pieces, .. } = reader;
        let step = pieces.sectors(Place::Main);
        self.read_pieces((Place::Main, range), pieces, go_on, |offset, piece| {
            match piece {
                Some(piece) => {
                    buffer.put(offset as usize, piece);
                    read.insert(first.saturating_add(offset), step);
                }
                None => self.statistics.count(Count::ReadError),
            }
            true
        })?;
        Ok(read)
    }
}
