// SPDX-License-Identifier: GPL-2.0

//! What an error of a device means.
//!
//! A bio that has failed is held where it ends, which may be anywhere, and looked at by the target's
//! work queue: a failed write is rescued ([`super::relocation`]), the block of a failed read becomes
//! pending. Errors of the way to a device, and of its resources, say nothing about a block.
//!
//! The queue has a thread of its own for when memory is short, and holds no lock that the end of a bio
//! needs while it waits for one. It works in every state of the table: until a suspended device is
//! quiet, all bios have to end.

use kernel::{
    sync::{
        atomic::Relaxed,
        Arc, //
    },
    workqueue::WorkItem, //
};
use remap_core::{
    arguments::ErrorPolicy,
    geometry::SectorRange, //
};

use super::{
    live::LiveTable,
    state::{
        note::Note,
        statistics::Count, //
    },
    RemapTarget, //
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
    gate::Direction,
    noio::NoIo, //
};

impl WorkItem for LiveTable {
    type Pointer = Arc<Self>;

    fn run(this: Arc<Self>) {
        this.look_after_bios();
    }
}

impl RemapTarget {
    /// Lets the work queue look after the bios that wait for it. Any context.
    pub(super) fn wake_queue(&self) {
        if let Some(table) = self.table.share() {
            // Where it is queued already it has not begun so far.
            let _ = self.queue.enqueue(table);
        }
    }
}

impl LiveTable {
    /// What a failing write does.
    pub(super) fn policy(&self) -> ErrorPolicy {
        ErrorPolicy::from_number(self.policy.load(Relaxed)).unwrap_or_default()
    }

    /// Changes that. Where it relocates, main is believed again.
    pub(super) fn set_policy(&self, policy: ErrorPolicy) {
        let mut mover = self.mover.lock();
        self.policy.store(policy.number(), Relaxed);
        if policy == ErrorPolicy::Relocate {
            mover.breaker.arm();
            self.failing.store(0, Relaxed);
        }
    }

    /// Whether a write to a pending block is to move it.
    pub(super) fn relocates(&self) -> bool {
        self.policy() == ErrorPolicy::Relocate && self.failing.load(Relaxed) == 0 && !self.read_only
    }

    /// A bio has failed with `status`, on main or where its context's mark says on the spare. Any
    /// context.
    pub(super) fn failed(
        &self,
        bio: OpenBio<'_, RemapTarget>,
        context: &BioContext<Note>,
        status: BlockStatus,
    ) -> Ending {
        let spare = context.mark;
        if status.is_device_error(bio.moves_data()) {
            self.statistics.count(match spare {
                true => Count::SpareError,
                false => Count::error(bio.direction()),
            });
        }
        if status.blame() == Blame::Other || self.failing.load(Relaxed) != 0 {
            return Ending::DONE;
        }
        let concerns_us = match (self.policy(), bio.direction()) {
            (ErrorPolicy::Off, Direction::Write) => false,
            (ErrorPolicy::Record, Direction::Write) => !spare && bio.fills_sectors(),
            (ErrorPolicy::Relocate, Direction::Write) => !self.read_only && bio.fills_sectors(),
            (_, Direction::Read) => !spare,
        };
        if !concerns_us || context.start.sectors() == 0 {
            return Ending::DONE;
        }
        let target = bio.target();
        let (bio, ending) = bio.hold(&context.start, None);
        self.divert(target, bio);
        ending
    }

    /// Keeps a bio that has failed, or a write to a pending block, for the work queue. Any context.
    pub(super) fn divert(&self, target: &RemapTarget, bio: HeldBio<Note>) {
        let mut failed = self.failed.lock();
        failed.push(bio);
        // Under the lock: when the bio has ended, the target may go.
        target.wake_queue();
    }

    /// Ends the bios that wait for the work queue.
    fn look_after_bios(&self) {
        loop {
            self.end_filled();
            let mut failed = self.failed.lock().take();
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
            // While nobody waits, there is time for what may be wrong besides.
            if !any && !self.probe_suspect() {
                break;
            }
        }
        self.note_health();
    }

    /// Remembers where a read has failed, and ends it.
    fn end_failed_read(&self, bio: HeldBio<Note>) {
        let status = bio.status();
        let sector = bio.sector().wrapping_sub(self.begin);
        let range = SectorRange::new(sector, u64::from(bio.sectors()));
        if let Some(range) = range {
            let (first, end) = range.blocks(self.block);
            let mut mover = self.mover.lock();
            let _noio = NoIo::enter();
            self.look_for_main(&mut mover);
            if self.failing.load(Relaxed) != 0 {
                // Says nothing about the block.
            } else if end.saturating_sub(first) == 1 {
                self.mark_pending(&mut mover, first);
            } else {
                mover.suspects.push(first, end);
            }
        }
        bio.end_with(status);
    }
}
