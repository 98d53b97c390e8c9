// SPDX-License-Identifier: GPL-2.0

//! Step 3: copying what moves.

use kernel::prelude::*;
use remap_core::table::geometry::SectorRange;

use super::guard::MoverGuard;
use crate::{
    linux::compat::ENODATA,
    remap::{
        state::{
            devices::Place,
            lost::NewLost,
            mover::Mover,
            moves::{
                Contents,
                Fate,
                Move, //
            },
            statistics::Count, //
        },
        witness::Meaning, //
    }, //
};

impl MoverGuard<'_> {
    /// Returns the part of main that belongs to `count` blocks from `first` on. `EINVAL`.
    pub(super) fn main_range(&self, first: u64, count: u64) -> Result<SectorRange> {
        self.table.places.main_range(first, count).ok_or(EINVAL)
    }

    /// Returns `len` sectors of the spare from sector `first` of `slot` on. `EINVAL`.
    pub(super) fn slot_range(&self, slot: u32, first: u32, len: u64) -> Result<SectorRange> {
        self.table.places.slot_range(slot, first, len).ok_or(EINVAL)
    }

    /// Flushes the spare, where no write of metadata will and something was copied. The fates of `moves` say so where that
    /// fails. `EIO`.
    ///
    /// What was acknowledged after a flush of main has to stay durable.
    pub(super) fn make_durable(&self, moves: &mut [Move]) -> Result {
        let any = moves.iter().any(|moved| moved.fate == Fate::Copied);
        if self.mover.metadata.is_some() || !any {
            return Ok(());
        }
        let table = self.table;
        table.devices.spare.flush().map_err(|_| {
            table.statistics.count(Count::SpareError);
            for moved in moves.iter_mut() {
                moved.fate = Fate::Failed;
            }
            EIO
        })
    }

    /// Copies blocks to their slots. A damaged block is the last one that is tried: what comes behind it
    /// should not wait while the device struggles. All of its sectors are unread, and are salvaged later.
    pub(super) fn copy_out(&mut self, moves: &mut [Move], contents: Contents) -> Result {
        let copied = match self.read_main(moves, contents) {
            Ok(read) => match moves.get_mut(..read) {
                Some(read) => self.write_read(read),
                None => Err(EINVAL),
            },
            Err(error) => Err(error),
        };
        let any = moves.iter().any(|moved| moved.fate == Fate::Copied);
        if copied == Err(ENOSPC) && any {
            // What has no slot left may get one of those that wait behind it, in the next pass.
            return self.make_durable(moves);
        }
        if copied.is_err() {
            if let Some(first) = moves.iter_mut().find(|moved| moved.fate != Fate::Copied) {
                first.fate = Fate::Failed;
            }
        }
        copied.and(self.make_durable(moves))
    }

    /// Leaves what the blocks hold on main, instead of copying it: nobody reads it there until somebody asks for that.
    /// `ENOMEM`.
    pub(super) fn leave(&mut self, moves: &mut [Move]) -> Result {
        for moved in moves.iter_mut() {
            let left = self.leave_unread(moved, false);
            left.inspect_err(|_| moved.fate = Fate::Failed)?;
            moved.fate = Fate::Copied;
        }
        Ok(())
    }

    /// Makes all sectors of a block unread. `ENOMEM`.
    fn leave_unread(&mut self, moved: &mut Move, untried: bool) -> Result {
        let len = self.main_range(moved.block, 1)?.len();
        let mut lost = self.mover.reserve.lost()?;
        lost.sectors.mark_unread(0, len as u32);
        lost.sectors.set_untried(untried);
        moved.lost = Some(lost);
        Ok(())
    }

    /// Writes blocks from the buffer to their slots, but for a last one that is unread.
    fn write_read(&mut self, moves: &mut [Move]) -> Result {
        match moves.split_last_mut() {
            Some((last, others)) if last.lost.is_some() => {
                self.write_slots(others)?;
                last.fate = Fate::Copied;
                Ok(())
            }
            _ => self.write_slots(moves),
        }
    }

    /// Reads blocks from main into the buffer: all of them at once, or where that fails one by
    /// one up to a damaged one, which is unread. Returns how many of them can move, at least one.
    ///
    /// `ENODATA` main cannot read a block that is to move as a whole, `ENODEV` main is gone, `ENOLINK` it does not answer.
    fn read_main(&mut self, moves: &mut [Move], contents: Contents) -> Result<usize> {
        let Some(first) = moves.first().map(|moved| moved.block) else {
            return Ok(0);
        };
        let table = self.table;
        let shift = table.places.block.shift();
        let whole = self.main_range(first, moves.len() as u64)?;
        // Of a last block that is cut short, the slot has the rest, too.
        let end = moves.len() << shift;
        let read = usize::try_from(whole.len())?;
        self.mover.buffer.zero(read, end.saturating_sub(read));
        if self.read_together(whole, 0) {
            return Ok(moves.len());
        }
        for (n, moved) in moves.iter_mut().enumerate() {
            let at = n << shift;
            let block = self.main_range(moved.block, 1)?;
            if self.read_together(block, at) {
                continue;
            }
            if contents == Contents::Whole {
                return if n > 0 { Ok(n) } else { Err(ENODATA) };
            }
            let left = self
                .check_main_answers()
                .and_then(|()| self.leave_unread(moved, true));
            return match left {
                Ok(()) => Ok(n.saturating_add(1)),
                // The next pass begins with this block, and meets its error first.
                Err(_) if n > 0 => Ok(n),
                Err(error) => Err(error),
            };
        }
        Ok(moves.len())
    }

    /// Checks that main answers, of which a read has failed. `ENODEV` it is gone, `ENOLINK` it does not answer: an outage
    /// begins.
    pub(super) fn check_main_answers(&mut self) -> Result {
        let table = self.table;
        if table.devices.main.is_gone() {
            return Err(ENODEV);
        }
        let go_on = || table.check_interruption();
        table.check_answers(Place::Main, &mut self.mover.pieces, &go_on)
    }

    /// Reads `range` of main into the buffer from its sector `at` on. Returns whether all of it could be
    /// read.
    pub(super) fn read_together(&mut self, range: SectorRange, at: usize) -> bool {
        let Mover { io, buffer, .. } = &mut **self.mover;
        io.read(&self.table.devices.main, range, buffer, at).is_ok()
    }

    /// Reads what can be read of `range` of the spare, one logical block at a time, into the buffer from its sector
    /// `at` on, and marks the rest as lost. The range begins at sector `first` of its block.
    ///
    /// Only a device that is alive can say that a sector is bad: otherwise, or where `go_on` wants an end, the error
    /// is returned.
    pub(super) fn read_slot(
        &mut self,
        range: SectorRange,
        (at, first): (usize, u32),
        lost: &mut NewLost,
        go_on: impl Fn() -> Result,
    ) -> Result {
        let Mover { buffer, pieces, .. } = &mut **self.mover;
        let table = self.table;
        let step = pieces.sectors(Place::Spare);
        table.read_pieces((Place::Spare, range), pieces, &go_on, |offset, piece| {
            let to = at.saturating_add(offset as usize);
            match piece {
                Some(piece) => buffer.put(to, piece),
                None => {
                    table.statistics.count(Count::SpareError);
                    buffer.zero(to, step as usize);
                    lost.sectors.mark_lost(first.saturating_add(offset), step);
                }
            }
            true
        })
    }

    /// Writes blocks from the buffer to their slots, neighbouring slots together.
    fn write_slots(&mut self, moves: &mut [Move]) -> Result {
        let table = self.table;
        let block = table.places.block;
        let mut at = 0;
        for slots in moves.chunk_by_mut(|a, b| a.slot.wrapping_add(1) == b.slot) {
            let sectors = slots.len() << block.shift();
            let Some(first) = slots.first() else { continue };
            let to = self.slot_range(first.slot, 0, sectors as u64)?;
            let Mover { io, buffer, .. } = &mut **self.mover;
            let together = io.write(&table.devices.spare, to, buffer, at);
            for moved in slots.iter_mut() {
                if together.is_err() {
                    self.write_block(moved, at)?;
                }
                moved.fate = Fate::Copied;
                at = at.saturating_add(block.sectors() as usize);
            }
        }
        Ok(())
    }

    /// Writes a block from the buffer's sector `at` on to its slot, or the next one that takes it.
    fn write_block(&mut self, moved: &mut Move, at: usize) -> Result {
        let sectors = u64::from(self.table.places.block.sectors());
        loop {
            let to = self.slot_range(moved.slot, 0, sectors)?;
            match self.write_spare(to, at) {
                Ok(()) => return Ok(()),
                Err(error) => self.take_next_slot(moved, error)?,
            }
        }
    }

    /// Writes `range` of the spare from the buffer's sector `at` on. Where that fails the error says
    /// why, as precisely as the device does.
    pub(super) fn write_spare(&mut self, range: SectorRange, at: usize) -> Result {
        let Mover {
            io, buffer, pieces, ..
        } = &mut **self.mover;
        let spare = &self.table.devices.spare;
        if io.write(spare, range, buffer, at).is_ok() {
            return Ok(());
        }
        let piece = pieces.at(Place::Spare);
        let step = piece.len() >> 9;
        let mut offset = 0;
        while (offset as u64) < range.len() {
            buffer.get(at.saturating_add(offset), piece);
            spare.write(range.start().saturating_add(offset as u64), piece)?;
            offset = offset.saturating_add(step);
        }
        Ok(())
    }

    /// Takes the next slot for a block whose slot has failed on writing with `error`. Leaves it its slot where that may
    /// not be bad, and is to be tried again.
    ///
    /// `EIO` it is not the slot's fault, or enough slots were tried; `ENOSPC`, `ENOLINK` the spare does not answer.
    pub(super) fn take_next_slot(&mut self, moved: &mut Move, error: Error) -> Result {
        let table = self.table;
        table.statistics.count(Count::SpareError);
        let enough = !moved.refused.has_room();
        let meaning = Meaning::of(error);
        if meaning == Meaning::Path || table.devices.spare.is_gone() || enough {
            table.liveness(Place::Spare).suspect();
            return Err(EIO);
        }
        if meaning == Meaning::Suspicion {
            table.check_answers(Place::Spare, &mut self.mover.pieces, &|| Ok(()))?;
            moved.failures = moved.failures.saturating_add(1);
            if moved.failures < table.tries() {
                return Ok(());
            }
        }
        moved.failures = 0;
        let next = table.remaps.lock().another_slot().ok_or(ENOSPC)?;
        moved
            .refused
            .push(core::mem::replace(&mut moved.slot, next));
        Ok(())
    }

    /// Copies blocks home, up to the first error, and flushes main. `EIO`.
    pub(super) fn copy_home(&mut self, moves: &mut [Move]) -> Result {
        let table = self.table;
        let is_whole = |moved: &Move| !table.lost.lock().has(moved.block);
        let follows = |a: &Move, b: &Move| {
            let neighbours = a.block.wrapping_add(1) == b.block && a.slot.wrapping_add(1) == b.slot;
            neighbours && is_whole(a) && is_whole(b)
        };
        let mut copied = Ok(());
        for run in moves.chunk_by_mut(follows) {
            copied = match &*run {
                [moved] if !is_whole(moved) => self.copy_parts_home(moved),
                run => self.copy_run_home(run),
            };
            let fate = if copied.is_ok() {
                Fate::Copied
            } else {
                Fate::Failed
            };
            for moved in run.iter_mut() {
                moved.fate = fate;
            }
            if copied.is_err() {
                break;
            }
        }
        if table.devices.main.flush().is_err() {
            table.statistics.count(Count::WriteError);
            for moved in moves.iter_mut() {
                moved.fate = Fate::Failed;
            }
            copied = Err(EIO);
        }
        copied
    }

    /// Copies of a block what has contents in its slot. Main has the unread sectors as they always were.
    fn copy_parts_home(&mut self, moved: &Move) -> Result {
        let whole = self.main_range(moved.block, 1)?;
        let lost = self.table.lost.lock();
        if lost.may_be_stale(moved.block) {
            // Readers may have seen what main has.
            return Err(EIO);
        }
        let known = lost.of(moved.block);
        drop(lost);
        let end = whole.len() as u32;
        let mut from = 0;
        while let Some((first, len)) = known.contents_run(from, end) {
            let start = whole.start().saturating_add(u64::from(first));
            let home = SectorRange::new(start, u64::from(len)).ok_or(EINVAL)?;
            let slot = self.slot_range(moved.slot, first, u64::from(len))?;
            self.copy_range_home(slot, home)?;
            from = first.saturating_add(len);
        }
        Ok(())
    }

    /// Copies blocks whose slots are neighbours as they are.
    fn copy_run_home(&mut self, run: &[Move]) -> Result {
        let Some(first) = run.first() else {
            return Ok(());
        };
        let home = self.main_range(first.block, run.len() as u64)?;
        let from = self.slot_range(first.slot, 0, home.len())?;
        self.copy_range_home(from, home)
    }

    fn copy_range_home(&mut self, from: SectorRange, home: SectorRange) -> Result {
        let Mover { io, buffer, .. } = &mut **self.mover;
        let (devices, statistics) = (&self.table.devices, &self.table.statistics);
        io.read(&devices.spare, from, buffer, 0)
            .inspect_err(|_| statistics.count(Count::SpareError))?;
        io.write(&devices.main, home, buffer, 0)
            .inspect_err(|_| statistics.count(Count::WriteError))
    }
}
