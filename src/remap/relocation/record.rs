// SPDX-License-Identifier: GPL-2.0

//! Step 4: making it durable where blocks are, and which of their sectors have contents.

use core::iter::once;

use kernel::prelude::*;
use remap_core::{
    metadata::{
        entry::{
            Entry,
            UnitStates, //
        },
        layout::page_by_page,
        store::{
            Change,
            CommitError,
            Version, //
        }, //
    },
    table::{
        geometry::SectorRange,
        lost::LostBlock, //
    }, //
};

use super::guard::MoverGuard;
use crate::{
    linux::log::device_log,
    remap::{
        state::{
            devices::Place,
            lost::LostPart,
            metadata::{
                Memory,
                Metadata, //
            },
            mover::Mover,
            moves::{
                Fate,
                Move,
                Toward, //
            },
            statistics::Count, //
        },
        table::Table, //
    }, //
};

/// Returns what becomes of blocks that were copied, as their metadata was written or not.
fn fate_of(committed: Result<(), CommitError>) -> Fate {
    match committed {
        Ok(()) => Fate::Copied,
        Err(CommitError::Unchanged(_)) => Fate::Failed,
        Err(CommitError::Uncertain(_)) => Fate::Unsaved,
    }
}

impl Table {
    /// Makes metadata durable that could not be written before, and puts every copy of it right.
    ///
    /// Sleeps. `EINVAL` volatile, `EROFS` read-only, `EAGAIN` suspended, `ENODEV` gone, `EIO` it
    /// still cannot be written, `ENOLINK` the spare does not answer, `ENOMEM`.
    pub(in crate::remap) fn save(&self) -> Result {
        // Before the mover is locked: it may have to be waited for.
        let mut memory = Memory::new()?;
        let mut guard = self.lock_mover();
        if self.policy.read_only {
            return Err(EROFS);
        }
        if guard.mover.metadata.is_none() {
            return Err(EINVAL);
        }
        guard.mover.state.admits()?;
        let metadata = guard.mover.metadata.as_mut();
        let saved = metadata.map_or(Ok(()), |metadata| metadata.save(&mut memory));
        if saved.is_ok() {
            self.lost.lock().set_saved();
        }
        guard.publish_metadata_state();
        drop(guard);
        saved.map_err(|error| self.explain(error, &[Place::Spare]))
    }

    /// Records the length of the target where the metadata has another one. To the slot of a last block that
    /// the metadata cuts short, a longer target copies the rest first. The table is not in use so far.
    ///
    /// Sleeps. `EIO` where that cannot be written, `ENOMEM`, `ENOLINK` main does not answer.
    pub(in crate::remap) fn take_length(&self) -> Result {
        let places = &self.places;
        let mut guard = self.lock_mover();
        let metadata = guard.mover.metadata.as_ref();
        let Some(before) = metadata
            .filter(|_| !self.policy.read_only)
            .map(Metadata::length)
        else {
            return Ok(());
        };
        if before == places.sectors {
            return Ok(());
        }
        let cut = places.block.cut_block(before);
        let longer = cut.filter(|_| before < places.sectors);
        let slot = longer.and_then(|block| Some((block, self.remaps.slot_of(block)?)));
        if let Some((block, slot)) = slot {
            guard.take_rest(block, slot, places.block.offset_of(before))?;
        }
        match &mut guard.mover.metadata {
            Some(metadata) => metadata.set_length(places.sectors),
            None => Ok(()),
        }
    }
}

