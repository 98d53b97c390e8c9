// SPDX-License-Identifier: GPL-2.0

//! Reads of a block on the spare that have waited, and of which main has a part and the slot another.
//!
//! A read that is being mapped is split by device-mapper. One that has waited cannot be, and is read part by part. That
//! is seldom: a block is held for a moment only.

use remap_core::table::lost::Source;

use super::{
    state::{
        devices::Place,
        note::Note,
        statistics::Count, //
    },
    table::Table, //
};
use crate::linux::{
    device_mapper::{
        BlockStatus,
        HeldBio, //
    },
    gate::Direction, //
};

impl Table {
    /// Reads the bios that are read part by part. Process context.
    pub(super) fn end_parted(&self) {
        let mut waiting = self.deferred.parted.lock().take();
        while let Some(bio) = waiting.pop() {
            let status = self.read_parts(&bio);
            bio.end_with(status);
        }
    }

    /// Reads a bio, which lies within one block, part by part. Inside the gate: its block does not move.
    fn read_parts(&self, bio: &HeldBio<Note>) -> BlockStatus {
        let sector = self.places.in_target(bio.sector());
        let first = self.places.block.offset_of(sector);
        let block = self.places.block.block_of(sector);
        let _inside = self.gate.enter(Direction::Read);
        self.statistics.count(Count::RemappedRead);
        let mut done = 0;
        while done < bio.sectors() {
            let first = first.saturating_add(done);
            let left = bio.sectors().saturating_sub(done);
            let slot = self.remaps.slot_of(block);
            let known = self.lost.lock();
            let (source, len) = known.source_of(block, first, left);
            drop(known);
            let (place, to) = match (slot, source) {
                (Some(_), Source::Nowhere) => {
                    self.statistics.count(Count::ReadError);
                    return BlockStatus::IO_ERROR;
                }
                (Some(slot), Source::Slot) => {
                    let start = self.places.slot_sector(slot);
                    (Place::Spare, start.wrapping_add(u64::from(first)))
                }
                _ => {
                    let at = sector.wrapping_add(u64::from(done));
                    (Place::Main, self.places.on_main(at))
                }
            };
            let device = self.devices.at(place);
            let status = bio.read_part(&self.parted_pool, done, len, device, to);
            if !status.is_ok() {
                self.statistics.count(match place {
                    Place::Main => Count::ReadError,
                    Place::Spare => Count::SpareError,
                });
                self.suspect(place);
                return status;
            }
            done = done.saturating_add(len.max(1));
        }
        BlockStatus::OK
    }
}
