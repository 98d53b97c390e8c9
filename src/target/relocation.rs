// SPDX-License-Identifier: GPL-2.0

//! Moving live blocks between main and spare.
//!
//! A *pass* moves some neighbouring blocks together:
//!
//! 1. a slot is reserved for each, and the readers' index says that they are held: new bios that
//!    touch them wait in a list;
//! 2. the gate is drained: bios mapped before have completed;
//! 3. the contents are copied and made durable;
//! 4. the metadata says where the blocks are, and is durable;
//! 5. the index says it, too;
//! 6. the bios that waited go on.
//!
//! Moving back is the same in the other direction; the slots are free after step 5.
//!
//! Whatever fails, a block is in the end where it was or where it should be, and no bio stays
//! behind. Where metadata can no longer be written, and what it says of a block is uncertain, the
//! block is on the spare with the same contents as on main, and is not written to: it is *unsaved*
//! until that can be written, and nothing else moves before ([`record`]).
//!
//! Passes are serialised by [`Mover`]. Between two passes of a long range somebody who wants to
//! suspend the device gets his turn, and the range ends with `EAGAIN`; device-mapper would wait for
//! the message otherwise.
//!
//! A pass runs without allocations that wait for I/O: the bios that it holds may be what writes
//! memory out.

mod moves;
mod record;

use core::ops::Range;

use kernel::{
    error::code::{
        EILSEQ,
        ENODATA, //
    },
    prelude::*,
    sync::atomic::Relaxed,
    time::Delta, //
};
use remap_core::{
    geometry::{
        BlockSize,
        SectorRange,
        MAX_BLOCK_SECTORS, //
    },
    remap_table::Refusal, //
};

use super::{
    live::{
        LiveTable,
        ReaderIndex, //
    },
    lost::NewLost,
    metadata::Metadata,
    remaps::{
        Node,
        Remaps, //
    },
    statistics::Count, //
};
use crate::linux::{
    dm_io::{
        IoBuffer,
        IoClient, //
    },
    gate::Drain,
    log,
    noio::NoIo, //
};
use moves::{
    Fate,
    Left,
    Move,
    Toward, //
};

/// How long a pass waits for bios in flight before it gives up. A device that takes longer has
/// its own error handling at work, which tries for half a minute as a rule.
const PATIENCE: Delta = Delta::from_secs(60);

/// Most blocks in a pass. More would make the bios that wait for one of them wait longer.
pub(super) const MAX_BATCH: usize = 256;

/// Sectors of the buffer: the largest block, or a batch of smaller ones.
const BUFFER_SECTORS: u32 = MAX_BLOCK_SECTORS;

/// What a table is fit for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Never resumed so far.
    Loaded,
    /// In use.
    Active,
    /// Nobody may touch the devices.
    Suspended,
    /// The devices are closed.
    Gone,
}

impl State {
    /// Whether the devices may be used.
    fn admits(self) -> Result {
        match self {
            State::Active => Ok(()),
            State::Loaded | State::Suspended => Err(EAGAIN),
            State::Gone => Err(ENODEV),
        }
    }
}

/// What a relocation needs; there is one for each table, so one pass at a time.
pub(super) struct Mover {
    pub(super) state: State,
    pub(super) drain: Drain<ReaderIndex>,
    io: IoClient,
    buffer: IoBuffer,
    /// Most blocks that the buffer has room for.
    batch: usize,
    /// What a table that is not volatile keeps.
    pub(super) metadata: Option<Metadata>,
}

impl Mover {
    /// The mover of a new table. May sleep.
    pub(super) fn new(
        block: BlockSize,
        drain: Drain<ReaderIndex>,
        metadata: Option<Metadata>,
    ) -> Result<Self> {
        let batch = (BUFFER_SECTORS >> block.shift()) as usize;
        Ok(Self {
            state: State::Loaded,
            drain,
            io: IoClient::new()?,
            buffer: IoBuffer::new(BUFFER_SECTORS as usize)?,
            batch: batch.clamp(1, MAX_BATCH),
            metadata,
        })
    }
}

