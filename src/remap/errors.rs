// SPDX-License-Identifier: GPL-2.0

//! Failed bios: what an error of a device means.
//!
//! A write that has failed is held where it ends, which may be anywhere, and rescued by the target's work queue
//! ([`super::relocation`]). A read that has failed ends with its error. Its block becomes pending before, if the medium
//! has failed, and it is one block. Else its blocks are suspects, which the keeper reads. Errors of the path to a
//! device, and of its resources, say nothing about a block.
//!
//! The queue has a thread of its own for when memory is short, and holds no lock that the end of a bio
//! needs while it waits for one. It works in every state of the table: until a suspended device is
//! quiet, all bios have to end.

use kernel::{
    sync::Arc,
    workqueue::WorkItem, //
};
use remap_core::{
    interface::arguments::ErrorPolicy,
    table::geometry::SectorRange, //
};

use super::{
    state::{
        devices::Place,
        note::Note,
        statistics::Count, //
    },
    table::Table,
    target::RemapTarget, //
};
use crate::linux::{
    device_mapper::{
        BioContext,
        Blame,
        BlockStatus,
        Ending,
        HeldBio,
        HeldBios,
        OpenBio, //
    },
    gate::Direction, //
};

impl WorkItem for Table {
    type Pointer = Arc<Self>;

    fn run(this: Arc<Self>) {
        this.look_after_bios();
    }
}

impl Table {
    /// Ends a bio that has failed with `status`, or keeps it for the work queue.
    ///
    /// It has failed on the spare where the mark of its context says so, else on main. Any context.
    pub(super) fn end_failed(
        &self,
        bio: OpenBio<'_, RemapTarget>,
        context: &BioContext<Note>,
        status: BlockStatus,
    ) -> Ending {
        let spare = context.mark;
        let place = Place::spare_if(spare);
        let blame = status.blame(bio.moves_data());
        if blame == Blame::Unknown && bio.fails_early() {
            // The device may have declined it, which says nothing about the medium.
            return Ending::DONE;
        }
        if status.is_device_error(bio.moves_data()) {
            self.statistics.count(match spare {
                true => Count::SpareError,
                false => Count::error(bio.direction()),
            });
        }
        if blame != Blame::Medium && status.is_device_error(bio.moves_data()) {
            self.suspect(place);
        }
        let fails = match place {
            Place::Main => self.main_fails(),
            Place::Spare => self.liveness(place).is_out(),
        };
        if blame == Blame::Other || fails {
            return Ending::DONE;
        }
        let concerns_us = match (self.policy.on_error(), bio.direction()) {
            (ErrorPolicy::Off, Direction::Write) => false,
            (ErrorPolicy::Record, Direction::Write) => !spare && bio.fills_sectors(),
            (ErrorPolicy::Relocate, Direction::Write) => {
                !self.policy.read_only && bio.fills_sectors()
            }
            (_, Direction::Read) => !spare,
        };
        if !concerns_us || context.start.sectors() == 0 {
            return Ending::DONE;
        }
        if bio.direction() == Direction::Read {
            let range = self.range_of(context.start.sector(), context.start.sectors());
            let blocks = range.map(|range| range.blocks(self.places.block));
            let is_one = blocks.is_some_and(|(first, end)| end.saturating_sub(first) == 1);
            if !is_one || blame != Blame::Medium {
                if let Some((first, end)) = blocks {
                    self.deferred.suspects.lock().push(first, end);
                    self.keeper.wake();
                }
                return Ending::DONE;
            }
        }
        let target = bio.target();
        let (bio, ending) = bio.hold(&context.start, Some(Note::waiting()));
        self.divert(target, bio);
        ending
    }

    /// Keeps a bio that has failed, or a write to a pending block, for the work queue. Any context.
    pub(super) fn divert(&self, target: &RemapTarget, bio: HeldBio<Note>) {
        let mut failed = self.deferred.failed.lock();
        failed.push(bio);
        // Under the lock: when the bio has ended, the target may go.
        target.wake_queue();
    }

    /// Ends the bios that wait for the work queue.
    fn look_after_bios(&self) {
        loop {
            self.end_filled();
            let mut failed = self.deferred.failed.lock().take();
            let mut writes = HeldBios::new();
            let mut any = false;
            while let Some(bio) = failed.pop() {
                any = true;
                match bio.direction() {
                    Direction::Write => writes.push(bio),
                    Direction::Read => self.end_failed_read(bio),
                }
            }
            self.rescue(&mut writes);
            self.report_health();
            if !any {
                break;
            }
        }
    }

    /// Marks the block of a read that its medium has failed as pending, and ends the read.
    fn end_failed_read(&self, bio: HeldBio<Note>) {
        let status = bio.status();
        if let Some(range) = self.range_of(bio.sector(), bio.sectors()) {
            let (block, _) = range.blocks(self.places.block);
            let mut guard = self.lock_mover();
            guard.check_main_gone();
            if !self.main_fails() {
                guard.mark_pending(block);
            }
        }
        bio.end_with(status);
    }

    /// Returns the sectors of the target that a bio has, whose first one on the mapped device is `sector`.
    fn range_of(&self, sector: u64, sectors: u32) -> Option<SectorRange> {
        SectorRange::new(self.places.in_target(sector), u64::from(sectors))
    }
}
