// SPDX-License-Identifier: GPL-2.0

//! The way of a bio there and back: the hot path.
//!
//! A bio that touches no remapped block costs an entry of the gate, one word of the filter and a
//! redirection; on its way back, an exit. Everything else is in functions of its own, out of line.

use remap_core::table::index::Route;

use super::{
    route::Destination,
    state::{
        devices::Place,
        note::{
            Note,
            Observation, //
        },
        remaps::ReaderIndex,
        statistics::Count, //
    },
    table::Table,
    target::RemapTarget, //
};
use crate::linux::{
    device_mapper::{
        BioContext,
        BlockStatus,
        EndedBio,
        Ending,
        MapBio,
        Mapping,
        OpenBio, //
    },
    gate::{
        Direction,
        GateGuard, //
    },
    stopwatch::Stopwatch, //
};

/// Takes a bio back that was sent out. Any context.
#[inline(always)]
pub(super) fn end_io(bio: EndedBio<'_, RemapTarget>, status: BlockStatus) -> Ending {
    if status.is_ok() && bio.is_plain_and_unmarked() {
        bio.finish()
    } else if status.is_ok() && bio.is_plain() {
        match bio.direction() {
            Direction::Read => bio.finish(),
            Direction::Write => end_write_on_spare(bio),
        }
    } else {
        end_io_slowly(bio, status)
    }
}

/// Takes back a write that the spare has completed, and that has nothing else to tell. In a function of its own it
/// costs other bios no registers.
#[inline(never)]
fn end_write_on_spare(bio: EndedBio<'_, RemapTarget>) -> Ending {
    if let Some(table) = bio.target().table.get() {
        table.spare_cache.record_write();
    }
    bio.finish()
}

#[cold]
#[inline(never)]
fn end_io_slowly(bio: EndedBio<'_, RemapTarget>, status: BlockStatus) -> Ending {
    let (bio, context) = bio.open();
    match bio.target().table.get() {
        Some(table) => table.end_io_slowly(bio, context, status),
        // A bio that was refused before there was a table: it has not been anywhere.
        None => Ending::DONE,
    }
}

impl Table {
    /// Sends a bio on its way.
    #[inline(always)]
    pub(super) fn map(&self, bio: MapBio<'_, RemapTarget>) -> Mapping {
        if bio.sectors() == 0 {
            return self.map_flush(bio);
        }
        let inside = self.gate.enter(bio.direction());
        if inside.observes() {
            return self.map_observed(bio, inside);
        }
        // What was read for the comparison above is read again, which costs less than to keep it.
        let (sector, last) = self.sectors_of(&bio);
        let block = self.places.block.block_of(sector);
        if block != self.places.block.block_of(last) {
            return self.map_wide(bio, inside);
        }
        if inside.is_on_main(block) {
            let to = self.places.on_main(sector);
            return bio.redirect(&self.devices.main, to, inside, false);
        }
        self.map_slowly(bio, inside)
    }

    /// Maps a bio that touches several blocks. In a function of its own it costs other bios no registers.
    #[inline(never)]
    fn map_wide(
        &self,
        bio: MapBio<'_, RemapTarget>,
        inside: GateGuard<'_, ReaderIndex>,
    ) -> Mapping {
        match self.place_of(&bio, &inside) {
            Some((spare, to)) => bio.redirect(self.devices.of(spare), to, inside, spare),
            None => self.map_parts(bio, inside, Observation::NONE),
        }
    }

    /// Returns a bio's first and last sector in the target.
    #[inline(always)]
    fn sectors_of(&self, bio: &MapBio<'_, RemapTarget>) -> (u64, u64) {
        let sector = self.places.in_target(bio.sector());
        let sectors = u64::from(bio.sectors());
        (sector, sector.wrapping_add(sectors).wrapping_sub(1))
    }

    /// Returns whether a bio goes to the spare, and to which sector, and counts it. `None` where the index
    /// does not tell at once that all of it goes one way.
    #[inline(always)]
    fn place_of(
        &self,
        bio: &MapBio<'_, RemapTarget>,
        inside: &GateGuard<'_, ReaderIndex>,
    ) -> Option<(bool, u64)> {
        let (sector, last) = self.sectors_of(bio);
        let (first, last) = (
            self.places.block.block_of(sector),
            self.places.block.block_of(last),
        );
        if inside.all_on_main(first, last) {
            return Some((false, self.places.on_main(sector)));
        }
        let slot = inside.slots_of(first, last)?;
        Some((true, self.place_in_slot(bio, sector, slot)))
    }

    /// Returns the sector of the spare that a bio goes to whose blocks are in `slot` and those behind it, and
    /// counts the bio.
    #[inline(always)]
    fn place_in_slot(&self, bio: &MapBio<'_, RemapTarget>, sector: u64, slot: u32) -> u64 {
        self.statistics.count(Count::remapped(bio.direction()));
        let offset = u64::from(self.places.block.offset_of(sector));
        self.places.slot_sector(slot).wrapping_add(offset)
    }