/// How far a range has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// Blocks that were moved.
    pub(super) moved: u64,
    /// Blocks that were where they should be before.
    pub(super) already: u64,
    /// The block that comes next.
    pub(super) next: u64,
}

impl LiveTable {
    /// Moves every block that `range` touches to the spare. Tells how far it came, and why not
    /// further.
    ///
    /// May sleep. `ENOSPC` no slot left, `EROFS` read-only, `EIO` the devices refused, `EAGAIN`
    /// suspended, `ENODEV` gone, `EINTR` a signal came, `ETIMEDOUT` bios in flight did not end,
    /// `ENOMEM`.
    pub(super) fn remap_range(&self, range: SectorRange) -> (Progress, Result) {
        self.in_passes(range, |mover, blocks, progress| {
            self.remap_pass(mover, blocks, progress)
        })
    }

    /// Moves every remapped block that `range` touches back to main. Tells how far it came, and
    /// why not further.
    ///
    /// Errors as for [`LiveTable::remap_range`]. A block with lost sectors stays (`EIO`): what
    /// main has in their place may be something older.
    pub(super) fn unremap_range(&self, range: SectorRange) -> (Progress, Result) {
        self.in_passes(range, |mover, blocks, progress| {
            self.unremap_pass(mover, blocks, progress)
        })
    }

    fn in_passes(
        &self,
        range: SectorRange,
        mut pass: impl FnMut(&mut Mover, Range<u64>, &mut Progress) -> Result,
    ) -> (Progress, Result) {
        let (first, end) = range.blocks(self.block);
        let mut progress = Progress {
            next: first,
            ..Progress::default()
        };
        while progress.next < end {
            let ended = self.one_pass(&mut progress, end, &mut pass);
            if ended.is_err() {
                return (progress, ended);
            }
        }
        (progress, Ok(()))
    }

    /// Whether nobody wants a range to end here.
    fn may_go_on(&self) -> Result {
        if kernel::current!().signal_pending() {
            Err(EINTR)
        } else if self.impatient.load(Relaxed) != 0 {
            Err(EAGAIN)
        } else {
            Ok(())
        }
    }

    fn one_pass(
        &self,
        progress: &mut Progress,
        end: u64,
        pass: &mut impl FnMut(&mut Mover, Range<u64>, &mut Progress) -> Result,
    ) -> Result {
        if self.read_only {
            return Err(EROFS);
        }
        self.may_go_on()?;
        let mut mover = self.mover.lock();
        mover.state.admits()?;
        let _noio = NoIo::enter();
        self.revive_metadata(&mut mover)?;
        // Before anything is held.
        self.gate.settle(&mut mover.drain, PATIENCE)?;
        let first = progress.next;
        let ended = pass(&mut mover, first..end, progress);
        self.show_metadata_state(&mover);
        ended
    }

    fn remap_pass(&self, mover: &mut Mover, blocks: Range<u64>, progress: &mut Progress) -> Result {
        let end = blocks
            .end
            .min(blocks.start.saturating_add(mover.batch as u64));
        let mut moves = KVec::with_capacity(mover.batch, GFP_KERNEL)?;
        let reserved = self.reserve(mover, blocks.start..end, &mut moves, progress);
        if moves.is_empty() {
            return reserved;
        }
        let copied = self
            .gate
            .drain(&mut mover.drain, PATIENCE)
            .and_then(|()| self.copy_out(mover, &mut moves));
        let recorded = self.record(mover, &mut moves, Toward::Spare);
        let left = self.finish_remap(mover, moves, progress);
        self.release_held();
        left.end_pass(copied.and(recorded), progress)?;
        if left.put_off.is_some() {
            return Ok(());
        }
        reserved
    }

