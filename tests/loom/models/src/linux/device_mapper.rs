// SPDX-License-Identifier: GPL-2.0

//! Bios as far as src/remap/route.rs needs them. A bio is a write that has ended when it was submitted.

use std::{marker::PhantomData, ops::Deref};

use kernel::memory::Plain;

use super::gate::{Direction, Ticket};

pub(crate) struct BlockStatus;

impl BlockStatus {
    pub(crate) const IO_ERROR: Self = Self;
}

/// A device of one block, by what was written to it.
pub(crate) struct Device(pub(crate) Plain<u32>);

pub(crate) struct TargetBio<N> {
    sector: u64,
    ended: bool,
    _note: PhantomData<N>,
}

impl<N> TargetBio<N> {
    pub(crate) fn direction(&self) -> Direction {
        Direction::Write
    }

    pub(crate) fn sector(&self) -> u64 {
        self.sector
    }

    pub(crate) fn sectors(&self) -> u32 {
        1
    }

    pub(crate) fn fills_sectors(&self) -> bool {
        true
    }
}

pub(crate) struct HeldBio<N>(TargetBio<N>);

impl<N> HeldBio<N> {
    pub(crate) fn new(sector: u64) -> Self {
        Self(TargetBio {
            sector,
            ended: false,
            _note: PhantomData,
        })
    }

    pub(crate) fn note(&self) -> Option<N> {
        None
    }

    pub(crate) fn end_with(self, _: BlockStatus) {
        panic!("no write fails");
    }

    pub(crate) fn submit(mut self, to: &Device, _: u64, ticket: Ticket, _: bool, _: Option<N>) {
        to.0.write(1);
        self.0.ended = true;
        ticket.leave();
    }
}

impl<N> Deref for HeldBio<N> {
    type Target = TargetBio<N>;

    fn deref(&self) -> &TargetBio<N> {
        &self.0
    }
}

impl<N> Drop for HeldBio<N> {
    fn drop(&mut self) {
        assert!(self.0.ended, "a bio is forgotten");
    }
}

pub(crate) struct HeldBios<N>(Vec<HeldBio<N>>);

impl<N> HeldBios<N> {
    pub(crate) fn new() -> Self {
        Self(Vec::new())
    }

    pub(crate) fn push(&mut self, bio: HeldBio<N>) {
        self.0.push(bio);
    }

    pub(crate) fn pop(&mut self) -> Option<HeldBio<N>> {
        self.0.pop()
    }

    pub(crate) fn take(&mut self) -> Self {
        Self(std::mem::take(&mut self.0))
    }
}
