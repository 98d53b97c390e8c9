// SPDX-License-Identifier: GPL-2.0

//! Copying what moves.

use kernel::{
    error::code::{
        EILSEQ,
        ENODATA, //
    },
    prelude::*, //
};
use remap_core::geometry::SectorRange;

use crate::remap::{
    live::LiveTable,
    state::{
        lost::NewLost,
        mover::Mover,
        moves::{
            Contents,
            Fate,
            Move, //
        },
        statistics::Count, //
    }, //
};

/// Where something is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Main,
    Spare,
}

/// Whether a device says that its medium cannot, or says nothing but that it cannot.
pub(in crate::remap) fn blames_medium(error: Error) -> bool {
    error == ENODATA || error == EILSEQ || error == EIO
}

impl LiveTable {
    /// WritePart of main that belongs to `count` blocks of the target from `first` on.
    pub(in crate::remap) fn main_range(&self, first: u64, count: u64) -> Result<SectorRange> {
        let start = self.block.first_sector(first);
        let len = self
            .block
            .first_sector(count)
            .min(self.sectors.saturating_sub(start));
        SectorRange::new(self.main_start.saturating_add(start), len).ok_or(EINVAL)
    }

    /// Makes what was copied durable, where no metadata will. What was acknowledged after a flush of
    /// main has to stay so.
    pub(super) fn make_durable(&self, mover: &Mover, moves: &mut [Move]) -> Result {
        if mover.metadata.is_some() {
            return Ok(());
        }
        self.spare.flush().inspect_err(|_| {
            self.statistics.count(Count::SpareError);
            for moved in moves.iter_mut() {
                moved.fate = Fate::Failed;
            }
        })
    }

    /// Step 3 outward. A damaged block is the last one that is tried: what comes behind it should
    /// not wait while the device struggles.
    pub(super) fn copy_out(
        &self,
        mover: &mut Mover,
        moves: &mut [Move],
        contents: Contents,
    ) -> Result {
        let copied = match self.read_main(mover, moves, contents) {
            Ok(read) => match moves.get_mut(..read) {
                Some(read) => self.write_slots(mover, read),
                None => Err(EINVAL),
            },
            Err(error) => Err(error),
        };
        let any = moves.iter().any(|moved| moved.fate == Fate::Copied);
        if copied == Err(ENOSPC) && any {
            // What has no slot left may get one of those that wait behind it, in the next pass.
            return self.make_durable(mover, moves);
        }
        if copied.is_err() {
            if let Some(first) = moves.iter_mut().find(|moved| moved.fate != Fate::Copied) {
                first.fate = Fate::Failed;
            }
        }
        copied.and(self.make_durable(mover, moves))
    }

    /// Gives up what the blocks hold, in the place of step 3.
    pub(super) fn lose(&self, mover: &mut Mover, moves: &mut [Move]) -> Result {
        for moved in moves.iter_mut() {
            let mut lost = mover
                .reserve
                .lost()
                .inspect_err(|_| moved.fate = Fate::Failed)?;
            let len = self.main_range(moved.block, 1)?.len();
            lost.sectors.mark(0, len as u32);
            moved.lost = Some(lost);
            moved.fate = Fate::Copied;
        }
        Ok(())
    }

    /// Reads blocks from main into the buffer: all of them at once, or where that fails one by
    /// one up to a damaged one. Tells how many it has read, at least one.
    fn read_main(
        &self,
        mover: &mut Mover,
        moves: &mut [Move],
        contents: Contents,
    ) -> Result<usize> {
        let Some(first) = moves.first().map(|moved| moved.block) else {
            return Ok(0);
        };
        let whole = self.main_range(first, moves.len() as u64)?;
        // Of a last block that is cut short, the slot has the rest, too.
        let end = moves.len() << self.block.shift();
        let read = usize::try_from(whole.len())?;
        mover.buffer.zero(read, end.saturating_sub(read));
        if mover
            .io
            .read(&self.main, whole, &mut mover.buffer, 0)
            .is_ok()
        {
            return Ok(moves.len());
        }
        for (n, moved) in moves.iter_mut().enumerate() {
            let at = n << self.block.shift();
            let block = self.main_range(moved.block, 1)?;
            if mover
                .io
                .read(&self.main, block, &mut mover.buffer, at)
                .is_ok()
            {
                continue;
            }
            if contents == Contents::Whole {
                return if n > 0 { Ok(n) } else { Err(ENODATA) };
            }
            let mut lost = mover.reserve.lost()?;
            let salvaged = self.salvage(mover, Place::Main, block, (at, 0), &mut lost, || {
                self.may_go_on()
            });
            return match salvaged {
                Ok(()) => {
                    moved.lost = Some(lost).filter(|new| new.sectors.lost().count() > 0);
                    Ok(n.saturating_add(1))
                }
                // The next pass begins with this block, and meets its error first.
                Err(_) if n > 0 => Ok(n),
                Err(error) => Err(error),
            };
        }
        Ok(moves.len())
    }

