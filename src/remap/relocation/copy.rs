// SPDX-License-Identifier: GPL-2.0

//! Step 3: copying what moves.

use kernel::{
    error::code::{
        EILSEQ,
        ENODATA,
        EREMOTEIO, //
    },
    prelude::*, //
};
use remap_core::table::geometry::SectorRange;

use super::guard::MoverGuard;
use crate::remap::state::{
    lost::NewLost,
    mover::Mover,
    moves::{
        Contents,
        Fate,
        Move, //
    },
    statistics::Count, //
};

/// Device that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Main,
    Spare,
}

/// Returns whether a device says that its medium cannot, or says nothing but that it cannot: a read or a write
/// that ended with a status of [`Blame::Medium`](crate::linux::device_mapper::Blame) or `Blame::Unknown`.
fn blames_medium(error: Error) -> bool {
    [ENODATA, EILSEQ, EIO, EREMOTEIO].contains(&error)
}

impl MoverGuard<'_> {
    /// Returns the part of main that belongs to `count` blocks from `first` on. `EINVAL`.
    pub(super) fn main_range(&self, first: u64, count: u64) -> Result<SectorRange> {
        self.table.places.main_range(first, count).ok_or(EINVAL)
    }

    /// Returns `len` sectors of the spare from sector `first` of `slot` on. `EINVAL`.
    pub(super) fn slot_range(&self, slot: u32, first: u32, len: u64) -> Result<SectorRange> {
        self.table.places.slot_range(slot, first, len).ok_or(EINVAL)
    }

    /// Flushes the spare, where no write of metadata will. The fates of `moves` say so where that fails.
    ///
    /// What was acknowledged after a flush of main has to stay durable.
    pub(super) fn make_durable(&self, moves: &mut [Move]) -> Result {
        if self.mover.metadata.is_some() {
            return Ok(());
        }
        let table = self.table;
        table.devices.spare.flush().inspect_err(|_| {
            table.statistics.count(Count::SpareError);
            for moved in moves.iter_mut() {
                moved.fate = Fate::Failed;
            }
        })
    }

    /// Copies blocks to their slots. A damaged block is the last one that is tried: what comes behind it
    /// should not wait while the device struggles.
    pub(super) fn copy_out(&mut self, moves: &mut [Move], contents: Contents) -> Result {
        let copied = match self.read_main(moves, contents) {
            Ok(read) => match moves.get_mut(..read) {
                Some(read) => self.write_slots(read),
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

    /// Gives up what the blocks hold, instead of copying it. `ENOMEM`.
    pub(super) fn lose(&mut self, moves: &mut [Move]) -> Result {
        for moved in moves.iter_mut() {
            let reserve = &mut self.mover.reserve;
            let mut lost = reserve.lost().inspect_err(|_| moved.fate = Fate::Failed)?;
            let len = self.main_range(moved.block, 1)?.len();
            lost.sectors.mark(0, len as u32);
            moved.lost = Some(lost);
            moved.fate = Fate::Copied;
        }
        Ok(())
    }

    /// Reads blocks from main into the buffer: all of them at once, or where that fails one by
    /// one up to a damaged one. Returns how many it has read, at least one.
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
            let mut lost = self.mover.reserve.lost()?;
            let salvaged = self.salvage(Place::Main, block, (at, 0), &mut lost, || {
                table.check_interruption()
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

    /// Reads `range` of main into the buffer from its sector `at` on. Returns whether all of it could be
    /// read.
    pub(super) fn read_together(&mut self, range: SectorRange, at: usize) -> bool {
        let Mover { io, buffer, .. } = &mut **self.mover;
        io.read(&self.table.devices.main, range, buffer, at).is_ok()
    }

    /// Reads what can be read of `range`, one logical block at a time, into the buffer from its sector
    /// `at` on, and marks the rest in `lost`. The range begins at sector `first` of its block.
    ///
    /// Only the medium can say that a sector is lost: where the way to it is broken, or `go_on` wants an
    /// end, the error is returned.
    pub(super) fn salvage(
        &mut self,
        place: Place,
        range: SectorRange,
        (at, first): (usize, u32),
        lost: &mut NewLost,
        go_on: impl Fn() -> Result,
    ) -> Result {
        let Mover {
            buffer,
            main_piece,
            spare_piece,
            ..
        } = &mut **self.mover;
        let devices = &self.table.devices;
        let (device, piece, count) = match place {
            Place::Main => (&devices.main, main_piece, Count::ReadError),
            Place::Spare => (&devices.spare, spare_piece, Count::SpareError),
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
                    self.table.statistics.count(count);
                    buffer.zero(to, step as usize);
                    lost.sectors.mark(first.saturating_add(offset), step);
                }
                Err(error) => return Err(error),
            }
            offset = offset.saturating_add(step);
        }
        Ok(())
    }

    /// Returns whether main reads all of `block`. Also true for remapped blocks, whose copy on main is
    /// unused.
    ///
    /// Sleeps. Where the way to main is broken, the error is returned.
    pub(in crate::remap) fn reads_well(&mut self, block: u64) -> Result<bool> {
        if self.table.remaps.slot_of(block).is_some() {
            return Ok(true);
        }
        let range = self.main_range(block, 1)?;
        if self.read_together(range, 0) {
            return Ok(true);
        }
        let mut lost = self.mover.reserve.lost()?;
        self.salvage(Place::Main, range, (0, 0), &mut lost, || Ok(()))?;
        Ok(lost.sectors.lost().count() == 0)
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
            io,
            buffer,
            spare_piece: piece,
            ..
        } = &mut **self.mover;
        let spare = &self.table.devices.spare;
        if io.write(spare, range, buffer, at).is_ok() {
            return Ok(());
        }
        let step = piece.len() >> 9;
        let mut offset = 0;
        while (offset as u64) < range.len() {
            buffer.get(at.saturating_add(offset), piece);
            spare.write(range.start().saturating_add(offset as u64), piece)?;
            offset = offset.saturating_add(step);
        }
        Ok(())
    }

    /// Takes the next slot for a block whose slot has failed on writing with `error`.
    ///
    /// Returns `error` where it is not the slot's, or enough slots were tried; `ENOSPC`.
    pub(super) fn take_next_slot(&self, moved: &mut Move, error: Error) -> Result {
        let table = self.table;
        table.statistics.count(Count::SpareError);
        let enough = !moved.refused.has_room();
        if !blames_medium(error) || table.devices.spare.is_gone() || enough {
            return Err(error);
        }
        let next = table.remaps.lock().another_slot().ok_or(ENOSPC)?;
        moved
            .refused
            .push(core::mem::replace(&mut moved.slot, next));
        Ok(())
    }

    /// Copies blocks home, up to the first error, and flushes main.
    pub(super) fn copy_home(&mut self, moves: &mut [Move]) -> Result {
        let follows = |a: &Move, b: &Move| {
            a.block.wrapping_add(1) == b.block && a.slot.wrapping_add(1) == b.slot
        };
        let table = self.table;
        let mut copied = Ok(());
        for run in moves.chunk_by_mut(follows) {
            copied = self.copy_run_home(run);
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
        if let Err(unflushed) = table.devices.main.flush() {
            table.statistics.count(Count::WriteError);
            for moved in moves.iter_mut() {
                moved.fate = Fate::Failed;
            }
            copied = Err(unflushed);
        }
        copied
    }

    /// Copies blocks whose slots are neighbours as they are.
    fn copy_run_home(&mut self, run: &[Move]) -> Result {
        let Some(first) = run.first() else {
            return Ok(());
        };
        let home = self.main_range(first.block, run.len() as u64)?;
        let from = self.slot_range(first.slot, 0, home.len())?;
        let Mover { io, buffer, .. } = &mut **self.mover;
        let (devices, statistics) = (&self.table.devices, &self.table.statistics);
        io.read(&devices.spare, from, buffer, 0)
            .inspect_err(|_| statistics.count(Count::SpareError))?;
        io.write(&devices.main, home, buffer, 0)
            .inspect_err(|_| statistics.count(Count::WriteError))
    }
}
