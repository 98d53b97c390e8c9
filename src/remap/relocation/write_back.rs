// SPDX-License-Identifier: GPL-2.0

//! The witness for writes: a block of main that is good is written with its own contents.
//!
//! A disk may read and refuse every write. Then no block is bad, and moving them one after the other would only use
//! up the spare.

use kernel::prelude::*;

use remap_core::table::index::Route;

use super::guard::{
    error_of,
    MoverGuard, //
};
use crate::remap::{
    state::devices::Place,
    table::Table, //
};

/// Largest number of blocks that are written.
const MAX_BLOCKS: u64 = 4;

/// Largest number of blocks that are looked at to find one of them.
const MAX_STEPS: u64 = 4096;

/// Returns a block on main among the first of those from `from` to before `end`, if possible one that is not pending.
fn block_on_main(table: &Table, from: u64, end: u64) -> Option<u64> {
    let remaps = table.remaps.lock();
    let end = end.min(from.saturating_add(MAX_STEPS));
    let end = end.min(table.places.blocks());
    let mut on_main = (from..end).filter(|block| remaps.get(*block).is_none());
    let first = on_main.clone().next();
    on_main.find(|block| !remaps.is_pending(*block)).or(first)
}

impl MoverGuard<'_> {
    /// Returns whether main takes a write, or has no block that could be written. The gate is settled.
    ///
    /// The blocks that are written lie far apart: a damaged stretch may be long. Sleeps. Bios that touch one of them
    /// wait meanwhile.
    pub(in crate::remap) fn takes_writes(&mut self) -> bool {
        let table = self.table;
        let blocks = table.places.blocks();
        if table.remapped() >= blocks {
            return true;
        }
        let share = blocks.div_ceil(MAX_BLOCKS);
        (0..blocks)
            .step_by(usize::try_from(share).unwrap_or(usize::MAX))
            .filter_map(|from| block_on_main(table, from, from.saturating_add(share)))
            .any(|block| self.write_back(block).is_ok())
    }

    /// Holds a block of main, and writes back what can be read at its start.
    fn write_back(&mut self, block: u64) -> Result {
        let table = self.table;
        let sector = self.main_range(block, 1)?.start();
        let mut remaps = table.remaps.lock();
        // One of those that are about to move is held already.
        if self.index().route(block) == Route::Held {
            return Err(EBUSY);
        }
        remaps.begin_hold(self.index(), block).map_err(error_of)?;
        drop(remaps);
        let written = self.drain().and_then(|()| {
            let main = &table.devices.main;
            let piece = self.mover.pieces.at(Place::Main);
            main.read(sector, piece)?;
            main.write(sector, piece)
        });
        let mut remaps = table.remaps.lock();
        remaps.end_hold(self.index(), block);
        drop(remaps);
        table.release_held();
        written
    }
}
