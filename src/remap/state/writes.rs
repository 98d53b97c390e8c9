// SPDX-License-Identifier: GPL-2.0

//! Writes that wait for the work queue, while it looks after them.

use remap_core::stress::delays::Delay;

use super::{
    lost::LostPart,
    note::Note,
    statistics::{
        Count,
        Statistics, //
    }, //
};
use crate::linux::device_mapper::{
    BlockStatus,
    HeldBio, //
};

/// Most writes that are rescued together.
pub(in crate::remap) const MAX_WRITES: usize = 64;

/// Write that is being rescued.
pub(in crate::remap) struct FailedWrite {
    pub(in crate::remap) bio: HeldBio<Note>,
    /// Sectors at the start that are written, or in the parts of this round.
    pub(in crate::remap) done: u32,
    /// Sectors at the start that are tried block by block: together they have failed.
    pub(in crate::remap) by_block: u32,
    /// Part with its slot that was lost and has contents again, which is not recorded yet.
    pub(in crate::remap) fills: Option<(u32, LostPart)>,
    /// Status, if the write has failed for good.
    pub(in crate::remap) failed: Option<BlockStatus>,
}

impl FailedWrite {
    pub(in crate::remap) fn new(bio: HeldBio<Note>) -> Self {
        Self {
            bio,
            done: 0,
            by_block: 0,
            fills: None,
            failed: None,
        }
    }

    /// Returns whether the write has failed, or all of it is written.
    pub(in crate::remap) fn has_ended(&self) -> bool {
        self.failed.is_some() || self.done >= self.bio.sectors()
    }

    /// Fails the write: with the error that it ended with at first, if there was one, else with `status`.
    pub(in crate::remap) fn fail(&mut self, status: BlockStatus) {
        let first = self.bio.status();
        self.failed = Some(if first.is_ok() { status } else { first });
    }

    /// Ends the write for its submitter. Process context.
    pub(in crate::remap) fn end(self, statistics: &Statistics) {
        match self.failed {
            Some(status) => self.bio.end_with(status),
            None => {
                statistics.record_delay(Delay::Relocation, self.bio.note());
                self.bio.end();
            }
        }
    }
}

/// Most writes that wait for metadata together.
pub(in crate::remap) const MAX_FILLS: usize = 64;

/// Write that has given lost sectors contents.
pub(in crate::remap) struct Fill {
    pub(in crate::remap) bio: HeldBio<Note>,
    pub(in crate::remap) part: Option<LostPart>,
    /// Slot of the block now, unless it is on main.
    pub(in crate::remap) slot: Option<u32>,
    /// The contents are not there any more.
    pub(in crate::remap) gone: bool,
    pub(in crate::remap) recorded: bool,
}

impl Fill {
    pub(in crate::remap) fn new(bio: HeldBio<Note>) -> Self {
        let part = bio.note().and_then(|note| note.fills);
        Self {
            bio,
            part,
            slot: None,
            gone: false,
            recorded: false,
        }
    }

    /// Returns the part that is not recorded as having contents, with its slot.
    pub(in crate::remap) fn unrecorded(&self) -> Option<(u32, LostPart)> {
        if self.gone {
            return None;
        }
        Some((self.slot?, self.part?))
    }

    /// Returns whether the metadata could not be told of what was written.
    pub(in crate::remap) fn has_failed(&self) -> bool {
        !self.recorded && self.slot.is_some()
    }

    /// Ends the write, well where its metadata was recorded or there is none to record.
    pub(in crate::remap) fn end(self, statistics: &Statistics) {
        if !self.has_failed() {
            self.bio.end();
        } else {
            if !self.gone {
                statistics.count(Count::SpareError);
            }
            self.bio.end_with(BlockStatus::IO_ERROR);
        }
    }
}
