// SPDX-License-Identifier: GPL-2.0

//! The blocks of a pass, and what becomes of them.

use kernel::prelude::*;
use remap_core::{
    breaker::Admission,
    metadata::{
        entry::{
            Entry,
            LostUnits, //
        },
        turn::Turn, //
    }, //
};

use super::{
    rescue::Part,
    Progress, //
};
use crate::remap::{
    lost::NewLost,
    remaps::Node, //
};

/// What became of a block in a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Not tried: the next pass begins with it.
    PutOff,
    /// It could not be copied.
    Failed,
    /// Its contents are durable in the new place, and the metadata says so where there is any.
    Copied,
    /// Its contents are durable in both places, and which one the metadata says is uncertain.
    Unsaved,
}

/// Where a pass takes its blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Toward {
    /// To slots.
    Spare,
    /// Back.
    Main,
}

/// A block on its way.
pub(super) struct Move {
    pub(super) block: u64,
    pub(super) slot: u32,
    pub(super) fate: Fate,
    /// Memory for its entry in the table, on the way to the spare.
    pub(super) node: Option<Node>,
    /// What could not be read of it, on the way to the spare.
    pub(super) lost: Option<NewLost>,
    /// What is written to it on the occasion.
    pub(super) part: Option<Part>,
    /// What the breaker has said to it.
    pub(super) admission: Option<Admission>,
    /// The slots that would not take it.
    pub(super) refused: Slots,
}

/// Most slots that are tried for a block besides the first. A spare that refuses so many has failed as a
/// whole, and says nothing about them.
const MOST_SLOTS: usize = 7;

/// A few slots.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Slots {
    slots: [u32; MOST_SLOTS],
    count: usize,
}

impl Slots {
    pub(super) fn has_room(&self) -> bool {
        self.count < MOST_SLOTS
    }

    /// Adds one, where there is room.
    pub(super) fn push(&mut self, slot: u32) {
        if let Some(free) = self.slots.get_mut(self.count) {
            *free = slot;
            self.count = self.count.saturating_add(1);
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.slots.iter().take(self.count).copied()
    }
}

impl Move {
    /// A block that nothing has happened to so far.
    pub(super) fn new(block: u64, slot: u32, node: Option<Node>) -> Self {
        Self {
            block,
            slot,
            fate: Fate::PutOff,
            node,
            lost: None,
            part: None,
            admission: None,
            refused: Slots::default(),
        }
    }

    /// What the metadata says of the slot when it has arrived, with lost sectors noted in units of
    /// so many.
    pub(super) fn entry(&self, toward: Toward, unit: u32) -> Entry {
        if toward == Toward::Main {
            return Entry::Free;
        }
        Entry::Block {
            block: self.block,
            turn: Turn::FIRST,
            lost: self.lost_units(unit),
        }
    }

    /// What is lost of it, in units of so many sectors.
    pub(super) fn lost_units(&self, unit: u32) -> LostUnits {
        match &self.lost {
            Some(new) => LostUnits::of(new.sectors.lost(), unit),
            None => LostUnits::NONE,
        }
    }

    /// The slot that it leaves since that has failed, if it was in one.
    pub(super) fn leaves(&self) -> Option<u32> {
        self.part.and_then(|part| part.slot)
    }

    /// Whether it was copied to its first slot.
    pub(super) fn is_newly_copied(&self) -> bool {
        self.fate == Fate::Copied && self.leaves().is_none()
    }
}

/// The first blocks that stayed where they were, if any.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Left {
    pub(super) failed: Option<u64>,
    pub(super) put_off: Option<u64>,
}

impl Left {
    /// Remembers a block that stayed.
    pub(super) fn note(&mut self, block: u64, fate: Fate) {
        match fate {
            Fate::Failed | Fate::Unsaved => self.failed.get_or_insert(block),
            Fate::PutOff => self.put_off.get_or_insert(block),
            Fate::Copied => return,
        };
    }

    /// Where the range goes on, and whether it does.
    pub(super) fn end_pass(self, copied: Result, progress: &mut Progress) -> Result {
        if let Some(block) = self.failed.or(self.put_off) {
            progress.next = block;
        }
        match self.failed {
            Some(_) => Err(copied.err().unwrap_or(EIO)),
            None => copied,
        }
    }
}
