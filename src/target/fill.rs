// SPDX-License-Identifier: GPL-2.0

//! Lost sectors that are written.
//!
//! A write that gives them contents is acknowledged when its data is durable, and after that the
//! metadata that says so: else a crash would make what was acknowledged lost again, or zeros of
//! what was lost. It waits for that in a list, outside the gate, and is ended from a work queue.
//! The block has lost sectors in memory meanwhile, so that nobody moves it back to main.

use core::iter::once;

use kernel::prelude::*;
use remap_core::{
    health::MetadataState,
    metadata::{
        entry::{
            Entry,
            LostUnits, //
        },
        store::Version, //
    }, //
};

use super::{
    live::LiveTable,
    map::{
        LostPart,
        Note, //
    },
    relocation::Mover,
    statistics::Count,
    RemapTarget, //
};
use crate::linux::{
    device_mapper::{
        BlockStatus,
        Ending,
        Journey,
        OpenBio, //
    },
    noio::NoIo, //
};

impl LiveTable {
    /// A write has given `part` contents. Any context.
    pub(super) fn fill(
        &self,
        part: LostPart,
        bio: OpenBio<'_, RemapTarget>,
        journey: &Journey<Note>,
    ) -> Ending {
        let target = bio.target();
        let ending = if self.metadata_state() == MetadataState::None {
            self.lost.lock().written(part.block, part.first, part.len);
            Ending::DONE
        } else {
            let (bio, ending) = bio.hold(&journey.start, journey.note);
            self.filled.lock().push(bio);
            ending
        };
        target.wake_queue();
        ending
    }

    /// Ends the writes that wait for metadata.
    pub(super) fn end_filled(&self) {
        let mut waiting = self.filled.lock().take();
        while let Some(bio) = waiting.pop() {
            let mut mover = self.mover.lock();
            let _noio = NoIo::enter();
            let filled = match bio.note().and_then(|note| note.fills) {
                Some(part) => self.note_filled(&mut mover, part),
                None => Ok(()),
            };
            match filled {
                Ok(()) => bio.end(),
                Err(_) => {
                    self.statistics.count(Count::SpareError);
                    bio.end_with(BlockStatus::IO_ERROR);
                }
            }
        }
    }

    /// Makes it durable that `part` has contents.
    pub(super) fn note_filled(&self, mover: &mut Mover, part: LostPart) -> Result {
        let Some(slot) = self.remaps.lock().table.get(part.block) else {
            // It has been moved back since, with what another such write had filled it up with.
            return Ok(());
        };
        self.revive_metadata(mover)?;
        let still = self.lost.lock().without(part.block, part.first, part.len);
        if let Some(metadata) = &mut mover.metadata {
            let lost = LostUnits::of(&still, metadata.lost_unit());
            let committed = metadata.turn_of(slot).and_then(|turn| {
                let entry = Entry::Block {
                    block: part.block,
                    turn,
                    lost,
                };
                let committed = metadata.commit(once((slot, entry)), Version::Old);
                committed.map_err(|_| EIO)
            });
            self.show_metadata_state(mover);
            committed?;
        }
        self.lost.lock().written(part.block, part.first, part.len);
        Ok(())
    }
}
