// SPDX-License-Identifier: GPL-2.0

//! Contents that main had of a block on the spare, and that go to its slot now.

use core::iter::once;

use kernel::prelude::*;
use remap_core::{
    metadata::{
        entry::UnitStates,
        store::{
            Change,
            Version, //
        }, //
    },
    table::{
        geometry::SectorRange,
        lost::{
            LostBlock,
            SectorSet, //
        }, //
    }, //
};

use super::{
    guard::{
        error_of,
        MoverGuard, //
    },
    pass::Pass, //
};
use crate::{
    linux::{
        block_device::BlockDevice,
        dm_io::IoBuffer, //
    },
    remap::{
        state::{
            devices::{
                Pieces,
                Place, //
            },
            lost::LostBlocks,
            moves::{
                Fate,
                Move,
                Toward, //
            },
            reader::Reader,
            statistics::Count, //
        },
        table::Table, //
    }, //
};

impl Table {
    /// Waits until writes have ended that were sent to main before their blocks moved: what main has of unread sectors
    /// changes no more.
    ///
    /// Sleeps. Errors as for [`Table::begin_pass`].
    pub(in crate::remap) fn drain_main(&self) -> Result {
        self.begin_pass()?.drain()
    }

    /// Writes the sectors `read` of `block`, which main has returned, to the slot of the block as far as they are still
    /// unread, and makes it durable that they have contents. The buffer of `reader` has them from sector `first` on, and
    /// `reader.known` is the state of the block from before they were read. If the slot is bad, the block moves to
    /// another one. Returns whether it has stayed.
    ///
    /// Sleeps; bios that touch the block wait. Errors as for [`Table::begin_pass`]; `EIO` the metadata cannot be written, or
    /// the path to the spare has failed, `ENOLINK` the spare does not answer, `ENOSPC` no slot is left.
    #[inline(never)]
    pub(in crate::remap) fn store(
        &self,
        block: u64,
        read: &SectorSet,
        (reader, first): (&mut Reader, u32),
    ) -> Result<bool> {
        let Reader {
            buffer,
            pieces,
            known,
            next: after,
            ..
        } = reader;
        let mut pass = self.begin_pass()?;
        let mut is_good = true;
        pass.hold_stay(block, known.stay, |pass, slot| {
            pass.drain()?;
            self.lost.lock().copy_to(block, after);
            let end = first.saturating_add(buffer.sectors() as u32);
            let mut from = first;
            while let Some((run, len)) = after.run_to_store(read, from, end) {
                let to = pass.slot_range(slot, run, u64::from(len))?;
                let at = run.saturating_sub(first) as usize;
                is_good = pass.write_stored(to, (&mut *buffer, at), pieces)?;
                if !is_good {
                    return Ok(());
                }
                after.written(run, len);
                from = run.saturating_add(len);
            }
            pass.record_states(slot, after, |lost| lost.set(block, after))
        })?;
        if !is_good {
            pass.leave_slot(block)?;
        }
        Ok(is_good)
    }

    /// Records that main was asked for all unread sectors of `block`, and has refused those that are still unread.
    ///
    /// Sleeps. Errors as for [`Table::store`].
    #[inline(never)]
    pub(in crate::remap) fn record_tried(&self, block: u64, reader: &mut Reader) -> Result {
        let mut pass = self.begin_pass()?;
        let slot = self.remaps.slot_of(block);
        let lost = self.lost.lock();
        // Main was not asked for what is filled.
        let tried = lost.stay_of(block) == (Some(reader.known.stay), true);
        lost.copy_to(block, &mut reader.next);
        drop(lost);
        let Some(slot) = slot.filter(|_| tried) else {
            return Ok(());
        };
        reader.next.set_untried(false);
        pass.record_states(slot, &reader.next, |lost| lost.set_tried(block))
    }
}

