// SPDX-License-Identifier: GPL-2.0

//! Destinations of bios, of those that are mapped and of those that have waited.

use kernel::sync::SpinLockGuard;
use remap_core::table::index::Route;

use super::{
    state::{
        lost::LostPart,
        note::{
            Note,
            Observation, //
        },
        remaps::ReaderIndex,
        statistics::Count, //
    },
    table::Table, //
};
use crate::linux::{
    device_mapper::{
        BlockStatus,
        HeldBio,
        HeldBios,
        TargetBio, //
    },
    gate::{
        Direction,
        GateGuard, //
    }, //
};

/// Destination of a bio that lies within one run of blocks.
pub(super) enum Destination<'a> {
    /// `sector` of the spare device or the main one.
    Device {
        spare: bool,
        sector: u64,
        fills: Option<LostPart>,
    },
    /// None: the bio reads lost sectors, or writes to a block that is unsaved.
    Nowhere,
    /// The list of held bios, locked: the block of the bio is on its way.
    Held(SpinLockGuard<'a, HeldBios<Note>>),
}

impl Table {
    /// Returns the destination of a bio at `sector` in the target, whose first block was seen at `route`,
    /// and counts the bio. `None` where the block was on its way and has arrived: the caller looks again.
    ///
    /// Does not sleep.
    pub(super) fn destination<'a>(
        &'a self,
        inside: &GateGuard<'_, ReaderIndex>,
        bio: &TargetBio<Note>,
        (route, sector): (Route, u64),
    ) -> Option<Destination<'a>> {
        let direction = bio.direction();
        let (slot, lost) = match route {
            Route::Held => {
                let held = self.deferred.held.lock();
                // A pass that has moved the block takes the list afterwards, under the lock.
                let still = inside.route(self.places.block.block_of(sector)) == Route::Held;
                return still.then(|| {
                    self.statistics.count(Count::held(direction));
                    Destination::Held(held)
                });
            }
            Route::Main | Route::Pending => {
                self.statistics.count(Count::SlowElsewhere);
                return Some(Destination::Device {
                    spare: false,
                    sector: self.places.on_main(sector),
                    fills: None,
                });
            }
            Route::Spare { slot, lost } => (slot, lost),
        };
        let first = self.places.block.offset_of(sector);
        let part = LostPart {
            block: self.places.block.block_of(sector),
            first,
            len: bio.sectors(),
        };
        let fills = match lost.then(|| self.meet_lost(bio, part)) {
            None => None,
            Some(Ok(fills)) => fills,
            Some(Err(Unavailable)) => {
                self.statistics.count(Count::SlowElsewhere);
                self.statistics.count(Count::error(direction));
                return Some(Destination::Nowhere);
            }
        };
        self.statistics.count(Count::remapped(direction));
        Some(Destination::Device {
            spare: true,
            sector: self.places.slot_sector(slot).wrapping_add(u64::from(first)),
            fills,
        })
    }

    /// Returns the part of a block on the spare that a bio gives contents again, if any of it is lost.
    fn meet_lost(
        &self,
        bio: &TargetBio<Note>,
        part: LostPart,
    ) -> core::result::Result<Option<LostPart>, Unavailable> {
        let known = self.lost.lock();
        let any_lost = || known.any_in(part.block, part.first, part.len);
        if bio.direction() == Direction::Read {
            if any_lost() {
                return Err(Unavailable);
            }
        } else if known.is_unsaved(part.block) {
            return Err(Unavailable);
        } else if bio.fills_sectors() && any_lost() {
            return Ok(Some(part));
        }
        Ok(None)
    }

    /// Sends the bios on that have waited for a block. Process context.
    pub(super) fn release_held(&self) {
        let mut waiting = self.deferred.held.lock().take();
        while let Some(bio) = waiting.pop() {
            self.send_on(bio);
        }
    }

    /// Sends a bio on that has waited for its block, which it lies within.
    fn send_on(&self, bio: HeldBio<Note>) {
        let inside = self.gate.enter(bio.direction());
        let sector = self.places.in_target(bio.sector());
        let block = self.places.block.block_of(sector);
        loop {
            let route = inside.route(block);
            let Some(destination) = self.destination(&inside, &bio, (route, sector)) else {
                continue;
            };
            return match destination {
                Destination::Held(mut held) => held.push(bio),
                Destination::Nowhere => bio.end_with(BlockStatus::IO_ERROR),
                Destination::Device {
                    spare,
                    sector,
                    fills,
                } => {
                    let (ticket, note) = (inside.stay(), Observation::NONE.note(fills));
                    bio.submit(self.devices.of(spare), sector, ticket, spare, note);
                }
            };
        }
    }
}

/// Contents that a bio wants cannot be had, or must not change.
struct Unavailable;
