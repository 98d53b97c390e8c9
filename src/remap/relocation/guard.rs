// SPDX-License-Identifier: GPL-2.0

//! The lock that every change of where blocks are is made under.

use kernel::{
    alloc::flags::GFP_NOWAIT,
    prelude::*,
    sync::MutexGuard,
    time::Delta, //
};
use remap_core::table::{
    health::MetadataState,
    remap_table::MoveRefusal, //
};

use crate::{
    linux::{
        log::device_log,
        noio::NoIo, //
    },
    remap::{
        state::{
            mover::Mover,
            moves::{
                Fate,
                Move,
                MAX_BATCH, //
            },
            remaps::{
                new_index,
                ReaderIndex,
                Remaps, //
            }, //
        },
        table::Table, //
    }, //
};

/// Time that a pass waits for bios in flight before it gives up. A device that takes longer has
/// its own error handling at work, which tries for half a minute as a rule.
pub(super) const PATIENCE: Delta = Delta::from_secs(60);

/// Most blocks that are remembered as pending. A device with more of them is not saved by knowing
/// them.
const MAX_PENDING: u32 = 1 << 16;

/// The mover of a table, locked, while allocations of the thread do not wait for I/O: the bios that wait for
/// the mover may be what writes memory out.
///
/// It gives no right to move blocks: a [`Pass`](super::pass::Pass) or a [`Rescue`](super::rescue::Rescue) does.
pub(in crate::remap) struct MoverGuard<'a> {
    pub(super) table: &'a Table,
    _noio: NoIo,
    pub(in crate::remap) mover: MutexGuard<'a, KBox<Mover>>,
}

/// Returns the error for a sender whose block cannot begin to move.
pub(super) fn error_of(refusal: MoveRefusal) -> Error {
    match refusal {
        MoveRefusal::NoSpare => ENOSPC,
        _ => ENOMEM,
    }
}

impl Table {
    /// Locks the mover. Sleeps until the pass under way has ended.
    pub(in crate::remap) fn lock_mover(&self) -> MoverGuard<'_> {
        let mover = self.mover.lock();
        MoverGuard {
            table: self,
            _noio: NoIo::enter(),
            mover,
        }
    }

    /// Replaces the readers' index where it has no room for `more` entries, or is worn. Waits for memory while it holds no
    /// lock: what writes memory out may need the mover. Sleeps. `ENOMEM`.
    pub(in crate::remap) fn grow_index(&self, more: usize) -> Result {
        let needed = |guard: &MoverGuard<'_>, remaps: &Remaps| {
            let index = guard.index();
            let needs = !remaps.has_room(index, more) || remaps.is_worn(index);
            needs.then(|| remaps.indexed().saturating_add(more))
        };
        let entries = {
            let guard = self.lock_mover();
            let remaps = self.remaps.lock();
            needed(&guard, &remaps)
        };
        let Some(entries) = entries else {
            return Ok(());
        };
        let new = new_index(entries, self.places.blocks(), GFP_KERNEL)?;
        let mut guard = self.lock_mover();
        let mut remaps = self.remaps.lock();
        if needed(&guard, &remaps).is_none() {
            return Ok(());
        }
        guard.replace_index(&mut remaps, new)
    }
}

