// SPDX-License-Identifier: GPL-2.0

//! Lost sectors that are written.
//!
//! A write that gives them contents is acknowledged when its data is durable, and after that the
//! metadata that says so: else a crash would make what was acknowledged lost again, or zeros of
//! what was lost. It waits for that in a list, outside the gate, and is ended from a work queue.
//! The block has lost sectors in memory meanwhile, so that nobody moves it back to main.

use core::iter::once;

use kernel::{
    prelude::*,
    sync::Arc,
    workqueue::WorkItem, //
};
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
    map::LostPart,
    relocation::Mover,
    statistics::Count,
    RemapTarget, //
};
use crate::linux::{
    device_mapper::{
        BioTag,
        EndedBio,
        Ending, //
    },
    noio::NoIo, //
};

impl WorkItem for LiveTable {
    type Pointer = Arc<Self>;

    fn run(this: Arc<Self>) {
        this.end_filled();
    }
}

impl LiveTable {
    /// A write has given `part` contents. Any context.
    pub(super) fn fill(
        &self,
        target: &RemapTarget,
        part: LostPart,
        bio: EndedBio<'_, RemapTarget>,
    ) -> (BioTag, Ending) {
        if self.metadata_state() == MetadataState::None {
            self.lost.lock().written(part.block, part.first, part.len);
            return (bio.tag(), Ending::DONE);
        }
        let (tag, bio, ending) = bio.hold();
        self.filled.lock().push(bio);
        if let Some(table) = target.table.share() {
            // Where it is queued already it has not taken the list so far.
            let _ = target.queue.enqueue(table);
        }
        (tag, ending)
    }

    /// Ends the writes that wait for metadata.
    fn end_filled(&self) {
        let mut waiting = self.filled.lock().take();
        let mut mover = self.mover.lock();
        let _noio = NoIo::enter();
        while let Some(bio) = waiting.pop() {
            let filled = match bio.note().and_then(|note| note.fills) {
                Some(part) => self.note_filled(&mut mover, part),
                None => Ok(()),
            };
            match filled {
                Ok(()) => bio.end(),
                // Dropped, it ends with an error.
                Err(_) => self.statistics.count(Count::SpareError),
            }
        }
    }

    /// Makes it durable that `part` has contents.
    fn note_filled(&self, mover: &mut Mover, part: LostPart) -> Result {
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
