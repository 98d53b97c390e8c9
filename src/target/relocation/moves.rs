// SPDX-License-Identifier: GPL-2.0

//! The blocks of a pass, and what becomes of them.

use kernel::prelude::*;
use remap_core::metadata::entry::{
    Entry,
    LostUnits, //
};

use super::Progress;
use crate::target::{
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

/// A block on its way to the spare.
pub(super) struct Outward {
    pub(super) block: u64,
    pub(super) slot: u32,
    pub(super) node: Option<Node>,
    pub(super) lost: Option<NewLost>,
    pub(super) fate: Fate,
}

/// A block on its way back.
pub(super) struct Homeward {
    pub(super) block: u64,
    pub(super) slot: u32,
    pub(super) fate: Fate,
}

/// A block on its way.
pub(super) trait Move {
    fn block(&self) -> u64;
    fn slot(&self) -> u32;
    fn fate(&self) -> Fate;
    fn set_fate(&mut self, fate: Fate);
    /// What the metadata says of the slot when it has arrived, with lost sectors noted in units of
    /// so many.
    fn entry(&self, unit: u32) -> Entry;
}

impl Move for Outward {
    fn block(&self) -> u64 {
        self.block
    }

    fn slot(&self) -> u32 {
        self.slot
    }

    fn fate(&self) -> Fate {
        self.fate
    }

    fn set_fate(&mut self, fate: Fate) {
        self.fate = fate;
    }

    fn entry(&self, unit: u32) -> Entry {
        Entry::Block {
            block: self.block,
            lost: match &self.lost {
                Some(new) => LostUnits::of(&new.sectors, unit),
                None => LostUnits::NONE,
            },
        }
    }
}

impl Move for Homeward {
    fn block(&self) -> u64 {
        self.block
    }

    fn slot(&self) -> u32 {
        self.slot
    }

    fn fate(&self) -> Fate {
        self.fate
    }

    fn set_fate(&mut self, fate: Fate) {
        self.fate = fate;
    }

    fn entry(&self, _unit: u32) -> Entry {
        Entry::Free
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
