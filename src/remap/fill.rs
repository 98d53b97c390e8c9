// SPDX-License-Identifier: GPL-2.0

//! Lost sectors that are written.
//!
//! A write that gives them contents is acknowledged when its data is durable, and after that the
//! metadata that says so: else a crash would make what was acknowledged lost again, or zeros of
//! what was lost. It waits for that in a list, outside the gate, and is ended from a work queue.
//! Its sectors are *filled* meanwhile (`remap_core::lost`), from before it leaves the gate: they are
//! lost to readers, and the block does not go back to main, but whoever moves the block to another
//! slot has waited for the gate, and so takes their contents along.

use kernel::prelude::*;
use remap_core::{
    health::MetadataState,
    metadata::{
        entry::LostUnits,
        store::{
            Change,
            Version, //
        }, //
    }, //
};

use super::{
    live::LiveTable,
    state::{
        lost::LostPart,
        metadata::Metadata,
        mover::Mover,
        note::Note,
        writes::{
            Fill,
            MOST_FILLS, //
        }, //
    },
    RemapTarget, //
};
use crate::linux::{
    device_mapper::{
        BioContext,
        Ending,
        OpenBio, //
    },
    noio::NoIo, //
};

impl LiveTable {
    /// Records in memory that a write has given `part` contents. Must be called inside the gate:
    /// a move that does not see it would leave them behind. Any context.
    pub(super) fn fill(&self, part: LostPart) {
        let mut lost = self.lost.lock();
        if self.metadata_state() == MetadataState::None {
            lost.written(part.block, part.first, part.len);
        } else {
            lost.fill(part.block, part.first, part.len);
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
        if self.metadata_state() == MetadataState::None {
            // The health may be better now.
            target.wake_queue();
            return Ending::DONE;
        }
        let (bio, ending) = bio.hold(&context.start, context.note);
        let mut filled = self.filled.lock();
        filled.push(bio);
        // Under the lock: when the bio has ended, the target may go.
        target.wake_queue();
        ending
    }

    /// Ends the writes that wait for metadata, as many as possible together.
    pub(super) fn end_filled(&self) {
        let mut waiting = self.filled.lock().take();
        let mut next = waiting.pop();
        while next.is_some() {
            let mut mover = self.mover.lock();
            let _noio = NoIo::enter();
            let mut fills = core::mem::take(&mut mover.fills);
            while let Some(bio) = next.take() {
                // There is room.
                let _ = fills.push_within_capacity(Fill::new(bio));
                next = waiting.pop();
                if fills.len() >= MOST_FILLS {
                    break;
                }
            }
            self.note_fills(&mut mover, &mut fills);
            while let Some(fill) = fills.pop() {
                fill.end(&self.statistics);
            }
            mover.fills = fills;
        }
    }

    /// Makes it durable that the parts of `fills` have contents, page by page.
    fn note_fills(&self, mover: &mut Mover, fills: &mut [Fill]) {
        self.find_fills(fills);
        let layout = mover.metadata.as_ref().map(Metadata::layout);
        let page_of = |fill: &Fill| match (layout, fill.slot) {
            (Some(layout), Some(slot)) if !fill.gone => Some(layout.entry_of(slot).0),
            _ => None,
        };
        let mut next = fills.iter().filter_map(page_of).min();
        while let Some(page) = next {
            let here = |fill: &Fill| page_of(fill) == Some(page);
            let parts = fills
                .iter()
                .filter(|fill| here(fill))
                .filter_map(|fill| Some((fill.slot?, fill.part?)));
            let noted = self.note_parts(mover, parts);
            for fill in fills.iter_mut().filter(|fill| here(fill)) {
                fill.noted = noted.is_ok();
            }
            next = fills
                .iter()
                .filter_map(page_of)
                .filter(|other| *other > page)
                .min();
        }
    }

    /// Finds out where the blocks of `fills` are by now, and whether what was written is there. A
    /// block may have gone to another slot since, or back to main, with all that was filled; or its
    /// contents were given up after the write, or could not be read when it moved.
    fn find_fills(&self, fills: &mut [Fill]) {
        let remaps = self.remaps.lock();
        let lost = self.lost.lock();
        for fill in fills {
            let Some(part) = fill.part else { continue };
            fill.slot = remaps.table.get(part.block);
            fill.gone = !lost.has_contents(part.block, part.first, part.len);
        }
    }

    /// Makes it durable that these parts of blocks, with their slots, have contents. All of them are in
    /// one page.
    pub(super) fn note_parts(
        &self,
        mover: &mut Mover,
        parts: impl Iterator<Item = (u32, LostPart)> + Clone,
    ) -> Result {
        self.revive_metadata(mover)?;
        if let Some(metadata) = &mut mover.metadata {
            let unit = metadata.lost_unit();
            let changes = parts.clone().map(|(slot, part)| {
                // What several of them write of a block, the last one says as well as the first.
                let mut still = self.lost.lock().of(part.block);
                parts
                    .clone()
                    .filter(|(_, other)| other.block == part.block)
                    .for_each(|(_, other)| still.written(other.first, other.len));
                (slot, Change::Lost(LostUnits::of(&still, unit)))
            });
            let committed = metadata.commit(changes, Version::Old);
            self.show_metadata_state(mover);
            committed.map_err(|_| EIO)?;
        }
        let mut lost = self.lost.lock();
        parts.for_each(|(_, part)| lost.written(part.block, part.first, part.len));
        Ok(())
    }
}