impl MoverGuard<'_> {
    /// Returns the readers' index.
    pub(super) fn index(&self) -> &ReaderIndex {
        self.table.gate.current(&self.mover.drain)
    }

    /// Waits until the bios have ended that were mapped before what the caller has changed. `ETIMEDOUT`.
    pub(super) fn drain(&mut self) -> Result {
        self.table.gate.drain(&mut self.mover.drain, PATIENCE)
    }

    /// Ends a drain that gave up before, which has to be done before anything is held. `ETIMEDOUT`.
    pub(super) fn settle_gate(&mut self) -> Result {
        self.table.gate.settle(&mut self.mover.drain, PATIENCE)
    }

    /// Replaces the readers' index where it has no room for `more` entries, or is worn, without waiting for memory. If
    /// there is none, the keeper replaces it when there is. `ENOMEM`.
    pub(super) fn make_room(&mut self, remaps: &mut Remaps, more: usize) -> Result {
        let index = self.index();
        let full = !remaps.has_room(index, more);
        if !full && !remaps.is_worn(index) {
            return Ok(());
        }
        let entries = remaps.indexed().saturating_add(more);
        let blocks = self.table.places.blocks();
        let replaced =
            new_index(entries, blocks, GFP_NOWAIT).and_then(|new| self.replace_index(remaps, new));
        if replaced.is_err() {
            self.table.keeper.wake();
        }
        // A worn index is only slower.
        replaced.or_else(|error| if full { Err(error) } else { Ok(()) })
    }

    /// Replaces the readers' index by `new`, with the same contents. Does not wait for memory. `ENOMEM`.
    fn replace_index(&mut self, remaps: &mut Remaps, new: KBox<ReaderIndex>) -> Result {
        let gate = &self.table.gate;
        gate.make_room(&mut self.mover.drain)?;
        if !remaps.move_index(self.index(), &new) {
            return Err(ENOMEM);
        }
        gate.replace(&mut self.mover.drain, new);
        Ok(())
    }

    /// Gets ready for the next blocks that move, as far as there is memory, and shows the state of the metadata.
    pub(super) fn end_moving(&mut self) {
        self.prepare_metadata();
        self.mover.reserve.refill(GFP_NOWAIT);
        let table = self.table;
        let mut remaps = table.remaps.lock();
        let _ = self.make_room(&mut remaps, MAX_BATCH);
        if remaps.entries() == 0 {
            table.spare_cache.vacate();
        }
        drop(remaps);
        self.publish_metadata_state();
    }

    /// Reads the page of the slot that is given out next, so that the write that takes it does not wait for that. Sleeps.
    pub(in crate::remap) fn prepare_metadata(&mut self) {
        let slot = self.table.remaps.lock().next_slot();
        if let Some((metadata, slot)) = self.mover.metadata.as_mut().zip(slot) {
            metadata.prepare(slot);
        }
    }

    /// Shows the state of the metadata to those who have not locked the mover.
    pub(in crate::remap) fn publish_metadata_state(&self) {
        let metadata = self.mover.metadata.as_ref();
        let state = metadata.map_or(MetadataState::None, |metadata| metadata.state());
        self.table.health.set_metadata(state);
    }

    /// Marks `block` as pending, if it is on main. Sleeps, without I/O.
    pub(in crate::remap) fn mark_pending(&mut self, block: u64) {
        let Ok(node) = self.mover.reserve.node() else {
            return;
        };
        let table = self.table;
        let mut remaps = table.remaps.lock();
        let before = remaps.pending_blocks();
        if before >= MAX_PENDING || self.make_room(&mut remaps, 1).is_err() {
            return;
        }
        let marked = remaps.set_pending(self.index(), block, node);
        table.remaps.publish(&remaps);
        let new = marked.is_ok() && remaps.pending_blocks() != before;
        drop(remaps);
        if new {
            device_log!(
                pr_warn,
                table.number,
                at State,
                "sector {} is pending: main_dev cannot read or write it",
                table.places.shown_sector(block)
            );
        }
    }

    /// Forgets that `block` is pending. Sleeps, without I/O.
    pub(in crate::remap) fn clear_pending(&mut self, block: u64) {
        let mut remaps = self.table.remaps.lock();
        remaps.clear_pending(self.index(), block);
        self.table.remaps.publish(&remaps);
    }

    /// Trips the breaker where main is gone.
    pub(in crate::remap) fn check_main_gone(&mut self) {
        if self.table.devices.main.is_gone() {
            self.mover.breaker.trip();
            self.report_main_failure();
        }
    }

    /// Reports that main fails wholesale, since the breaker has tripped.
    pub(super) fn report_main_failure(&self) {
        if self.table.policy.record_main_failure() {
            self.table.keeper.wake();
            device_log!(
                pr_err,
                self.table.number,
                "main_dev fails wholesale: nothing is relocated before it takes writes again"
            );
        }
    }

    /// Step 5 of a block that was on its way to a slot: the readers' index says where it is.
    pub(super) fn settle_move(&mut self, remaps: &mut Remaps, moved: Move) {
        let table = self.table;
        let Move {
            block,
            slot,
            leaves,
            node,
            lost,
            fate,
            refused,
            ..
        } = moved;
        let in_slot = fate == Fate::Copied || fate == Fate::Unsaved;
        if in_slot {
            refused
                .iter()
                .for_each(|slot| self.mover.record_bad_slot(slot));
        }
        let index = self.index();
        if !in_slot {
            if leaves.is_none() {
                remaps.cancel_remap(index, block, slot);
            } else {
                let look = table.lost.lock().has(block);
                remaps.cancel_replace(index, block, slot, look);
            }
            // None has taken it, so it was not these slots alone.
            refused.iter().for_each(|slot| remaps.give_back(slot));
            return;
        }
        let look = lost.is_some() || fate == Fate::Unsaved;
        if look {
            // There may be something to salvage.
            table.keeper.wake();
        }
        let before = table.lost.lock().replace(block, lost);
        drop(before);
        if fate == Fate::Unsaved {
            table.lost.lock().set_unsaved(block);
        }
        match node {
            Some(node) => remaps.finish_remap(index, block, slot, look, node),
            // It had an entry before.
            None => remaps.finish_replace(index, block, slot, look),
        }
    }

    /// Logs that a block has moved: `what` is "moved to" or the like.
    pub(super) fn log_move(&self, block: u64, slot: u32, what: &str) {
        let places = &self.table.places;
        device_log!(
            pr_info,
            self.table.number,
            at Relocation,
            "sector {} {} spare sector {}",
            places.shown_sector(block),
            what,
            places.slot_sector(slot)
        );
    }
}
