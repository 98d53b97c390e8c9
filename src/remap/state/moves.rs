// SPDX-License-Identifier: GPL-2.0

//! The blocks of a pass, and what becomes of them.

use kernel::prelude::*;
use remap_core::{
    metadata::{
        entry::{
            Entry,
            UnitStates, //
        },
        turn::Turn, //
    },
    table::breaker::Admission, //
};

use super::{
    lost::NewLost,
    remaps::Node, //
};

/// Most blocks in a pass. More would make the bios that wait for one of them wait longer.
pub(in crate::remap) const MAX_BATCH: usize = 256;

/// Progress of a range of blocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::remap) struct Progress {
    /// Blocks that were moved.
    pub(in crate::remap) moved: u64,
    /// Blocks that were where they should be before.
    pub(in crate::remap) already: u64,
    /// The block that comes next.
    pub(in crate::remap) next: u64,
}

/// Treatment of the contents of blocks that move to the spare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::remap) enum Contents {
    /// Contents move along, as far as they can be read.
    Copied,
    /// Contents move along as a whole, or the block stays: `ENODATA` where main cannot read all of it, or
    /// has failed there before.
    Whole,
    /// Contents stay on main: all sectors are unread.
    Left,
}

impl Contents {
    /// Returns the message that wants it so.
    pub(in crate::remap) const fn command(self) -> &'static str {
        match self {
            Contents::Copied | Contents::Whole => "remap",
            Contents::Left => "bad",
        }
    }
}

/// Part of a write that lies in one block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::remap) struct WritePart {
    /// Number of the write in the round.
    pub(in crate::remap) write: usize,
    pub(in crate::remap) block: u64,
    /// First sector in the block.
    pub(in crate::remap) first: u32,
    pub(in crate::remap) len: u32,
    /// First sector in the write.
    pub(in crate::remap) at: u32,
    /// The slot that has failed, where the block is on the spare.
    pub(in crate::remap) slot: Option<u32>,
    /// Reason why the part goes to a slot.
    pub(in crate::remap) cause: Cause,
}

/// Reason why a part of a write goes to a new place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::remap) enum Cause {
    /// The medium has refused it in its old place.
    Refused,
    /// It has failed again in its old place, with an error that does not name the medium.
    Suspected,
    /// The block is pending, and main was not tried.
    Pending,
}

/// Outcome of a pass for a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::remap) enum Fate {
    /// Not tried: the next pass begins with it.
    PutOff,
    /// The block could not be copied.
    Failed,
    /// The contents are durable in the new place, and the metadata says so where there is any. Before step 4:
    /// they were copied.
    Copied,
    /// The contents are durable in both places, and which one the metadata says is uncertain.
    Unsaved,
}

/// Direction of a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::remap) enum Toward {
    /// To slots.
    Spare,
    /// Back.
    Main,
}

/// A block on its way.
pub(in crate::remap) struct Move {
    pub(in crate::remap) block: u64,
    pub(in crate::remap) slot: u32,
    /// The slot that the block leaves since that has failed, if it was in one.
    pub(in crate::remap) leaves: Option<u32>,
    pub(in crate::remap) fate: Fate,
    /// Memory for its entry in the table, on the way to the spare.
    pub(in crate::remap) node: Option<Node>,
    /// Sectors of the block without contents in its new slot, on the way to the spare.
    pub(in crate::remap) lost: Option<NewLost>,
    /// Part of a write that goes to the block on the occasion.
    pub(in crate::remap) part: Option<WritePart>,
    /// Admission of the breaker.
    pub(in crate::remap) admission: Option<Admission>,
    /// The slots that would not take it.
    pub(in crate::remap) refused: Slots,
    /// How often its slot has failed so far, with an error that does not name the medium.
    pub(in crate::remap) failures: u32,
}

/// Largest number of slots that are tried for a block besides the first. A spare that refuses so many has failed as a
/// whole, and says nothing about them.
const MAX_REFUSED: usize = 7;

/// A few slots.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::remap) struct Slots {
    slots: [u32; MAX_REFUSED],
    count: usize,
}

impl Slots {
    pub(in crate::remap) fn has_room(&self) -> bool {
        self.count < MAX_REFUSED
    }

    /// Adds one, where there is room.
    pub(in crate::remap) fn push(&mut self, slot: u32) {
        if let Some(free) = self.slots.get_mut(self.count) {
            *free = slot;
            self.count = self.count.saturating_add(1);
        }
    }

    pub(in crate::remap) fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.slots.iter().take(self.count).copied()
    }
}

impl Move {
    /// Makes a move that has not begun.
    pub(in crate::remap) fn new(block: u64, slot: u32, node: Option<Node>) -> Self {
        Self {
            block,
            slot,
            leaves: None,
            fate: Fate::PutOff,
            node,
            lost: None,
            part: None,
            admission: None,
            refused: Slots::default(),
            failures: 0,
        }
    }

    /// Returns the entry of the slot for when the block has arrived. `unit` is that of the metadata.
    pub(in crate::remap) fn entry(&self, toward: Toward, unit: u32) -> Entry {
        if toward == Toward::Main {
            return Entry::Free;
        }
        Entry::Block {
            block: self.block,
            turn: Turn::FIRST,
            states: self.states(unit),
        }
    }

    /// Returns the states of the block, in units of so many sectors.
    pub(in crate::remap) fn states(&self, unit: u32) -> UnitStates {
        match &self.lost {
            Some(new) => UnitStates::of(&new.sectors, unit),
            None => UnitStates::WHOLE,
        }
    }

    /// Returns whether the block was copied to its first slot.
    pub(in crate::remap) fn is_newly_copied(&self) -> bool {
        self.fate == Fate::Copied && self.leaves.is_none()
    }
}

/// The first blocks that stayed where they were, if any.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::remap) struct Left {
    pub(in crate::remap) failed: Option<u64>,
    pub(in crate::remap) put_off: Option<u64>,
}

impl Left {
    /// Records a block, if it stayed.
    pub(in crate::remap) fn record(&mut self, block: u64, fate: Fate) {
        match fate {
            Fate::Failed | Fate::Unsaved => self.failed.get_or_insert(block),
            Fate::PutOff => self.put_off.get_or_insert(block),
            Fate::Copied => return,
        };
    }

    /// Ends a pass over a range: sets where the range goes on, and returns why it does not.
    pub(in crate::remap) fn end_pass(self, copied: Result, progress: &mut Progress) -> Result {
        if let Some(block) = self.failed.or(self.put_off) {
            progress.next = block;
        }
        match self.failed {
            Some(_) => Err(copied.err().unwrap_or(EIO)),
            None => copied,
        }
    }
}