    fn unremap_pass(
        &self,
        mover: &mut Mover,
        blocks: Range<u64>,
        progress: &mut Progress,
    ) -> Result {
        let mut moves = KVec::with_capacity(mover.batch, GFP_KERNEL)?;
        let begun = self.recall(mover, blocks, &mut moves, progress);
        if moves.is_empty() {
            return begun;
        }
        let copied = self
            .gate
            .drain(&mut mover.drain, PATIENCE)
            .and_then(|()| self.copy_home(mover, &mut moves));
        let recorded = self.record(mover, &mut moves, Toward::Main);
        let left = self.finish_unremap(mover, moves, progress);
        self.release_held();
        left.end_pass(copied.and(recorded), progress)?;
        begun
    }

    /// Sends on the bios that waited. Process context.
    fn release_held(&self) {
        let mut waiting = self.held.lock().take();
        while let Some(bio) = waiting.pop() {
            self.send_on(bio);
        }
    }

    /// Part of main that belongs to `count` blocks of the target from `first` on.
    fn main_range(&self, first: u64, count: u64) -> Result<SectorRange> {
        let start = self.block.first_sector(first);
        let len = self
            .block
            .first_sector(count)
            .min(self.sectors.saturating_sub(start));
        SectorRange::new(self.main_start.saturating_add(start), len).ok_or(EINVAL)
    }

    /// Step 1 outward. Takes the next run of blocks that are not remapped; those before it are
    /// passed over. What was reserved before an error is in `moves`, and is to be moved.
    fn reserve(
        &self,
        mover: &mut Mover,
        blocks: Range<u64>,
        moves: &mut KVec<Move>,
        progress: &mut Progress,
    ) -> Result {
        let room = usize::try_from(blocks.end.saturating_sub(blocks.start))?;
        let mut nodes: KVec<Node> = KVec::with_capacity(room, GFP_KERNEL)?;
        for _ in 0..room {
            nodes.push(Node::new(GFP_KERNEL)?, GFP_KERNEL)?;
        }
        let mut remaps = self.remaps.lock();
        self.make_room(&mut remaps, mover, room)?;
        let index = self.gate.current(&mover.drain);
        for block in blocks {
            match remaps.table.begin_remap(index, block) {
                Ok(slot) => moves.push(Move::new(block, slot, nodes.pop()), GFP_KERNEL)?,
                Err(Refusal::Remapped) if moves.is_empty() => {
                    progress.already = progress.already.saturating_add(1);
                }
                Err(Refusal::Remapped) => break,
                Err(Refusal::NoSpare) => return Err(ENOSPC),
                Err(_) => return Err(ENOMEM),
            }
            progress.next = block.saturating_add(1);
        }
        Ok(())
    }

    /// Replaces the readers' index where it has no room for `more` entries, or is worn.
    fn make_room(&self, remaps: &mut Remaps, mover: &mut Mover, more: usize) -> Result {
        let index = self.gate.current(&mover.drain);
        let full = !remaps.table.has_room(index, more);
        if !full && !remaps.table.is_worn(index) {
            return Ok(());
        }
        let entries = remaps.table.indexed().saturating_add(more);
        let new = self
            .gate
            .make_room(&mut mover.drain)
            .and_then(|()| Remaps::index(entries, self.blocks()));
        let new = match new {
            Ok(new) => new,
            Err(error) if full => return Err(error),
            // A worn index is only slower.
            Err(_) => return Ok(()),
        };
        let index = self.gate.current(&mover.drain);
        if !remaps.table.move_index(index, &new) {
            return Err(ENOMEM);
        }
        self.gate.replace(&mut mover.drain, new);
        Ok(())
    }

    /// Step 3 outward. A damaged block is the last one that is tried: what comes behind it should
    /// not wait while the device struggles.
    fn copy_out(&self, mover: &mut Mover, moves: &mut [Move]) -> Result {
        let Mover { io, buffer, .. } = mover;
        let mut copied = match self.read_main(io, buffer, moves) {
            Ok(read) => match moves.get_mut(..read) {
                Some(read) => self.write_slots(io, buffer, read),
                None => Err(EINVAL),
            },
            Err(error) => Err(error),
        };
        if copied.is_err() {
            if let Some(first) = moves.iter_mut().find(|moved| moved.fate != Fate::Copied) {
                first.fate = Fate::Failed;
            }
        }
        if mover.metadata.is_some() {
            // What is recorded makes durable what was written before.
            return copied;
        }
        // What was acknowledged after a flush of main has to stay durable.
        if let Err(unflushed) = self.spare.flush() {
            self.statistics.count(Count::SpareError);
            for moved in moves.iter_mut() {
                moved.fate = Fate::Failed;
            }
            copied = Err(unflushed);
        }
        copied
    }

