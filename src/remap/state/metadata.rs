// SPDX-License-Identifier: GPL-2.0

//! The metadata of a table: its spare area as dm-io sees it.
//!
//! Format and rules are `remap_core::metadata`'s; how a table begins with what is there is in
//! [`super::loaded_area`].

use kernel::{
    prelude::*,
    sync::aref::ARef, //
};
use remap_core::{
    metadata::{
        entry::UnitStates,
        layout::Layout,
        page::Page,
        store::{
            Change,
            CommitError,
            Findings,
            Scratch,
            Storage,
            Store,
            Version, //
        },
        PAGE_BYTES,
        PAGE_SECTORS, //
    },
    table::{
        geometry::SectorRange,
        health::MetadataState,
        lost::LostBlock, //
    }, //
};

use super::remaps::Numbers;
use crate::linux::{
    block_device::BlockDevice,
    dm_io::{
        IoBuffer,
        IoClient, //
    },
    zeroed::EmptyIsZero, //
};

/// Pages in a request.
const PAGES: usize = 16;

/// Spare area on its device.
pub(in crate::remap) struct Area {
    io: IoClient,
    device: ARef<BlockDevice>,
    pub(in crate::remap) range: SectorRange,
    buffer: IoBuffer,
}

impl Area {
    /// Opens the area that `range` of `device` is. May sleep.
    pub(in crate::remap) fn new(device: &BlockDevice, range: SectorRange) -> Result<Self> {
        Ok(Self {
            io: IoClient::new()?,
            device: device.into(),
            range,
            buffer: IoBuffer::new(PAGES * PAGE_SECTORS as usize)?,
        })
    }

    /// Returns the part of the device that `count` pages from request `number` behind `sector` on have.
    fn part(&self, sector: u64, number: usize, count: usize) -> Result<SectorRange> {
        let pages = number.checked_mul(PAGES).ok_or(EINVAL)? as u64;
        let start = pages
            .checked_mul(PAGE_SECTORS)
            .and_then(|sectors| sectors.checked_add(sector))
            .ok_or(EINVAL)?;
        let sectors = (count as u64).checked_mul(PAGE_SECTORS).ok_or(EINVAL)?;
        SectorRange::new(start, sectors)
            .filter(|part| part.fits(self.range.len()))
            .and_then(|part| part.shifted(self.range.start()))
            .ok_or(EINVAL)
    }
}

impl Storage for Area {
    type Error = Error;

    fn read(&mut self, sector: u64, pages: &mut [Page]) -> Result {
        for (number, pages) in pages.chunks_mut(PAGES).enumerate() {
            let part = self.part(sector, number, pages.len())?;
            self.io.read(&self.device, part, &mut self.buffer, 0)?;
            self.buffer.get(0, Page::bytes_mut(pages));
        }
        Ok(())
    }

    fn write(&mut self, sector: u64, pages: &[Page]) -> Result {
        for (number, pages) in pages.chunks(PAGES).enumerate() {
            let part = self.part(sector, number, pages.len())?;
            self.buffer.put(0, Page::bytes(pages));
            self.io
                .write_durably(&self.device, part, &mut self.buffer, 0)?;
        }
        Ok(())
    }
}

/// Memory for looking at an area.
pub(in crate::remap) struct Memory {
    pub(in crate::remap) head: KVBox<[Page; PAGES]>,
    tail: KVBox<[Page; PAGES]>,
}

impl Memory {
    pub(in crate::remap) fn new() -> Result<Self> {
        Ok(Self {
            head: EmptyIsZero::boxed()?,
            tail: EmptyIsZero::boxed()?,
        })
    }

    pub(in crate::remap) fn scratch(&mut self) -> Scratch<'_> {
        Scratch {
            head: &mut *self.head,
            tail: &mut *self.tail,
        }
    }
}

/// Metadata of a table that is in use.
pub(in crate::remap) struct Metadata {
    pub(in crate::remap) store: Store<Area, Numbers>,
    pub(in crate::remap) pages: KVBox<[Page; 2]>,
    /// The version of an uncertain page that counts.
    pub(in crate::remap) counts: Version,
    /// Something could not be written when it was last tried.
    pub(in crate::remap) failed: bool,
    /// Copies were bad when they were last looked at.
    pub(in crate::remap) found_bad: bool,
}

