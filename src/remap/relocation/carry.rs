// SPDX-License-Identifier: GPL-2.0

//! Steps 2 and 3 for blocks that a failed write moves: the write goes to the slot, next to a copy of the rest.

use kernel::{
    prelude::*,
    time::{
        Delta,
        Instant,
        Monotonic, //
    }, //
};

use super::guard::{
    MoverGuard,
    PATIENCE, //
};
use crate::remap::state::{
    devices::Place,
    lost::NewLost,
    mover::Mover,
    moves::{
        Fate,
        Move,
        WritePart, //
    },
    writes::FailedWrite, //
};

/// Time after which a pass goes on to no other block. A disk tries for seconds to read a bad sector.
const CARRYING: Delta = Delta::from_millis(500);

/// Most logical blocks that are read one by one at once, without a try to read them together.
const FEW_PIECES: u32 = 8;

impl MoverGuard<'_> {
    /// Steps 2 and 3. Where the devices are slow, only some of the blocks are carried over, so that those
    /// who wait for the others do not wait for all of them.
    ///
    /// Bios that are still on their way to an old place have to be waited for only if contents are read from a slot.
    /// What such a write changes has not been acknowledged, and so may have come before what replaces it. The rest of a
    /// block that comes from main is unread: main has it, whatever is still written there.
    pub(super) fn carry_all(&mut self, writes: &[FailedWrite], moves: &mut [Move]) {
        let reads = |moved: &Move| moved.leaves.is_some() && !self.is_written_whole(moved);
        let drained = if moves.iter().any(reads) {
            self.drain()
        } else {
            Ok(())
        };
        let started = Instant::<Monotonic>::now();
        for (number, moved) in moves.iter_mut().enumerate() {
            if drained.is_ok() && number > 0 && started.elapsed() > CARRYING {
                // Put off.
                continue;
            }
            let carried = drained.and_then(|()| self.carry(writes, moved));
            moved.fate = match carried {
                Ok(()) => Fate::Copied,
                Err(_) => Fate::Failed,
            };
        }
        // Where it cannot be, the moves say so.
        let _ = self.make_durable(moves);
    }

    /// Returns whether a part writes all of its block.
    fn is_written_whole(&self, moved: &Move) -> bool {
        let Ok(whole) = self.main_range(moved.block, 1) else {
            return false;
        };
        moved
            .part
            .is_some_and(|part| u64::from(part.len) == whole.len())
    }

    /// Step 3: the part is written, if there is one. What it does not write of its block is copied from a slot that has
    /// failed, or is unread.
    fn carry(&mut self, writes: &[FailedWrite], moved: &mut Move) -> Result {
        let len = self.main_range(moved.block, 1)?.len() as u32;
        let (write, written) = match moved.part {
            Some(part) => {
                let write = writes.get(part.write).ok_or(EINVAL)?;
                let end = part.first.saturating_add(part.len);
                (Some((write, part)), part.first..end)
            }
            None => (None, 0..0),
        };
        let rest = [
            (0, written.start),
            (written.end, len.saturating_sub(written.end)),
        ];
        if rest.iter().any(|(_, len)| *len > 0) {
            let mut lost = self.mover.reserve.lost()?;
            if moved.leaves.is_none() {
                lost.sectors.set_untried(true);
            }
            let started = Instant::<Monotonic>::now();
            for range in rest {
                self.read_rest(moved, range, &mut lost, || {
                    if started.elapsed() > PATIENCE {
                        Err(ETIMEDOUT)
                    } else {
                        Ok(())
                    }
                })?;
            }
            self.check_recordable(moved.block, &lost.sectors)?;
            moved.lost = Some(lost).filter(|new| !new.sectors.is_whole());
        }
        loop {
            match self.write_slot(write, moved, rest) {
                Ok(()) => return Ok(()),
                Err(error) => self.take_next_slot(moved, error)?,
            }
        }
    }

    /// Reads `len` sectors of a block from `first` on into the buffer, from the slot that the block leaves. If it leaves
    /// main, they are unread.
    fn read_rest(
        &mut self,
        moved: &Move,
        (first, len): (u32, u32),
        lost: &mut NewLost,
        go_on: impl Fn() -> Result,
    ) -> Result {
        if len == 0 {
            return Ok(());
        }
        let table = self.table;
        let Some(slot) = moved.leaves else {
            lost.sectors.mark_unread(first, len);
            return Ok(());
        };
        let spare = &table.devices.spare;
        let range = self.slot_range(slot, first, u64::from(len))?;
        let at = first as usize;
        // In few pieces at once: a disk that takes seconds over a bad sector does so for each read of it.
        let Mover {
            io, buffer, pieces, ..
        } = &mut **self.mover;
        let few = len <= FEW_PIECES.saturating_mul(pieces.sectors(Place::Spare));
        if few || io.read(spare, range, buffer, at).is_err() {
            self.read_slot(range, (at, first), lost, go_on)?;
        }
        // What was lost before has nothing to read.
        table.lost.lock().inherit(moved.block, (first, len), lost);
        Ok(())
    }

    /// Writes a block to the slot that it has now: a part of a write, and the rest from the buffer.
    fn write_slot(
        &mut self,
        write: Option<(&FailedWrite, WritePart)>,
        moved: &Move,
        rest: [(u32, u32); 2],
    ) -> Result {
        if let Some((write, part)) = write {
            let slot = self.table.places.slot_sector(moved.slot);
            let to = slot.saturating_add(u64::from(part.first));
            let (pool, spare) = (&self.mover.pool, &self.table.devices.spare);
            let status = write.bio.write_part(pool, part.at, part.len, spare, to);
            status.to_result()?;
        }
        for (first, len) in rest.into_iter().filter(|(_, len)| *len > 0) {
            let lost = moved.lost.as_ref();
            if lost.is_some_and(|new| new.sectors.is_empty(first, len)) {
                // All of it is unread or lost: nothing reads it from the slot before it is written.
                continue;
            }
            let range = self.slot_range(moved.slot, first, u64::from(len))?;
            self.write_spare(range, first as usize)?;
        }
        Ok(())
    }
}
