// SPDX-License-Identifier: GPL-2.0

//! Making it durable where blocks are.

use core::iter::once;

use kernel::prelude::*;
use remap_core::{
    geometry::SectorRange,
    metadata::{
        entry::{
            Entry,
            LostUnits, //
        },
        store::{
            Change,
            CommitError,
            Version, //
        }, //
    }, //
};

use super::{
    copy::Place,
    moves::{
        Fate,
        Move,
        Toward, //
    },
    Mover, //
};
use crate::{
    linux::{
        log,
        noio::NoIo, //
    },
    remap::{
        live::LiveTable,
        metadata::Metadata,
        statistics::Count, //
    }, //
};

/// What becomes of blocks that were copied, as their metadata was written or not.
fn fate_of(committed: Result<(), CommitError>) -> Fate {
    match committed {
        Ok(()) => Fate::Copied,
        Err(CommitError::Unchanged(_)) => Fate::Failed,
        Err(CommitError::Uncertain(_)) => Fate::Unsaved,
    }
}

impl LiveTable {
    /// Tries again where metadata could not be written. `EIO` where it still cannot.
    pub(in crate::remap) fn revive_metadata(&self, mover: &mut Mover) -> Result {
        let revived = mover
            .metadata
            .as_mut()
            .map_or(Ok(false), Metadata::revive)?;
        if revived {
            self.lost.lock().set_saved();
        }
        Ok(())
    }

    /// Makes metadata durable that could not be written before, and puts every copy of it right.
    ///
    /// Sleeps. `EINVAL` volatile, `EROFS` read-only, `EAGAIN` suspended, `ENODEV` gone, `EIO` it
    /// still cannot be written, `ENOMEM`.
    pub(in crate::remap) fn save(&self) -> Result {
        let mut mover = self.mover.lock();
        if self.read_only {
            return Err(EROFS);
        }
        if mover.metadata.is_none() {
            return Err(EINVAL);
        }
        mover.state.admits()?;
        let _noio = NoIo::enter();
        let saved = mover.metadata.as_mut().map_or(Ok(()), Metadata::save);
        if saved.is_ok() {
            self.lost.lock().set_saved();
        }
        self.show_metadata_state(&mover);
        saved
    }

    /// Takes over what metadata of a shorter target says: of a last block that was cut short and is
    /// on the spare, the rest follows now. The table is not in use so far.
    ///
    /// Sleeps. `EIO` where that cannot be written, `ENOMEM`; others where main says nothing of its medium.
    pub(in crate::remap) fn take_length(&self) -> Result {
        let mut mover = self.mover.lock();
        let metadata = mover.metadata.as_ref().filter(|_| !self.read_only);
        let Some(before) = metadata.map(Metadata::length) else {
            return Ok(());
        };
        if before >= self.sectors {
            return Ok(());
        }
        let (block, offset) = (self.block.block_of(before), self.block.offset_of(before));
        let slot = self.remaps.lock().table.get(block);
        if let Some(slot) = slot.filter(|_| offset != 0) {
            self.take_rest(&mut mover, block, slot, offset)?;
        }
        match &mut mover.metadata {
            Some(metadata) => metadata.set_length(self.sectors),
            None => Ok(()),
        }
    }

    /// Copies what follows on sector `offset` of `block` from main to its slot. What main cannot read is lost.
    fn take_rest(&self, mover: &mut Mover, block: u64, slot: u32, offset: u32) -> Result {
        let whole = self.main_range(block, 1)?;
        let len = whole.len().saturating_sub(u64::from(offset));
        let from = whole.start().saturating_add(u64::from(offset));
        let to = self.slot_sector(slot).saturating_add(u64::from(offset));
        let from = SectorRange::new(from, len).ok_or(EINVAL)?;
        let to = SectorRange::new(to, len).ok_or(EINVAL)?;
        if mover
            .io
            .read(&self.main, from, &mut mover.buffer, 0)
            .is_ok()
        {
            return mover.io.write(&self.spare, to, &mut mover.buffer, 0);
        }
        let mut lost = mover.reserve.lost()?;
        self.salvage(mover, Place::Main, from, (0, offset), &mut lost, || Ok(()))?;
        mover.io.write(&self.spare, to, &mut mover.buffer, 0)?;
        self.lost.lock().inherit(block, (0, offset), &mut lost);
        if let Some(metadata) = &mut mover.metadata {
            let units = LostUnits::of(lost.sectors.lost(), metadata.lost_unit());
            let committed = metadata.commit(once((slot, Change::Lost(units))), Version::Old);
            committed.map_err(|_| EIO)?;
        }
        let before = self.lost.lock().replace(block, Some(lost));
        drop(before);
        let mut remaps = self.remaps.lock();
        let index = self.gate.current(&mover.drain);
        remaps.table.cancel_unremap(index, block, true);
        Ok(())
    }

    /// Step 4, page by page: makes it durable where blocks are that were copied.
    pub(super) fn record(&self, mover: &mut Mover, moves: &mut [Move], toward: Toward) -> Result {
        let Some(metadata) = &mut mover.metadata else {
            return Ok(());
        };
        // Where it cannot be written now: the block is on the spare.
        let counts = match toward {
            Toward::Spare => Version::New,
            Toward::Main => Version::Old,
        };
        let unit = metadata.lost_unit();
        let mut ended = Ok(());
        // Each page is written once.
        let layout = metadata.layout();
        let page_of = |moved: &Move| layout.entry_of(moved.slot).0;
        let mut next = moves.iter().map(page_of).min();
        while let Some(page) = next {
            let here = |moved: &Move| moved.is_newly_copied() && page_of(moved) == page;
            let together = moves.iter().filter(|moved| here(moved));
            let changes = together.map(|moved| (moved.slot, moved.entry(toward, unit)));
            let fate = fate_of(metadata.commit(changes, counts));
            if fate != Fate::Copied {
                self.statistics.count(Count::SpareError);
                ended = Err(EIO);
                for moved in moves.iter_mut().filter(|moved| here(moved)) {
                    moved.fate = fate;
                }
            }
            next = moves
                .iter()
                .map(page_of)
                .filter(|other| *other > page)
                .min();
        }
        for moved in moves.iter_mut().filter(|moved| moved.fate == Fate::Copied) {
            let Some(old) = moved.leaves() else { continue };
            let lost = moved.lost_units(unit);
            moved.fate = fate_of(metadata.replace(moved.block, (old, moved.slot), &lost, counts));
            if moved.fate != Fate::Copied {
                self.statistics.count(Count::SpareError);
                ended = Err(EIO);
            }
        }
        ended
    }

    /// Notes the slots that have failed, as far as the metadata can be written: what it does not hear
    /// of fails again when a later table tries it.
    pub(super) fn record_bad(&self, mover: &mut Mover) {
        while let Some(slot) = mover.bad.pop() {
            if let Some(metadata) = &mut mover.metadata {
                if metadata
                    .commit(once((slot, Entry::Bad)), Version::New)
                    .is_err()
                {
                    return;
                }
            }
            if log::admits(log::Level::State) {
                pr_warn!(
                    "{}: spare sector {} has failed, and is not used any more\n",
                    format_args!("{}", self.number),
                    self.slot_sector(slot)
                );
            }
        }
    }
}