impl Metadata {
    /// Returns the state of the metadata.
    pub(in crate::remap) fn state(&self) -> MetadataState {
        if self.failed {
            MetadataState::Failed
        } else if self.found_bad || self.store.is_degraded() {
            MetadataState::Degraded
        } else {
            MetadataState::Ok
        }
    }

    /// Returns the sectors of the target that it was last used for.
    pub(in crate::remap) fn length(&self) -> u64 {
        self.store.superblock().length
    }

    /// Returns the sectors of the unit in which unread and lost sectors are recorded.
    pub(in crate::remap) fn lost_unit(&self) -> u32 {
        self.store.superblock().lost_unit
    }

    /// Returns the layout of the entries in pages. What is in one page is committed at once.
    pub(in crate::remap) fn layout(&self) -> Layout {
        *self.store.layout()
    }

    /// Returns whether the state of the sectors of a block can be recorded: in an area that was of version 1, not if some
    /// are unread and others lost.
    #[inline(never)]
    pub(in crate::remap) fn can_record(&self, block: &LostBlock) -> bool {
        let states = UnitStates::of(block, self.lost_unit());
        self.store.can_record(&states)
    }

    /// Makes entries of one page durable, and whatever was written to the device before. Where it
    /// is uncertain whether they are, the version `counts` will be.
    ///
    /// Sleeps; allocates nothing.
    pub(in crate::remap) fn commit(
        &mut self,
        changes: impl IntoIterator<Item = (u32, impl Into<Change>)>,
        counts: Version,
    ) -> Result<(), CommitError> {
        let ended = self.store.commit(changes, &mut self.pages);
        if let Err(error) = ended {
            self.failed = true;
            if matches!(error, CommitError::Uncertain(_)) {
                self.counts = counts;
            }
        }
        ended
    }

    /// Reads what a commit to `slot` needs to have read. Sleeps; allocates nothing.
    pub(in crate::remap) fn prepare(&mut self, slot: u32) {
        self.store.prepare(slot, &mut self.pages);
    }

    /// Makes it durable that `block` has gone from slot `old`, which has failed, to slot `new`, with
    /// these states of its units, and whatever was written to the device before. Where it is uncertain
    /// whether it has, the version `counts` will be. What is left to be written of it comes before
    /// anything else: [`Metadata::revive`].
    ///
    /// Sleeps; allocates nothing.
    pub(in crate::remap) fn replace(
        &mut self,
        block: u64,
        (old, new): (u32, u32),
        states: &UnitStates,
        counts: Version,
    ) -> Result<(), CommitError> {
        let store = &mut self.store;
        let ended = store.replace(block, old, new, states, &mut self.pages);
        if ended.is_err() || !self.store.is_settled() {
            self.failed = true;
            self.counts = counts;
        }
        ended
    }

    /// Writes again what could not be written. Returns whether there was something. Sleeps. `EIO`.
    pub(in crate::remap) fn revive(&mut self) -> Result<bool> {
        if self.failed {
            self.settle()?;
        }
        Ok(core::mem::take(&mut self.failed))
    }

    pub(in crate::remap) fn settle(&mut self) -> Result {
        let settled = self.store.settle(self.counts, &mut self.pages);
        settled.map_err(|_| EIO)?;
        let retired = self.store.retire(&mut self.pages);
        retired.map_err(|_| EIO)
    }

    /// Writes what could not be written, and puts every copy right that can be.
    ///
    /// Sleeps. `EIO` where something still cannot be written or believed.
    pub(in crate::remap) fn save(&mut self, memory: &mut Memory) -> Result {
        self.failed = true;
        self.settle()?;
        let findings: Findings = self.store.check(&mut memory.scratch()).map_err(|_| EIO)?;
        self.found_bad = findings.unmended > 0;
        self.failed = false;
        Ok(())
    }

    /// Records the number of sectors of the target. Sleeps. `EIO`.
    pub(in crate::remap) fn set_length(&mut self, length: u64) -> Result {
        let [page, _] = &mut *self.pages;
        self.store.set_length(length, page).map_err(|_| EIO)
    }
}

const _: () = assert!(PAGE_BYTES as u64 == PAGE_SECTORS * 512);