    /// Reads blocks from main into the buffer: all of them at once, or where that fails one by
    /// one up to a damaged one. Tells how many it has read, at least one.
    fn read_main(&self, io: &IoClient, buffer: &mut IoBuffer, moves: &mut [Move]) -> Result<usize> {
        let Some(first) = moves.first().map(|moved| moved.block) else {
            return Ok(0);
        };
        let whole = self.main_range(first, moves.len() as u64)?;
        // Of a last block that is cut short, the slot has the rest, too.
        let end = moves.len() << self.block.shift();
        let read = usize::try_from(whole.len())?;
        buffer.zero(read, end.saturating_sub(read));
        if io.read(&self.main, whole, buffer, 0).is_ok() {
            return Ok(moves.len());
        }
        for (n, moved) in moves.iter_mut().enumerate() {
            let at = n << self.block.shift();
            let block = self.main_range(moved.block, 1)?;
            if io.read(&self.main, block, buffer, at).is_ok() {
                continue;
            }
            return match self.salvage(block, buffer, at) {
                Ok(lost) => {
                    moved.lost = lost;
                    Ok(n.saturating_add(1))
                }
                // The next pass begins with this block, and meets its error first.
                Err(_) if n > 0 => Ok(n),
                Err(error) => Err(error),
            };
        }
        Ok(moves.len())
    }

    /// Reads what can be read of a block, one logical block at a time. The rest is lost, which is
    /// for the medium to say: where the way to it is broken, the error is returned.
    fn salvage(
        &self,
        block: SectorRange,
        buffer: &mut IoBuffer,
        at: usize,
    ) -> Result<Option<NewLost>> {
        let step = self.main.logical_block_sectors().max(1);
        let mut part = KVec::zeroed((step as usize) << 9, GFP_KERNEL)?;
        let mut lost = NewLost::new()?;
        let mut offset = 0;
        while u64::from(offset) < block.len() {
            self.may_go_on()?;
            let to = at.saturating_add(offset as usize);
            let sector = block.start().saturating_add(u64::from(offset));
            match self.main.read(sector, &mut part) {
                Ok(()) => buffer.put(to, &part),
                // A device that is gone says EIO as well.
                Err(_) if self.main.is_gone() => return Err(ENODEV),
                Err(error) if error == ENODATA || error == EILSEQ || error == EIO => {
                    self.statistics.count(Count::ReadError);
                    buffer.zero(to, step as usize);
                    lost.sectors.mark(offset, step);
                }
                Err(error) => return Err(error),
            }
            offset = offset.saturating_add(step);
        }
        Ok((lost.sectors.count() > 0).then_some(lost))
    }

    /// Writes blocks from the buffer to their slots, neighbouring slots together.
    fn write_slots(&self, io: &IoClient, buffer: &mut IoBuffer, moves: &mut [Move]) -> Result {
        let mut at = 0;
        for slots in moves.chunk_by_mut(|a, b| a.slot.wrapping_add(1) == b.slot) {
            let sectors = slots.len() << self.block.shift();
            let Some(first) = slots.first() else { continue };
            let to =
                SectorRange::new(self.slot_sector(first.slot), sectors as u64).ok_or(EINVAL)?;
            io.write(&self.spare, to, buffer, at)
                .inspect_err(|_| self.statistics.count(Count::SpareError))?;
            for moved in slots.iter_mut() {
                moved.fate = Fate::Copied;
            }
            at = at.saturating_add(sectors);
        }
        Ok(())
    }