impl Pass<'_> {
    /// Holds a block on the spare while `with` runs with its slot, if the block has not left the slot since `stay`.
    fn hold_stay(
        &mut self,
        block: u64,
        stay: u64,
        with: impl FnOnce(&mut Self, u32) -> Result,
    ) -> Result {
        let table = self.table;
        let mut remaps = table.remaps.lock();
        {
            let lost = table.lost.lock();
            if lost.stay_of(block).0 != Some(stay) || lost.is_unsaved(block) {
                return Ok(());
            }
        }
        let Ok(slot) = remaps.begin_unremap(self.index(), block) else {
            return Ok(());
        };
        drop(remaps);
        let ended = with(self, slot);
        let mut remaps = table.remaps.lock();
        let look = table.lost.lock().has(block);
        remaps.cancel_unremap(self.index(), block, look);
        drop(remaps);
        table.release_held();
        ended
    }

    /// Moves a block to another slot, since its slot is bad. `EIO` the devices refused, `ENOSPC`, `ENOMEM`.
    #[inline(never)]
    fn leave_slot(&mut self, block: u64) -> Result {
        let table = self.table;
        if !table.relocates() {
            return Err(EPERM);
        }
        let mut remaps = table.remaps.lock();
        let begun = remaps.begin_replace(self.index(), block);
        let (old, new) = begun.map_err(error_of)?;
        drop(remaps);
        let mut moved = Move::new(block, new, None);
        moved.leaves = Some(old);
        let mut moves = [moved];
        self.carry_all(&[], &mut moves);
        let _ = self.record(&mut moves, Toward::Spare);
        let mut remaps = table.remaps.lock();
        let mut ended = Ok(());
        for moved in moves {
            match moved.fate {
                Fate::Copied => {
                    self.log_move(block, moved.slot, "relocated to");
                    table.health.raise_event();
                }
                _ => ended = Err(EIO),
            }
            self.settle_move(&mut remaps, moved);
        }
        table.remaps.publish(&remaps);
        drop(remaps);
        table.release_held();
        self.record_bad();
        ended
    }
}

impl MoverGuard<'_> {
    /// Writes `range` of the spare from the buffer's sector `at` on. Returns whether the medium takes it.
    ///
    /// Sleeps. `ENOLINK` the spare does not answer, `EIO` the path to it has failed.
    fn write_stored(
        &mut self,
        range: SectorRange,
        (buffer, at): (&mut IoBuffer, usize),
        pieces: &mut Pieces,
    ) -> Result<bool> {
        let spare = &self.table.devices.spare;
        if self.mover.io.write(spare, range, buffer, at).is_ok() {
            return Ok(true);
        }
        self.table.statistics.count(Count::SpareError);
        let step = pieces.sectors(Place::Spare) as usize;
        let mut offset = 0;
        while (offset as u64) < range.len() {
            let sector = range.start().saturating_add(offset as u64);
            let from = at.saturating_add(offset);
            let write = |spare: &BlockDevice, piece: &mut KVec<u8>| {
                buffer.get(from, piece);
                spare.write(sector, piece)
            };
            if !self
                .table
                .try_piece(Place::Spare, pieces, &|| Ok(()), write)?
            {
                return Ok(false);
            }
            offset = offset.saturating_add(step);
        }
        Ok(true)
    }

    /// Makes the state of the sectors of a block durable, and then lets memory know it. `EIO`.
    ///
    /// Only sectors that have contents now are in another state than before. If the metadata is uncertain they stay
    /// unread: main still has the same.
    #[inline(never)]
    fn record_states(
        &mut self,
        slot: u32,
        after: &LostBlock,
        remember: impl FnOnce(&mut LostBlocks),
    ) -> Result {
        let table = self.table;
        if let Some(metadata) = &mut self.mover.metadata {
            let states = UnitStates::of(after, metadata.lost_unit());
            let change = once((slot, Change::States(states)));
            let committed = metadata.commit(change, Version::Old);
            self.publish_metadata_state();
            committed.map_err(|_| {
                table.statistics.count(Count::SpareError);
                EIO
            })?;
        }
        remember(&mut table.lost.lock());
        Ok(())
    }
}
