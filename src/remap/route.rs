// SPDX-License-Identifier: GPL-2.0

//! Destinations of bios, of those that are mapped and of those that have waited.

use kernel::sync::SpinLockGuard;
use remap_core::{
    stress::delays::Delay,
    table::{
        index::Route,
        lost::Source, //
    }, //
};

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
    /// None: the bio reads sectors without contents, or writes to a block that is unsaved.
    Nowhere,
    /// Two: so many sectors at the start are read from one device, and the next ones from the other.
    Parted(u32),
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
            Some(Met::Slot { fills }) => fills,
            Some(Met::Main) => {
                self.statistics.count(Count::SlowElsewhere);
                return Some(Destination::Device {
                    spare: false,
                    sector: self.places.on_main(sector),
                    fills: None,
                });
            }
            Some(Met::Parted(sectors)) => return Some(Destination::Parted(sectors)),
            Some(Met::Nowhere) => {
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

    /// Returns where a bio goes that touches a part of a block on the spare with unread or lost sectors.
    fn meet_lost(&self, bio: &TargetBio<Note>, part: LostPart) -> Met {
        let known = self.lost.lock();
        if bio.direction() == Direction::Read {
            return match known.source_of(part.block, part.first, part.len) {
                (Source::Nowhere, _) => Met::Nowhere,
                (_, sectors) if sectors < part.len => Met::Parted(sectors),
                (Source::Main, _) => Met::Main,
                (Source::Slot, _) => Met::Slot { fills: None },
            };
        }
        if known.is_unsaved(part.block) {
            return Met::Nowhere;
        }
        let missing = known.missing_in(part.block, part.first, part.len);
        let fills = bio.fills_sectors() && missing.any();
        Met::Slot {
            fills: fills.then_some(part),
        }
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
            if !matches!(destination, Destination::Held(_)) {
                self.statistics.record_delay(Delay::Stall, bio.note());
            }
            return match destination {
                Destination::Held(mut held) => held.push(bio),
                Destination::Parted(_) => {
                    self.statistics.count(Count::held(bio.direction()));
                    self.deferred.parted.lock().push(bio);
                    self.keeper.wake();
                }
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

/// Place that a bio goes to which meets unread or lost sectors.
enum Met {
    /// The slot. A write may give sectors contents again.
    Slot { fills: Option<LostPart> },
    /// Main, which has all that a read wants.
    Main,
    /// Both: so many sectors at the start are read from the same device.
    Parted(u32),
    /// None: contents that a bio wants cannot be had, or must not change.
    Nowhere,
}