    /// Step 5 outward.
    fn finish_remap(&self, mover: &Mover, moves: KVec<Move>, progress: &mut Progress) -> Left {
        let mut left = Left::default();
        let index = self.gate.current(&mover.drain);
        let mut remaps = self.remaps.lock();
        for moved in moves {
            let Move {
                block,
                slot,
                node,
                lost,
                fate,
            } = moved;
            left.note(block, fate);
            let in_slot = fate == Fate::Copied || fate == Fate::Unsaved;
            let Some(node) = node.filter(|_| in_slot) else {
                remaps.table.cancel_remap(index, block, slot);
                continue;
            };
            let look = lost.is_some() || fate == Fate::Unsaved;
            if let Some(lost) = lost {
                self.lost.lock().insert(block, lost);
            }
            if fate == Fate::Unsaved {
                self.lost.lock().set_unsaved(block);
            }
            remaps.table.finish_remap(index, block, slot, look, node);
            if fate == Fate::Unsaved {
                continue;
            }
            progress.moved = progress.moved.saturating_add(1);
            self.statistics.manual_remaps.add(1, Relaxed);
            self.log_move(block, slot, "moved to");
        }
        self.entries.store(remaps.table.entries(), Relaxed);
        left
    }

    /// Step 1 homeward: takes the next remapped blocks, as many as a pass has room for.
    fn recall(
        &self,
        mover: &mut Mover,
        blocks: Range<u64>,
        moves: &mut KVec<Move>,
        progress: &mut Progress,
    ) -> Result {
        let mut remaps = self.remaps.lock();
        self.make_room(&mut remaps, mover, 0)?;
        let index = self.gate.current(&mover.drain);
        while moves.len() < mover.batch {
            let next = remaps.table.at_or_after(progress.next);
            let Some((block, _)) = next.filter(|(block, _)| *block < blocks.end) else {
                progress.next = blocks.end;
                break;
            };
            progress.next = block;
            if self.lost.lock().has(block) {
                return if moves.is_empty() { Err(EIO) } else { Ok(()) };
            }
            if let Ok(slot) = remaps.table.begin_unremap(index, block) {
                moves.push(Move::new(block, slot, None), GFP_KERNEL)?;
            }
            progress.next = block.saturating_add(1);
        }
        Ok(())
    }

    /// Step 3 homeward, up to the first error.
    fn copy_home(&self, mover: &mut Mover, moves: &mut [Move]) -> Result {
        let Mover { io, buffer, .. } = mover;
        let follows = |a: &Move, b: &Move| {
            a.block.wrapping_add(1) == b.block && a.slot.wrapping_add(1) == b.slot
        };
        let mut copied = Ok(());
        for run in moves.chunk_by_mut(follows) {
            copied = self.copy_run_home(io, buffer, run);
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
    fn copy_run_home(&self, io: &IoClient, buffer: &mut IoBuffer, run: &[Move]) -> Result {
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

    /// Step 5 homeward.
    fn finish_unremap(&self, mover: &Mover, moves: KVec<Move>, progress: &mut Progress) -> Left {
        let mut left = Left::default();
        let index = self.gate.current(&mover.drain);
        let mut remaps = self.remaps.lock();
        for moved in moves {
            left.note(moved.block, moved.fate);
            if moved.fate != Fate::Copied {
                let unsaved = moved.fate == Fate::Unsaved;
                if unsaved {
                    self.lost.lock().set_unsaved(moved.block);
                }
                remaps.table.cancel_unremap(index, moved.block, unsaved);
                continue;
            }
            remaps.table.finish_unremap(index, moved.block);
            let forgotten = self.lost.lock().forget_written(moved.block);
            drop(forgotten);
            progress.moved = progress.moved.saturating_add(1);
            self.statistics.unremaps.add(1, Relaxed);
            self.log_move(moved.block, moved.slot, "moved back from");
        }
        self.entries.store(remaps.table.entries(), Relaxed);
        left
    }

    fn log_move(&self, block: u64, slot: u32, what: &str) {
        if log::admits(log::Level::Relocation) {
            pr_info!(
                "{}: sector {} {} spare sector {}\n",
                format_args!("{}", self.number),
                self.shown_sector(block),
                what,
                self.slot_sector(slot)
            );
        }
    }
}