impl MoverGuard<'_> {
    /// Copies what follows on sector `offset` of `block` from main to its slot. If main cannot read it, it is unread.
    fn take_rest(&mut self, block: u64, slot: u32, offset: u32) -> Result {
        let table = self.table;
        let whole = self.main_range(block, 1)?;
        let len = whole.len().saturating_sub(u64::from(offset));
        let from = whole.start().saturating_add(u64::from(offset));
        let from = SectorRange::new(from, len).ok_or(EINVAL)?;
        let to = self.slot_range(slot, offset, len)?;
        if self.read_together(from, 0) {
            let Mover { io, buffer, .. } = &mut **self.mover;
            return io.write(&table.devices.spare, to, buffer, 0);
        }
        self.check_main_answers()?;
        let mut lost = self.mover.reserve.lost()?;
        lost.sectors.mark_unread(offset, len as u32);
        lost.sectors.set_untried(true);
        table.lost.lock().inherit(block, (0, offset), &mut lost);
        self.check_recordable(block, &lost.sectors)?;
        if let Some(metadata) = &mut self.mover.metadata {
            let states = UnitStates::of(&lost.sectors, metadata.lost_unit());
            let change = once((slot, Change::States(states)));
            let committed = metadata.commit(change, Version::Old);
            committed.map_err(|_| EIO)?;
        }
        let before = table.lost.lock().replace(block, Some(lost));
        drop(before);
        let mut remaps = table.remaps.lock();
        remaps.cancel_unremap(self.index(), block, true);
        Ok(())
    }

    /// Checks that the metadata can record the state of the sectors of `block`. `EIO` where it cannot: the block must not
    /// move. Neither what main may still have is given up, nor is something older believed.
    pub(super) fn check_recordable(&self, block: u64, state: &LostBlock) -> Result {
        let metadata = self.mover.metadata.as_ref();
        if metadata.is_none_or(|metadata| metadata.can_record(state)) {
            return Ok(());
        }
        device_log!(
            pr_err,
            self.table.number,
            at Error,
            "sector {} has unread and lost sectors in its block, which metadata that was of version 1 cannot record",
            self.table.places.shown_sector(block)
        );
        Err(EIO)
    }

    /// Writes metadata again that could not be written. `EIO` where it still cannot.
    pub(in crate::remap) fn revive_metadata(&mut self) -> Result {
        let metadata = self.mover.metadata.as_mut();
        if metadata.map_or(Ok(false), Metadata::revive)? {
            self.table.lost.lock().set_saved();
        }
        Ok(())
    }

    /// Makes it durable where blocks are that were copied. Each page is written once. Their fates say what
    /// became of them. `EIO`.
    pub(super) fn record(&mut self, moves: &mut [Move], toward: Toward) -> Result {
        let statistics = &self.table.statistics;
        let Some(metadata) = &mut self.mover.metadata else {
            return Ok(());
        };
        // Where it cannot be written now: the block is on the spare.
        let counts = match toward {
            Toward::Spare => Version::New,
            Toward::Main => Version::Old,
        };
        let unit = metadata.lost_unit();
        let layout = metadata.layout();
        let page_of = |moved: &Move| {
            let page = layout.entry_of(moved.slot).0;
            moved.is_newly_copied().then_some(page)
        };
        let mut ended = Ok(());
        page_by_page(moves, page_of, |moves, here| {
            let together = moves.iter().filter(|moved| here(moved));
            let changes = together.map(|moved| (moved.slot, moved.entry(toward, unit)));
            let fate = fate_of(metadata.commit(changes, counts));
            if fate != Fate::Copied {
                statistics.count(Count::SpareError);
                ended = Err(EIO);
                for moved in moves.iter_mut().filter(|moved| here(moved)) {
                    moved.fate = fate;
                }
            }
        });
        for moved in moves.iter_mut().filter(|moved| moved.fate == Fate::Copied) {
            let Some(old) = moved.leaves else { continue };
            let states = moved.states(unit);
            let slots = (old, moved.slot);
            moved.fate = fate_of(metadata.replace(moved.block, slots, &states, counts));
            if moved.fate != Fate::Copied {
                statistics.count(Count::SpareError);
                ended = Err(EIO);
            }
        }
        ended
    }

    /// Makes it durable that parts of blocks have contents. Each page is written once.
    ///
    /// `part_of` tells the part of an item and its slot, `ended` is told what came of it.
    pub(in crate::remap) fn record_parts<T>(
        &mut self,
        items: &mut [T],
        part_of: impl Fn(&T) -> Option<(u32, LostPart)>,
        mut ended: impl FnMut(&mut T, &Result),
    ) {
        let layout = self.mover.metadata.as_ref().map(Metadata::layout);
        let page_of = |item: &T| {
            let (slot, _) = part_of(item)?;
            // Without metadata there is nothing to write, at once.
            Some(layout.map_or(0, |layout| layout.entry_of(slot).0))
        };
        page_by_page(items, page_of, |items, here| {
            let together = items.iter().filter(|item| here(item));
            let recorded = self.record_page(together.filter_map(&part_of));
            for item in items.iter_mut().filter(|item| here(item)) {
                ended(item, &recorded);
            }
        });
    }

    /// Makes it durable that these parts of blocks, with their slots, have contents. All of them are in
    /// one page. `EIO`.
    fn record_page(&mut self, parts: impl Iterator<Item = (u32, LostPart)> + Clone) -> Result {
        self.revive_metadata()?;
        let table = self.table;
        if let Some(metadata) = &mut self.mover.metadata {
            let unit = metadata.lost_unit();
            let changes = parts.clone().map(|(slot, part)| {
                // What several of them write of a block, the last one says as well as the first.
                let mut still = table.lost.lock().of(part.block);
                parts
                    .clone()
                    .filter(|(_, other)| other.block == part.block)
                    .for_each(|(_, other)| still.written(other.first, other.len));
                (slot, Change::States(UnitStates::of(&still, unit)))
            });
            let committed = metadata.commit(changes, Version::Old);
            self.publish_metadata_state();
            committed.map_err(|_| EIO)?;
        }
        let mut lost = table.lost.lock();
        parts.for_each(|(_, part)| lost.written(part.block, part.first, part.len));
        Ok(())
    }

    /// Records the slots that have failed, as far as the metadata can be written: what it does not hear
    /// of fails again when a later table tries it.
    pub(super) fn record_bad(&mut self) {
        while let Some(slot) = self.mover.bad.pop() {
            if let Some(metadata) = &mut self.mover.metadata {
                let bad = once((slot, Entry::Bad));
                if metadata.commit(bad, Version::New).is_err() {
                    return;
                }
            }
            device_log!(
                pr_warn,
                self.table.number,
                at State,
                "spare sector {} has failed, and is not used any more",
                self.table.places.slot_sector(slot)
            );
        }
    }
}