    /// Reads what can be read of `range`, one logical block at a time, into the buffer from its sector
    /// `at` on. The rest is lost, which is for the medium to say: where the way to it is broken, or
    /// `go_on` wants an end, the error is returned. The range is sector `first` of its block.
    pub(super) fn salvage(
        &self,
        mover: &mut Mover,
        place: Place,
        range: SectorRange,
        (at, first): (usize, u32),
        lost: &mut NewLost,
        go_on: impl Fn() -> Result,
    ) -> Result {
        let buffer = &mut mover.buffer;
        let (device, piece, count) = match place {
            Place::Main => (&self.main, &mut mover.main_piece, Count::ReadError),
            Place::Spare => (&self.spare, &mut mover.spare_piece, Count::SpareError),
        };
        let step = (piece.len() >> 9) as u32;
        let mut offset = 0;
        while u64::from(offset) < range.len() {
            go_on()?;
            let to = at.saturating_add(offset as usize);
            let sector = range.start().saturating_add(u64::from(offset));
            match device.read(sector, piece) {
                Ok(()) => buffer.put(to, piece),
                // A device that is gone says EIO as well.
                Err(_) if device.is_gone() => return Err(ENODEV),
                Err(error) if blames_medium(error) => {
                    self.statistics.count(count);
                    buffer.zero(to, step as usize);
                    lost.sectors.mark(first.saturating_add(offset), step);
                }
                Err(error) => return Err(error),
            }
            offset = offset.saturating_add(step);
        }
        Ok(())
    }

    /// Whether all of `range` of main can be read. Sleeps. Where the way to it is broken, the error is
    /// returned.
    pub(in crate::remap) fn reads(&self, mover: &mut Mover, range: SectorRange) -> Result<bool> {
        let Mover { io, buffer, .. } = mover;
        if io.read(&self.main, range, buffer, 0).is_ok() {
            return Ok(true);
        }
        let mut lost = mover.reserve.lost()?;
        self.salvage(mover, Place::Main, range, (0, 0), &mut lost, || Ok(()))?;
        Ok(lost.sectors.lost().count() == 0)
    }

    /// Writes blocks from the buffer to their slots, neighbouring slots together.
    fn write_slots(&self, mover: &mut Mover, moves: &mut [Move]) -> Result {
        let mut at = 0;
        for slots in moves.chunk_by_mut(|a, b| a.slot.wrapping_add(1) == b.slot) {
            let sectors = slots.len() << self.block.shift();
            let Some(first) = slots.first() else { continue };
            let to =
                SectorRange::new(self.slot_sector(first.slot), sectors as u64).ok_or(EINVAL)?;
            let together = mover.io.write(&self.spare, to, &mut mover.buffer, at);
            for moved in slots.iter_mut() {
                if together.is_err() {
                    self.write_block(mover, moved, at)?;
                }
                moved.fate = Fate::Copied;
                at = at.saturating_add(self.block.sectors() as usize);
            }
        }
        Ok(())
    }

    /// Writes a block from the buffer's sector `at` on to its slot, or the next one that takes it.
    fn write_block(&self, mover: &mut Mover, moved: &mut Move, at: usize) -> Result {
        loop {
            let slot = self.slot_sector(moved.slot);
            let to = SectorRange::new(slot, u64::from(self.block.sectors())).ok_or(EINVAL)?;
            match self.write_spare(mover, to, at) {
                Ok(()) => return Ok(()),
                Err(error) => self.take_next_slot(moved, error)?,
            }
        }
    }

    /// Writes `range` of the spare from the buffer's sector `at` on. Where that fails the error says
    /// why, as precisely as the device does.
    pub(super) fn write_spare(&self, mover: &mut Mover, range: SectorRange, at: usize) -> Result {
        let Mover {
            io,
            buffer,
            spare_piece: piece,
            ..
        } = mover;
        if io.write(&self.spare, range, buffer, at).is_ok() {
            return Ok(());
        }
        let step = piece.len() >> 9;
        let mut offset = 0;
        while (offset as u64) < range.len() {
            buffer.get(at.saturating_add(offset), piece);
            self.spare
                .write(range.start().saturating_add(offset as u64), piece)?;
            offset = offset.saturating_add(step);
        }
        Ok(())
    }

    /// The slot of a block has failed on writing with `error`: takes the next one for it. The same error
    /// where it is not the slot's, or enough were tried; `ENOSPC`.
    pub(super) fn take_next_slot(&self, moved: &mut Move, error: Error) -> Result {
        self.statistics.count(Count::SpareError);
        if !blames_medium(error) || self.spare.is_gone() || !moved.refused.has_room() {
            return Err(error);
        }
        let next = self.remaps.lock().table.another_slot().ok_or(ENOSPC)?;
        moved
            .refused
            .push(core::mem::replace(&mut moved.slot, next));
        Ok(())
    }

    /// Step 3 homeward, up to the first error.
    pub(super) fn copy_home(&self, mover: &mut Mover, moves: &mut [Move]) -> Result {
        let follows = |a: &Move, b: &Move| {
            a.block.wrapping_add(1) == b.block && a.slot.wrapping_add(1) == b.slot
        };
        let mut copied = Ok(());
        for run in moves.chunk_by_mut(follows) {
            copied = self.copy_run_home(mover, run);
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
        if let Err(unflushed) = self.main.flush() {
            self.statistics.count(Count::WriteError);
            for moved in moves.iter_mut() {
                moved.fate = Fate::Failed;
            }
            copied = Err(unflushed);
        }
        copied
    }

    /// Copies blocks whose slots are neighbours as they are.
    fn copy_run_home(&self, mover: &mut Mover, run: &[Move]) -> Result {
        let Mover { io, buffer, .. } = mover;
        let Some(first) = run.first() else {
            return Ok(());
        };
        let home = self.main_range(first.block, run.len() as u64)?;
        let from = SectorRange::new(self.slot_sector(first.slot), home.len()).ok_or(EINVAL)?;
        io.read(&self.spare, from, buffer, 0)
            .inspect_err(|_| self.statistics.count(Count::SpareError))?;
        io.write(&self.main, home, buffer, 0)
            .inspect_err(|_| self.statistics.count(Count::WriteError))
    }
}
