// SPDX-License-Identifier: GPL-2.0

//! The way of a bio: the hot path.
//!
//! A bio that touches no remapped block costs an entry of the gate, one word of the filter and a
//! redirection; on its way back, an exit. Everything else is in functions of its own, out of line.

use kernel::time::{
    Instant,
    Monotonic, //
};
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
        BlockStatus,
        EndedBio,
        HeldBio,
        MapBio,
        Mapping,
        TargetBio, //
    },
    gate::{
        Direction,
        Inside,
        Ticket, //
    }, //
};

/// What a bio carries along.
pub(crate) struct BioData {
    /// For the gate, which flushes and held bios are not in.
    ticket: Option<Ticket>,
    /// Whether it went to the spare.
    spare: bool,
    /// Nanoseconds that `map` took, while a test measures.
    mapped_in: Option<u32>,
    /// Lost sectors that it gives contents again.
    fills: Option<LostPart>,
}

/// Part of a block with lost sectors.
#[derive(Clone, Copy)]
struct LostPart {
    block: u64,
    first: u32,
    len: u32,
}

impl BioData {
    /// Of a bio that is not in the gate.
    const OUTSIDE: Self = Self {
        ticket: None,
        spare: false,
        mapped_in: None,
        fills: None,
    };

    #[inline(always)]
    fn to_main(ticket: Ticket) -> Self {
        Self {
            ticket: Some(ticket),
            ..Self::OUTSIDE
        }
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
    /// Nowhere: it reads lost sectors.
    Lost,
    /// It has to wait.
    Held,
}

fn nanoseconds_since(start: Instant<Monotonic>) -> u32 {
    u32::try_from(start.elapsed().as_nanos()).unwrap_or(u32::MAX)
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
            return bio.redirect(&self.main, to, BioData::to_main(inside.stay()));
        }
        self.map_slowly(bio, inside, None)
    }

    /// The same while a test measures what we add to a bio.
    #[cold]
    #[inline(never)]
    fn map_timed(
        &self,
        bio: MapBio<'_, RemapTarget>,
        inside: Inside<'_, ReaderIndex>,
    ) -> Mapping {
        let start = Instant::<Monotonic>::now();
        let sector = bio.sector().wrapping_sub(self.begin);
        let last = sector
            .wrapping_add(u64::from(bio.sectors()))
            .wrapping_sub(1);
        if inside.all_on_main(self.block.block_of(sector), self.block.block_of(last)) {
            let data = BioData {
                mapped_in: Some(nanoseconds_since(start)),
                ..BioData::to_main(inside.stay())
            };
            return bio.redirect(&self.main, self.main_start.wrapping_add(sector), data);
        }
        self.map_slowly(bio, inside, Some(start))
    }

    /// An empty flush: one copy for each device. It makes durable what has completed, wherever
    /// that went, so it need not wait for anybody.
    #[cold]
    #[inline(never)]
    fn map_flush(&self, bio: MapBio<'_, RemapTarget>) -> Mapping {
        let device = if bio.flush_number() == 0 {
            &self.main
        } else {
            &self.spare
        };
        bio.redirect(device, 0, BioData::OUTSIDE)
    }

    /// A bio for which the filter is not enough.
    #[cold]
    #[inline(never)]
    fn map_slowly(
        &self,
        mut bio: MapBio<'_, RemapTarget>,
        inside: Inside<'_, ReaderIndex>,
        start: Option<Instant<Monotonic>>,
    ) -> Mapping {
        self.statistics.count(Count::SlowPath);
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
                        let (bio, mapping) = bio.hold(BioData::OUTSIDE);
                        held.push(bio);
                        return mapping;
                    }
                }
                Way::Lost => {
                    self.statistics.count(Count::ReadError);
                    return bio.refuse();
                }
                Way::To {
                    spare,
                    sector,
                    fills,
                } => {
                    let data = self.send(bio.direction(), inside, spare, fills, start);
                    return bio.redirect(self.device(spare), sector, data);
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
                Way::Lost => {
                    self.statistics.count(Count::ReadError);
                    // Dropped, it ends with an error.
                    return;
                }
                Way::To {
                    spare,
                    sector,
                    fills,
                } => {
                    let data = self.send(bio.direction(), inside, spare, fills, None);
                    return bio.submit(self.device(spare), sector, data);
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

    /// Counts a bio that is about to go, and makes what it carries along.
    fn send(
        &self,
        direction: Direction,
        inside: Inside<'_, ReaderIndex>,
        spare: bool,
        fills: Option<LostPart>,
        start: Option<Instant<Monotonic>>,
    ) -> BioData {
        if spare {
            self.statistics.count(Count::remapped(direction));
        }
        BioData {
            ticket: Some(inside.stay()),
            spare,
            mapped_in: start.map(nanoseconds_since),
            fills,
        }
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
            if bio.direction() == Direction::Read {
                if self.lost.lock().any_in(part.block, part.first, part.len) {
                    return Way::Lost;
                }
            } else if bio.fills_sectors() {
                fills = Some(part);
            }
        }
        Way::To {
            spare: true,
            sector: self.slot_sector(slot).wrapping_add(u64::from(first)),
            fills,
        }
    }

    /// A bio that was sent out comes back.
    #[inline(always)]
    pub(super) fn end_io(
        &self,
        bio: EndedBio<'_, RemapTarget>,
        status: BlockStatus,
    ) -> BlockStatus {
        let direction = bio.direction();
        let data = bio.data();
        if !status.is_ok() || data.mapped_in.is_some() || data.fills.is_some() {
            return self.end_io_slowly(direction, data, status);
        }
        if let Some(ticket) = data.ticket {
            self.gate.leave(ticket);
        }
        status
    }

    #[cold]
    #[inline(never)]
    fn end_io_slowly(
        &self,
        direction: Direction,
        data: BioData,
        status: BlockStatus,
    ) -> BlockStatus {
        let start = Instant::<Monotonic>::now();
        // A bio that was never sent is ended by whoever held it, who has counted it.
        let Some(ticket) = data.ticket else {
            return status;
        };
        if !status.is_ok() {
            self.statistics.count(match data.spare {
                true => Count::SpareError,
                false => Count::error(direction),
            });
        } else if let Some(part) = data.fills {
            self.lost.lock().written(part.block, part.first, part.len);
        }
        self.gate.leave(ticket);
        if let Some(mapped_in) = data.mapped_in {
            let ended_in = nanoseconds_since(start);
            self.statistics
                .add_latency(u64::from(mapped_in).saturating_add(u64::from(ended_in)));
        }
        status
    }

    /// First sector of a slot on the spare device.
    pub(super) fn slot_sector(&self, slot: u32) -> u64 {
        self.spare_start
            .wrapping_add(self.block.first_sector(u64::from(slot)))
    }
}
