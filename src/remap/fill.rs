// SPDX-License-Identifier: GPL-2.0

//! Lost sectors that are written.
//!
//! A write that gives them contents is acknowledged when its data is durable, and after that the
//! metadata that says so: else a crash would make what was acknowledged lost again, or zeros of
//! what was lost. It waits for that in a list, outside the gate, and is ended from a work queue.
//! Its sectors are *filled* meanwhile (`remap_core::table::lost`), from before it leaves the gate: they are
//! lost to readers, and the block does not go back to main, but a pass that moves the block to another
//! slot has waited for the gate, and so takes their contents along.

use remap_core::table::health::MetadataState;

use super::{
    relocation::MoverGuard,
    state::{
        lost::LostPart,
        note::Note,
        writes::{
            Fill,
            MAX_FILLS, //
        }, //
    },
    table::Table,
    target::RemapTarget, //
};
use crate::linux::device_mapper::{
    BioContext,
    Ending,
    OpenBio, //
};

impl Table {
    /// Records in memory that a write has given `part` contents. Any context.
    ///
    /// Must be called inside the gate: a move that does not see it would leave the contents behind.
    pub(super) fn record_fill(&self, part: LostPart) {
        let mut lost = self.lost.lock();
        if self.health.metadata() == MetadataState::None {
            lost.written(part.block, part.first, part.len);
        } else {
            lost.begin_fill(part.block, part.first, part.len);
        }
    }

    /// Ends a write that has given lost sectors contents, or keeps it for the work queue until the
    /// metadata says so. Any context.
    pub(super) fn end_fill(
        &self,
        bio: OpenBio<'_, RemapTarget>,
        context: &BioContext<Note>,
    ) -> Ending {
        let target = bio.target();
        if self.health.metadata() == MetadataState::None {
            // The health may be better now.
            target.wake_queue();
            return Ending::DONE;
        }
        let (bio, ending) = bio.hold(&context.start, context.note);
        let mut filled = self.deferred.filled.lock();
        filled.push(bio);
        // Under the lock: when the bio has ended, the target may go.
        target.wake_queue();
        ending
    }

    /// Ends the writes that wait for metadata, as many as possible together. Process context.
    pub(super) fn end_filled(&self) {
        let mut waiting = self.deferred.filled.lock().take();
        let mut next = waiting.pop();
        while next.is_some() {
            let mut guard = self.lock_mover();
            let mut fills = core::mem::take(&mut guard.mover.fills);
            while let Some(bio) = next.take() {
                // There is room.
                let _ = fills.push_within_capacity(Fill::new(bio));
                next = waiting.pop();
                if fills.len() >= MAX_FILLS {
                    break;
                }
            }
            self.record_fills(&mut guard, &mut fills);
            while let Some(fill) = fills.pop() {
                self.lost.lock().end_fill(fill.has_failed());
                fill.end(&self.statistics);
            }
            guard.mover.fills = fills;
        }
    }

    /// Makes it durable that the parts of `fills` have contents.
    fn record_fills(&self, guard: &mut MoverGuard<'_>, fills: &mut [Fill]) {
        self.find_fills(fills);
        guard.record_parts(fills, Fill::unrecorded, |fill, recorded| {
            fill.recorded = recorded.is_ok();
        });
    }

    /// Finds out where the blocks of `fills` are by now, and whether what was written is there. A
    /// block may have gone to another slot since, or back to main, with all that was filled; or its
    /// contents were given up after the write, or could not be read when it moved.
    fn find_fills(&self, fills: &mut [Fill]) {
        let remaps = self.remaps.lock();
        let lost = self.lost.lock();
        for fill in fills {
            let Some(part) = fill.part else { continue };
            fill.slot = remaps.get(part.block);
            fill.gone = !lost.has_contents(part.block, part.first, part.len);
        }
    }
}
