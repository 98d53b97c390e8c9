// SPDX-License-Identifier: GPL-2.0

//! The way of a bio: the hot path.
//!
//! A bio that touches no remapped block costs an entry of the gate, one word of the filter and a
//! redirection; on its way back, an exit. Everything else is in functions of its own, out of line.

use remap_core::index::Route;

use super::{
    live::{
        LiveTable,
        ReaderIndex, //
    },
    statistics::Count,
    RemapTarget, //
};
use crate::linux::{
    block_device::BlockDevice,
    device_mapper::{
        BioTag,
        BlockStatus,
        EndedBio,
        Ending,
        HeldBio,
        MapBio,
        Mapping,
        TargetBio,
        TargetRef, //
    },
    gate::{
        Direction,
        Inside,
        Ticket, //
    },
    stopwatch::Stopwatch, //
};

/// What a bio carries along besides its tag, if anything.
#[derive(Clone, Copy)]
pub(crate) struct Note {
    /// Nanoseconds that `map` took, while a test measures and the submitter kept its CPU.
    mapped_in: Option<u32>,
    /// Lost sectors that it gives contents again.
    pub(super) fills: Option<LostPart>,
}

/// Part of a block with lost sectors.
#[derive(Clone, Copy)]
pub(super) struct LostPart {
    pub(super) block: u64,
    pub(super) first: u32,
    pub(super) len: u32,
}

/// The tag of a bio that goes to main, or to the spare, which its mark says.
#[inline(always)]
fn tag(ticket: Ticket, spare: bool) -> BioTag {
    BioTag {
        ticket: Some(ticket),
        mark: spare,
    }
}

/// Where a bio goes that lies within one run of blocks.
enum Way {
    /// To `sector` of the spare device or the main one.
    To {
        spare: bool,
        sector: u64,
        fills: Option<LostPart>,
    },
    /// Nowhere: it reads lost sectors, or writes to a block that is unsaved.
    Nowhere,
    /// It has to wait.
    Held,
}

/// The note of a bio, where it needs one.
fn note(start: Option<Stopwatch>, fills: Option<LostPart>) -> Option<Note> {
    (start.is_some() || fills.is_some()).then(|| Note {
        mapped_in: start.and_then(|start| start.read()),
        fills,
    })
}

/// A bio that was sent out comes back.
#[inline(always)]
pub(super) fn end_io(
    target: TargetRef<'_, RemapTarget>,
    bio: EndedBio<'_, RemapTarget>,
    status: BlockStatus,
) -> Ending {
    if !status.is_ok() || bio.has_note() {
        return end_io_slowly(target, bio, status);
    }
    if let Some(ticket) = bio.tag().ticket {
        ticket.leave();
    }
    Ending::DONE
}

#[cold]
#[inline(never)]
fn end_io_slowly(
    target: TargetRef<'_, RemapTarget>,
    bio: EndedBio<'_, RemapTarget>,
    status: BlockStatus,
) -> Ending {
    match target.table.get() {
        Some(table) => table.end_io_slowly(&target, bio, status),
        // A bio that was refused before there was a table: it has not been anywhere.
        None => Ending::DONE,
    }
}

impl LiveTable {
    /// Sends a bio on its way.
    #[inline(always)]
    pub(super) fn map(&self, bio: MapBio<'_, RemapTarget>) -> Mapping {
        let sectors = bio.sectors();
        if sectors == 0 {
            return self.map_flush(bio);
        }
        let inside = self.gate.enter(bio.direction());
        if inside.timed() {
            return self.map_timed(bio, inside);
        }
        let sector = bio.sector().wrapping_sub(self.begin);
        let last = sector.wrapping_add(u64::from(sectors)).wrapping_sub(1);
        if inside.all_on_main(self.block.block_of(sector), self.block.block_of(last)) {
            let to = self.main_start.wrapping_add(sector);
            return bio.redirect(&self.main, to, tag(inside.stay(), false), None);
        }
        self.map_slowly(bio, inside)
    }