    /// Maps a bio that is timed for a test, or whose end is watched.
    #[cold]
    #[inline(never)]
    fn map_observed(
        &self,
        bio: MapBio<'_, RemapTarget>,
        inside: GateGuard<'_, ReaderIndex>,
    ) -> Mapping {
        // A discard may touch so many blocks that it is not looked up with interrupts off.
        let timed = inside.timed() && bio.moves_data();
        let observation = Observation {
            start: timed.then(Stopwatch::start),
            watched: inside.watched(),
        };
        match self.place_of(&bio, &inside) {
            Some((spare, to)) => {
                let (ticket, note) = (Some(inside.stay()), observation.note(None));
                bio.redirect_noted(self.devices.of(spare), to, ticket, spare, note)
            }
            None => self.map_parts(bio, inside, observation),
        }
    }

    /// Maps an empty flush, of which there is one copy for each device. It makes durable what has completed,
    /// wherever that went, so it waits for nothing. The spare's copy ends at once where nothing was written there.
    #[cold]
    #[inline(never)]
    fn map_flush(&self, bio: MapBio<'_, RemapTarget>) -> Mapping {
        let spare = bio.flush_number() != 0;
        if spare && !self.spare_cache.begin_flush() {
            let (bio, mapping) = bio.hold(None);
            bio.end();
            return mapping;
        }
        let device = self.devices.of(spare);
        bio.redirect_noted(device, 0, None, spare, None)
    }

    /// Maps a bio within one block, for which the filter is not enough.
    #[cold]
    #[inline(never)]
    fn map_slowly(
        &self,
        bio: MapBio<'_, RemapTarget>,
        inside: GateGuard<'_, ReaderIndex>,
    ) -> Mapping {
        let sector = self.places.in_target(bio.sector());
        match inside.slot_of(self.places.block.block_of(sector)) {
            Some(slot) => {
                let to = self.place_in_slot(&bio, sector, slot);
                bio.redirect(&self.devices.spare, to, inside, true)
            }
            None => self.map_parts(bio, inside, Observation::NONE),
        }
    }

    /// Maps a bio of which perhaps only a part goes one way; the rest comes in another bio.
    #[inline(never)]
    fn map_parts(
        &self,
        mut bio: MapBio<'_, RemapTarget>,
        inside: GateGuard<'_, ReaderIndex>,
        observation: Observation,
    ) -> Mapping {
        loop {
            let (sector, last) = self.sectors_of(&bio);
            let first = self.places.block.block_of(sector);
            let (route, blocks) = inside.run(first, self.places.block.block_of(last));
            let run_end = self.places.block.first_sector(first.saturating_add(blocks));
            bio.accept(u32::try_from(run_end.saturating_sub(sector)).unwrap_or(u32::MAX));
            if route == Route::Pending && bio.fills_sectors() && self.relocates() {
                self.statistics.count(Count::SlowElsewhere);
                let target = bio.target();
                let (bio, mapping) = bio.hold(Some(Note::waiting()));
                self.divert(target, bio);
                return mapping;
            }
            let Some(destination) = self.destination(&inside, &bio, (route, sector)) else {
                continue;
            };
            return match destination {
                Destination::Held(mut held) => {
                    let (bio, mapping) = bio.hold(Some(Note::waiting()));
                    held.push(bio);
                    mapping
                }
                Destination::Parted(sectors) => {
                    bio.accept(sectors);
                    continue;
                }
                Destination::Nowhere => bio.refuse(),
                Destination::Device {
                    spare,
                    sector,
                    fills,
                } => {
                    let (ticket, note) = (Some(inside.stay()), observation.note(fills));
                    bio.redirect_noted(self.devices.of(spare), sector, ticket, spare, note)
                }
            };
        }
    }

    fn end_io_slowly(
        &self,
        bio: OpenBio<'_, RemapTarget>,
        mut context: BioContext<Note>,
        status: BlockStatus,
    ) -> Ending {
        let mapped_in = context.note.and_then(|note| note.mapped_in);
        let timed = mapped_in.map(|mapped_in| (mapped_in, Stopwatch::start()));
        let fills = context.note.and_then(|note| note.fills);
        let watched = context.note.is_some_and(|note| note.watched);
        // A bio that was held and then ended was not sent out.
        let been_out = context.ticket.is_some() || context.start.sectors() == 0;
        let writes = bio.direction() == Direction::Write;
        if context.mark && writes {
            match context.start.sectors() {
                0 => self.spare_cache.end_flush(status.is_ok()),
                // A write that has failed is written again before it is acknowledged.
                _ if status.is_ok() => self.spare_cache.record_write(),
                _ => {}
            }
        }
        if watched && status.is_ok() && bio.moves_data() {
            self.record_success(Place::spare_if(context.mark), writes);
        }
        if let Some(part) = fills.filter(|_| status.is_ok()) {
            self.record_fill(part);
        }
        if let Some(ticket) = context.ticket.take() {
            ticket.leave();
        }
        if let Some((mapped_in, start)) = timed {
            self.statistics
                .add_latency(u64::from(mapped_in).saturating_add(u64::from(start.read())));
        }
        // A bio that is kept may be ended at once by another thread, and then the table may go.
        match fills {
            _ if !been_out => Ending::DONE,
            _ if !status.is_ok() => self.end_failed(bio, &context, status),
            Some(_) => self.end_fill(bio, &context),
            None => Ending::DONE,
        }
    }
}
