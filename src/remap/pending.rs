// SPDX-License-Identifier: GPL-2.0

//! Pending blocks: those that main has failed to read or write, and that are still there.
//!
//! They are known as long as the table lives. Reads keep trying; the next write moves the block to the
//! spare. Blocks of a read whose error does not say which of them is bad, or whether one is, are suspects: the keeper
//! reads them.

use kernel::prelude::*;
use remap_core::table::geometry::SectorRange;

use super::{
    state::{
        devices::Place,
        reader::Reader, //
    },
    table::Table, //
};
use crate::linux::compat::ENOLINK;

impl Table {
    /// Returns whether main reads all of `block`. Also true for remapped blocks, whose copy on main is unused.
    ///
    /// Sleeps. An error says nothing about the block: `ENODEV` main is gone, `ENOLINK` it does not answer, `EIO` the path
    /// to it has failed, others of `go_on`, which is called before each read.
    pub(super) fn reads_well(
        &self,
        block: u64,
        reader: &mut Reader,
        go_on: &impl Fn() -> Result,
    ) -> Result<bool> {
        let range = self.places.main_range(block, 1).ok_or(EINVAL)?;
        let main = &self.devices.main;
        let mut sector = range.start();
        while sector < range.end() && self.remaps.slot_of(block).is_none() {
            go_on()?;
            let left = range.end().saturating_sub(sector);
            let len = left.min(reader.buffer.sectors() as u64);
            let part = SectorRange::new(sector, len).ok_or(EINVAL)?;
            if reader.io.read(main, part, &mut reader.buffer, 0).is_ok() {
                self.liveness(Place::Main).record_read(sector);
            } else {
                let mut is_good = true;
                self.read_pieces(
                    (Place::Main, part),
                    &mut reader.pieces,
                    go_on,
                    |_, piece| {
                        is_good = piece.is_some();
                        is_good
                    },
                )?;
                if !is_good {
                    return Ok(self.remaps.slot_of(block).is_some());
                }
            }
            sector = part.end();
        }
        Ok(true)
    }

    /// Reads the suspects, and marks those as pending that are bad. Process context. An error says why it came to
    /// no end; what is left is read later, if the device does not answer or is suspended.
    #[inline(never)]
    pub(super) fn verify_suspects(&self, reader: &mut Reader) -> Result {
        let go_on = || self.check_keeping();
        loop {
            go_on()?;
            if self.main_fails() {
                return Err(ENOLINK);
            }
            let Some(block) = self.deferred.suspects.lock().pop() else {
                return Ok(());
            };
            if self.remaps.lock().is_pending(block) {
                continue;
            }
            match self.reads_well(block, reader, &go_on) {
                Ok(true) => {}
                Ok(false) => {
                    self.lock_mover().mark_pending(block);
                    // Not only at the end: a device that struggles takes its time for each suspect.
                    self.report_health();
                }
                // The path says nothing about the block.
                Err(_) if go_on().is_ok() && !self.main_fails() => {}
                Err(error) => {
                    let next = block.saturating_add(1);
                    self.deferred.suspects.lock().push(block, next);
                    return Err(error);
                }
            }
        }
    }

    /// Ends the reads that wait for the keeper, and checks that it may use the devices for others. `EINTR` stopped,
    /// `EAGAIN` suspended or a suspend is waiting, `ENODEV` gone.
    pub(super) fn check_keeping(&self) -> Result {
        if self.keeper.is_stopped() {
            self.end_parted();
            return Err(EINTR);
        }
        self.check_message()
    }

    /// Gives every pending block another try, and forgets those that main reads well. Then salvages all unread sectors
    /// that main returns by now. Returns how many blocks are pending no more, and how it ended.
    ///
    /// Sleeps. `EAGAIN` suspended, `ENODEV` gone, `ENOLINK` a device does not answer, `EINTR` a signal came, `EIO` main
    /// says nothing of a block.
    pub(super) fn retry(&self) -> (u64, Result) {
        let mut cleared = 0;
        let ended = self.retry_all(&mut cleared);
        let places = [Place::Main, Place::Spare];
        (cleared, ended.map_err(|error| self.explain(error, &places)))
    }

    fn retry_all(&self, cleared: &mut u64) -> Result {
        // The keeper's, which a suspend waits for.
        let mut reader = self.keeper.reader.lock();
        let go_on = || self.check_message();
        let mut next = 0;
        loop {
            go_on()?;
            let Some(block) = self.remaps.lock().pending_at_or_after(next) else {
                break;
            };
            if self.main_liveness.is_out() {
                return Err(ENOLINK);
            }
            next = block.saturating_add(1);
            if self.reads_well(block, &mut reader, &go_on)? {
                self.lock_mover().clear_pending(block);
                *cleared = cleared.saturating_add(1);
            }
        }
        self.forget_tries();
        self.salvage_all(&mut reader, &go_on)
    }

    /// Checks that a message may use the devices. `EINTR` a signal is pending, `EAGAIN` suspended or a suspend is
    /// waiting, `ENODEV` gone.
    fn check_message(&self) -> Result {
        // The keeper cannot, while a message uses its reader.
        self.end_parted();
        self.check_interruption()?;
        self.mover.lock().state.admits()
    }
}
