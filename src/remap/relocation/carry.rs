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
use remap_core::table::geometry::SectorRange;

use super::{
    copy::Place,
    guard::{
        MoverGuard,
        PATIENCE, //
    }, //
};
use crate::remap::state::{
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
const FEW_PIECES: usize = 8;

impl MoverGuard<'_> {
    /// Steps 2 and 3. Where the devices are slow, only some of the blocks are carried over, so that those
    /// who wait for the others do not wait for all of them.
    ///
    /// Where every block is written as a whole, no bio has to be waited for: a write that is still on its
    /// way to the old place of such a block has not been acknowledged, and so may have come before this
    /// one, which replaces all of it; what is read there is older in any case.
    pub(super) fn carry_all(&mut self, writes: &[FailedWrite], moves: &mut [Move]) {
        let drained = if moves.iter().all(|moved| self.is_written_whole(moved)) {
            Ok(())
        } else {
            self.drain()
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

    /// Step 3: what the part does not write of its block is copied, then it is written itself.
    fn carry(&mut self, writes: &[FailedWrite], moved: &mut Move) -> Result {
        let part = moved.part.ok_or(EINVAL)?;
        let write = writes.get(part.write).ok_or(EINVAL)?;
        let whole = self.main_range(part.block, 1)?;
        let end = part.first.saturating_add(part.len);
        let rest = [
            (0, part.first),
            (end, (whole.len() as u32).saturating_sub(end)),
        ];
        if rest.iter().any(|(_, len)| *len > 0) {
            let mut lost = self.mover.reserve.lost()?;
            let started = Instant::<Monotonic>::now();
            for (first, len) in rest {
                self.read_rest(&part, (first, len), &mut lost, || {
                    if started.elapsed() > PATIENCE {
                        Err(ETIMEDOUT)
                    } else {
                        Ok(())
                    }
                })?;
            }
            moved.lost = Some(lost).filter(|new| new.sectors.lost().count() > 0);
        }
        loop {
            match self.write_slot(write, moved, &part, rest) {
                Ok(()) => return Ok(()),
                Err(error) => self.take_next_slot(moved, error)?,
            }
        }
    }

    /// Reads `len` sectors of a part's block from `first` on into the buffer, from where the block is.
    fn read_rest(
        &mut self,
        part: &WritePart,
        (first, len): (u32, u32),
        lost: &mut NewLost,
        go_on: impl Fn() -> Result,
    ) -> Result {
        if len == 0 {
            return Ok(());
        }
        let table = self.table;
        let (place, start) = match part.slot {
            None => (Place::Main, self.main_range(part.block, 1)?.start()),
            Some(slot) => (Place::Spare, table.places.slot_sector(slot)),
        };
        let device = table.devices.of(place == Place::Spare);
        let start = start.saturating_add(u64::from(first));
        let range = SectorRange::new(start, u64::from(len)).ok_or(EINVAL)?;
        let at = first as usize;
        // In few pieces at once: a disk that takes seconds over a bad sector does so for each read of it.
        let Mover {
            io,
            buffer,
            main_piece,
            ..
        } = &mut **self.mover;
        let few = len as usize <= FEW_PIECES.saturating_mul(main_piece.len() >> 9);
        if few || io.read(device, range, buffer, at).is_err() {
            self.salvage(place, range, (at, first), lost, go_on)?;
        }
        // What was lost before has nothing to read.
        table.lost.lock().inherit(part.block, (first, len), lost);
        Ok(())
    }

    /// Writes a block to the slot that it has now.
    fn write_slot(
        &mut self,
        write: &FailedWrite,
        moved: &Move,
        part: &WritePart,
        rest: [(u32, u32); 2],
    ) -> Result {
        let slot = self.table.places.slot_sector(moved.slot);
        let to = slot.saturating_add(u64::from(part.first));
        let spare = &self.table.devices.spare;
        let status = write
            .bio
            .write_part(&self.mover.pool, part.at, part.len, spare, to);
        status.to_result()?;
        for (first, len) in rest.into_iter().filter(|(_, len)| *len > 0) {
            let lost = moved.lost.as_ref();
            if lost.is_some_and(|new| new.sectors.is_empty(first, len)) {
                // It is all lost: nothing reads it before it is written.
                continue;
            }
            let range = self.slot_range(moved.slot, first, u64::from(len))?;
            self.write_spare(range, first as usize)?;
        }
        Ok(())
    }
}