    /// The same while a test measures what we add to a bio.
    #[cold]
    #[inline(never)]
    fn map_timed(&self, bio: MapBio<'_, RemapTarget>, inside: Inside<'_, ReaderIndex>) -> Mapping {
        let start = Stopwatch::start();
        let sector = bio.sector().wrapping_sub(self.begin);
        let last = sector
            .wrapping_add(u64::from(bio.sectors()))
            .wrapping_sub(1);
        if inside.all_on_main(self.block.block_of(sector), self.block.block_of(last)) {
            let to = self.main_start.wrapping_add(sector);
            let note = Note {
                mapped_in: start.read(),
                fills: None,
            };
            return bio.redirect(&self.main, to, tag(inside.stay(), false), Some(note));
        }
        self.map_parts(bio, inside, Some(start))
    }

    /// An empty flush: one copy for each device. It makes durable what has completed, wherever
    /// that went, so it need not wait for anybody.
    #[cold]
    #[inline(never)]
    fn map_flush(&self, bio: MapBio<'_, RemapTarget>) -> Mapping {
        let spare = bio.flush_number() != 0;
        let device = self.device(spare);
        bio.redirect(
            device,
            0,
            BioTag {
                ticket: None,
                mark: spare,
            },
            None,
        )
    }

    /// A bio for which the filter is not enough.
    #[cold]
    #[inline(never)]
    fn map_slowly(&self, bio: MapBio<'_, RemapTarget>, inside: Inside<'_, ReaderIndex>) -> Mapping {
        let sector = bio.sector().wrapping_sub(self.begin);
        let first = self.block.block_of(sector);
        let last = sector
            .wrapping_add(u64::from(bio.sectors()))
            .wrapping_sub(1);
        if first == self.block.block_of(last) {
            // What most bios are that come here.
            if let Route::Spare { slot, lost: false } = inside.exact_route(first) {
                self.statistics.count(Count::remapped(bio.direction()));
                let offset = u64::from(self.block.offset_of(sector));
                let to = self.slot_sector(slot).wrapping_add(offset);
                return bio.redirect(&self.spare, to, tag(inside.stay(), true), None);
            }
        }
        self.map_parts(bio, inside, None)
    }

    /// A bio of which perhaps only a part goes one way.
    #[inline(never)]
    fn map_parts(
        &self,
        mut bio: MapBio<'_, RemapTarget>,
        inside: Inside<'_, ReaderIndex>,
        start: Option<Stopwatch>,
    ) -> Mapping {
        loop {
            let sector = bio.sector().wrapping_sub(self.begin);
            let last = sector
                .wrapping_add(u64::from(bio.sectors()))
                .wrapping_sub(1);
            let first = self.block.block_of(sector);
            let (route, blocks) = inside.run(first, self.block.block_of(last));
            let run_end = self.block.first_sector(first.saturating_add(blocks));
            bio.accept(u32::try_from(run_end.saturating_sub(sector)).unwrap_or(u32::MAX));
            match self.way(route, &bio, sector) {
                Way::Held => {
                    let mut held = self.held.lock();
                    // Whoever moved the block looks for held bios afterwards, under the lock.
                    if inside.route(first) == Route::Held {
                        self.statistics.count(Count::held(bio.direction()));
                        let (bio, mapping) = bio.hold();
                        held.push(bio);
                        return mapping;
                    }
                }
                Way::Nowhere => {
                    self.statistics.count(Count::SlowElsewhere);
                    self.statistics.count(Count::error(bio.direction()));
                    return bio.refuse();
                }
                Way::To {
                    spare,
                    sector,
                    fills,
                } => {
                    self.count_way(bio.direction(), spare);
                    let tag = tag(inside.stay(), spare);
                    return bio.redirect(self.device(spare), sector, tag, note(start, fills));
                }
            }
        }
    }

    /// Sends a bio on that waited for its block, which it lies within.
    pub(super) fn send_on(&self, bio: HeldBio<RemapTarget>) {
        let inside = self.gate.enter(bio.direction());
        let sector = bio.sector().wrapping_sub(self.begin);
        let block = self.block.block_of(sector);
        loop {
            match self.way(inside.route(block), &bio, sector) {
                Way::Held => {
                    let mut held = self.held.lock();
                    if inside.route(block) == Route::Held {
                        self.statistics.count(Count::held(bio.direction()));
                        held.push(bio);
                        return;
                    }
                }
                Way::Nowhere => {
                    self.statistics.count(Count::SlowElsewhere);
                    // Dropped, it ends with an error, which end_io() counts.
                    return;
                }
                Way::To {
                    spare,
                    sector,
                    fills,
                } => {
                    self.count_way(bio.direction(), spare);
                    let tag = tag(inside.stay(), spare);
                    return bio.submit(self.device(spare), sector, tag, note(None, fills));
                }
            }
        }
    }

    fn device(&self, spare: bool) -> &BlockDevice {
        if spare {
            &self.spare
        } else {
            &self.main
        }
    }

    fn count_way(&self, direction: Direction, spare: bool) {
        self.statistics.count(match spare {
            true => Count::remapped(direction),
            false => Count::SlowElsewhere,
        });
    }

    /// Where a bio goes whose first block is at `route`, and all of it with it.
    fn way(&self, route: Route, bio: &TargetBio<RemapTarget>, sector: u64) -> Way {
        let (slot, lost) = match route {
            Route::Held => return Way::Held,
            Route::Main => {
                return Way::To {
                    spare: false,
                    sector: self.main_start.wrapping_add(sector),
                    fills: None,
                }
            }
            Route::Spare { slot, lost } => (slot, lost),
        };
        let first = self.block.offset_of(sector);
        let mut fills = None;
        if lost {
            let part = LostPart {
                block: self.block.block_of(sector),
                first,
                len: bio.sectors(),
            };
            let known = self.lost.lock();
            if bio.direction() == Direction::Read {
                if known.any_in(part.block, part.first, part.len) {
                    return Way::Nowhere;
                }
            } else if known.is_unsaved(part.block) {
                return Way::Nowhere;
            } else if bio.fills_sectors() && known.any_in(part.block, part.first, part.len) {
                fills = Some(part);
            }
        }
        Way::To {
            spare: true,
            sector: self.slot_sector(slot).wrapping_add(u64::from(first)),
            fills,
        }
    }

    fn end_io_slowly(
        &self,
        target: &RemapTarget,
        bio: EndedBio<'_, RemapTarget>,
        status: BlockStatus,
    ) -> Ending {
        let start = Stopwatch::start();
        let direction = bio.direction();
        let moves_data = bio.moves_data();
        let note = bio.note();
        let fills = note.and_then(|note| note.fills).filter(|_| status.is_ok());
        let (tag, ending) = match fills {
            Some(part) => self.fill(target, part, bio),
            None => (bio.tag(), Ending::DONE),
        };
        if status.is_device_error(moves_data) {
            self.statistics.count(match tag.mark {
                true => Count::SpareError,
                false => Count::error(direction),
            });
        }
        if let Some(ticket) = tag.ticket {
            ticket.leave();
        }
        let mapped_in = note.and_then(|note| note.mapped_in);
        if let (Some(mapped_in), Some(ended_in)) = (mapped_in, start.read()) {
            self.statistics
                .add_latency(u64::from(mapped_in).saturating_add(u64::from(ended_in)));
        }
        ending
    }

    /// First sector of a slot on the spare device.
    pub(super) fn slot_sector(&self, slot: u32) -> u64 {
        self.slots_start
            .wrapping_add(self.block.first_sector(u64::from(slot)))
    }
}
