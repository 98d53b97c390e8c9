// SPDX-License-Identifier: GPL-2.0

//! Writes that have failed, or would.
//!
//! A write that has failed is *rescued*: it is tried again block by block, and what fails once more is
//! written to the spare, to which its block moves on the occasion. Whoever submitted it hears of it when
//! all of it is written, and what went to the spare is durable, together with the metadata that says so.
//!
//! The pass is that of [`super`], with more in step 3: of a block that is not written as a whole, the
//! rest is copied, or lost where it cannot be read. Many writes share one pass. A block whose slot has
//! failed moves on to another slot in the same way.

use kernel::{
    prelude::*,
    sync::atomic::Relaxed,
    time::{
        Delta,
        Instant,
        Monotonic, //
    }, //
};
use remap_core::{
    arguments::ErrorPolicy,
    breaker::Admission,
    geometry::SectorRange, //
};

use super::{
    copy::Place,
    error_of,
    PATIENCE, //
};
use crate::{
    linux::{
        device_mapper::{
            Blame,
            BlockStatus,
            HeldBios, //
        },
        log,
        noio::NoIo, //
    },
    remap::{
        live::LiveTable,
        state::{
            lost::{
                LostPart,
                NewLost, //
            },
            metadata::Metadata,
            mover::Mover,
            moves::{
                Fate,
                Move,
                Toward,
                WritePart,
                MAX_BATCH, //
            },
            note::Note,
            reason::reason,
            statistics::Count,
            writes::{
                FailedWrite,
                MOST_WRITES, //
            }, //
        }, //
    }, //
};

/// How long a pass goes on to the next block. A disk tries for seconds to read a bad sector.
const PASS: Delta = Delta::from_millis(500);

/// As many logical blocks are read one by one, without a try to read them together.
const FEW_PIECES: usize = 8;

/// What came of another try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tried {
    Written,
    /// Another place would help.
    HasToMove,
    /// Nothing would.
    Failed(BlockStatus),
}

impl Tried {
    fn of(status: BlockStatus) -> Self {
        match status.blame() {
            _ if status.is_ok() => Tried::Written,
            Blame::Medium | Blame::Unknown => Tried::HasToMove,
            Blame::Other => Tried::Failed(status),
        }
    }
}

impl LiveTable {
    /// Rescues writes until there are none left. Process context.
    pub(in crate::remap) fn rescue(&self, waiting: &mut HeldBios<Note>) {
        let mut next = waiting.pop();
        while next.is_some() {
            let mut guard = self.mover.lock();
            let mover = &mut *guard;
            let _noio = NoIo::enter();
            let mut writes = core::mem::take(&mut mover.writes);
            while let Some(bio) = next.take() {
                // There is room.
                let _ = writes.push_within_capacity(FailedWrite::new(bio));
                next = waiting.pop();
                if writes.len() >= MOST_WRITES {
                    break;
                }
            }
            self.look_for_main(mover);
            if self.settle_before(mover).is_err() {
                for write in writes.iter_mut() {
                    write.fail(BlockStatus::IO_ERROR);
                }
            }
            while !writes.is_empty() {
                self.rescue_round(mover, &mut writes);
            }
            mover.writes = writes;
            self.refill(mover);
            self.show_metadata_state(mover);
        }
    }

    /// What has to be in order before anything is held. Errors as those of a pass.
    fn settle_before(&self, mover: &mut Mover) -> Result {
        mover.state.has_devices()?;
        self.gate.settle(&mut mover.drain, PATIENCE)
    }

    /// One try of everything, one pass for what has failed once more; ends what is done.
    fn rescue_round(&self, mover: &mut Mover, writes: &mut KVec<FailedWrite>) {
        let mut parts = core::mem::take(&mut mover.parts);
        for (number, write) in writes.iter_mut().enumerate() {
            if !write.has_ended() {
                self.try_again(mover, (number, write), &mut parts);
            }
        }
        self.note_writes(mover, writes);
        let mut moved = 0_usize;
        while !parts.is_empty() {
            moved = moved.saturating_add(self.move_parts(mover, writes, &mut parts));
        }
        mover.parts = parts;
        let mut number = 0;
        while let Some(write) = writes.get(number) {
            if !write.has_ended() {
                number = number.saturating_add(1);
            } else if let Ok(write) = writes.remove(number) {
                write.end();
            }
        }
        (0..moved).for_each(|_| self.raise_event());
    }

    /// Writes a write again where its blocks are, block by block, up to one that has a part in `parts`
    /// already. What fails is added to those.
    fn try_again(
        &self,
        mover: &mut Mover,
        (number, write): (usize, &mut FailedWrite),
        parts: &mut KVec<WritePart>,
    ) {
        let start = write.bio.sector().wrapping_sub(self.begin);
        // What it fills is noted once a round.
        while !write.has_ended() && write.fills.is_none() && parts.len() < parts.capacity() {
            let sector = start.wrapping_add(u64::from(write.done));
            let block = self.block.block_of(sector);
            if parts.iter().any(|other| other.block == block) {
                return;
            }
            let first = self.block.offset_of(sector);
            let left = write.bio.sectors().saturating_sub(write.done);
            let part = WritePart {
                write: number,
                block,
                first,
                len: left.min(self.block.sectors().saturating_sub(first)),
                at: write.done,
                slot: self.remaps.lock().table.get(block),
            };
            let many = u64::from(left) > self.block.first_sector(MAX_BATCH as u64);
            if many && write.done >= write.by_block && self.try_run(mover, write, sector) {
                continue;
            }
            match self.try_part(mover, write, &part) {
                Tried::Written => {}
                Tried::Failed(status) => return write.fail(status),
                // There is room.
                Tried::HasToMove => drop(parts.push_within_capacity(part)),
            }
            write.done = write.done.saturating_add(part.len);
        }
    }

    /// Of a write that is too large for one pass, tries many blocks together. Whether that went well.
    fn try_run(&self, mover: &mut Mover, write: &mut FailedWrite, sector: u64) -> bool {
        let blocks = MAX_BATCH as u64;
        let block = self.block.block_of(sector);
        let end = block.saturating_add(blocks);
        let next = self.remaps.lock().table.at_or_after(block);
        if next.is_some_and(|(next, _)| next < end) {
            return false;
        }
        let end = self.block.first_sector(end);
        let len = u32::try_from(end.saturating_sub(sector)).unwrap_or(0);
        let to = self.main_start.wrapping_add(sector);
        let status = write
            .bio
            .write_part(&mover.pool, write.done, len, &self.main, to);
        let end = write.done.saturating_add(len);
        if status.is_ok() {
            mover.breaker.wrote();
            write.done = end;
        } else {
            write.by_block = end;
        }
        status.is_ok()
    }

    /// Writes a part where its block is.
    fn try_part(&self, mover: &mut Mover, write: &mut FailedWrite, part: &WritePart) -> Tried {
        let Some(slot) = part.slot else {
            let first = write.bio.status();
            // The medium has said so of this very block; or nobody has asked, since it is pending.
            let sure = if first.is_ok() {
                self.remaps.lock().table.is_pending(part.block)
            } else {
                first.blame() == Blame::Medium
            };
            if sure && part.len == write.bio.sectors() {
                return Tried::HasToMove;
            }
            let tried = Tried::of(self.write_main(mover, write, part));
            if tried == Tried::Written {
                mover.breaker.wrote();
            }
            return tried;
        };
        if self.lost.lock().is_unsaved(part.block) {
            return Tried::Failed(BlockStatus::IO_ERROR);
        }
        let to = self.slot_sector(slot).wrapping_add(u64::from(part.first));
        let status = write
            .bio
            .write_part(&mover.pool, part.at, part.len, &self.spare, to);
        let fills = self.lost.lock().any_in(part.block, part.first, part.len);
        if status.is_ok() && fills {
            let filled = LostPart {
                block: part.block,
                first: part.first,
                len: part.len,
            };
            write.fills = Some((slot, filled));
        }
        Tried::of(status)
    }

    /// Makes it durable what writes have filled, page by page.
    fn note_writes(&self, mover: &mut Mover, writes: &mut [FailedWrite]) {
        let layout = mover.metadata.as_ref().map(Metadata::layout);
        let page_of = |write: &FailedWrite| {
            let (slot, _) = write.fills?;
            // Without metadata there is nothing to write, at once.
            Some(layout.map_or(0, |layout| layout.entry_of(slot).0))
        };
        while let Some(page) = writes.iter().find_map(page_of) {
            let here = |write: &FailedWrite| page_of(write) == Some(page);
            let fills = writes
                .iter()
                .filter(|write| here(write))
                .filter_map(|write| write.fills);
            let noted = self.note_parts(mover, fills);
            for write in writes.iter_mut().filter(|write| here(write)) {
                write.fills = None;
                if noted.is_err() {
                    write.fail(BlockStatus::IO_ERROR);
                }
            }
        }
    }

    fn write_main(&self, mover: &Mover, write: &FailedWrite, part: &WritePart) -> BlockStatus {
        let sector = self.block.first_sector(part.block);
        let to = self
            .main_start
            .wrapping_add(sector)
            .wrapping_add(u64::from(part.first));
        write
            .bio
            .write_part(&mover.pool, part.at, part.len, &self.main, to)
    }

    /// The pass: moves the blocks of `parts` to the spare, or to another slot, with what the parts write.
    /// Tells how many have moved. Those are left in `parts` that it has put off.
    fn move_parts(
        &self,
        mover: &mut Mover,
        writes: &mut [FailedWrite],
        parts: &mut KVec<WritePart>,
    ) -> usize {
        let mut count = 0;
        let mut moves = core::mem::take(&mut mover.moves);
        for part in parts.iter() {
            if let Err(error) = self.hold_part(mover, part, &mut moves) {
                self.give_up(mover, writes, part, error);
            }
        }
        parts.clear();
        if !moves.is_empty() {
            self.carry_all(mover, writes, &mut moves);
            let _ = self.record(mover, &mut moves, Toward::Spare);
            for moved in &moves {
                let Some(part) = moved.part else { continue };
                match (moved.fate, writes.get_mut(part.write)) {
                    // There is room: it was there before.
                    (Fate::PutOff, _) => drop(parts.push_within_capacity(part)),
                    (Fate::Failed | Fate::Unsaved, Some(write)) => {
                        write.fail(BlockStatus::IO_ERROR)
                    }
                    _ => {}
                }
            }
            count = self.finish_rescue(mover, &mut moves);
            self.release_held();
            self.record_bad(mover);
        }
        moves.clear();
        mover.moves = moves;
        count
    }

    /// Steps 2 and 3. Where the devices are slow, only some of the blocks are carried over, so that those
    /// who wait for the others do not wait for all of them.
    ///
    /// Where every block is written as a whole, nobody has to be waited for: a write that is still on its
    /// way to the old place of such a block has not been acknowledged, and so may have come before this
    /// one, which replaces all of it; what is read there is older in any case.
    fn carry_all(&self, mover: &mut Mover, writes: &[FailedWrite], moves: &mut [Move]) {
        let drained = if moves.iter().all(|moved| self.is_written_whole(moved)) {
            Ok(())
        } else {
            self.gate.drain(&mut mover.drain, PATIENCE)
        };
        let started = Instant::<Monotonic>::now();
        for (number, moved) in moves.iter_mut().enumerate() {
            if drained.is_ok() && number > 0 && started.elapsed() > PASS {
                // Put off.
                continue;
            }
            let carried = drained.and_then(|()| self.carry(mover, writes, moved));
            moved.fate = match carried {
                Ok(()) => Fate::Copied,
                Err(_) => Fate::Failed,
            };
        }
        // Where it cannot be, the moves say so.
        let _ = self.make_durable(mover, moves);
    }

    fn is_written_whole(&self, moved: &Move) -> bool {
        let Ok(whole) = self.main_range(moved.block, 1) else {
            return false;
        };
        moved
            .part
            .is_some_and(|part| u64::from(part.len) == whole.len())
    }

    /// Step 1: takes a slot for a block, and holds it.
    fn hold_part(&self, mover: &mut Mover, part: &WritePart, moves: &mut KVVec<Move>) -> Result {
        if !self.relocates() {
            if part.slot.is_none() && self.policy() == ErrorPolicy::Record {
                self.mark_pending(mover, part.block);
            }
            return Err(EPERM);
        }
        self.revive_metadata(mover)?;
        let admission = match part.slot {
            None => Some(self.admit(mover)?),
            Some(_) => None,
        };
        match self.hold_block(mover, part) {
            Ok(mut moved) => {
                moved.admission = admission;
                moves.push_within_capacity(moved).map_err(|_| ENOMEM)
            }
            Err(error) => {
                if let Some(admission) = admission {
                    mover.breaker.take_back(admission);
                }
                Err(error)
            }
        }
    }

    fn hold_block(&self, mover: &mut Mover, part: &WritePart) -> Result<Move> {
        let node = match part.slot {
            None => Some(mover.reserve.node()?),
            Some(_) => None,
        };
        let mut remaps = self.remaps.lock();
        self.make_room(&mut remaps, mover, 1)?;
        let index = self.gate.current(&mover.drain);
        let begun = match part.slot {
            None => remaps.table.begin_remap(index, part.block),
            Some(_) => remaps
                .table
                .begin_replace(index, part.block)
                .map(|(_, new)| new),
        };
        let slot = begun.map_err(error_of)?;
        let mut moved = Move::new(part.block, slot, node);
        moved.part = Some(*part);
        Ok(moved)
    }

    /// Whether the breaker lets another block of main move. `ENODEV` where it does not.
    fn admit(&self, mover: &mut Mover) -> Result<Admission> {
        if self.main_wrote.xchg(0, Relaxed) != 0 {
            mover.breaker.wrote();
        }
        let now = mover.since.elapsed().as_millis().unsigned_abs();
        let Some(admission) = mover.breaker.admit(now) else {
            self.give_main_up();
            return Err(ENODEV);
        };
        // Whether the next write to main goes well is worth knowing.
        self.gate.set_watched(true);
        Ok(admission)
    }

    /// Where main is gone, it fails wholesale.
    pub(in crate::remap) fn look_for_main(&self, mover: &mut Mover) {
        if self.main.is_gone() {
            mover.breaker.trip();
            self.give_main_up();
        }
    }

    /// The breaker has tripped.
    fn give_main_up(&self) {
        if self.failing.xchg(1, Relaxed) == 0 {
            pr_err!(
                "{}: main_dev fails wholesale: nothing is relocated any more before 'policy relocate'\n",
                format_args!("{}", self.number)
            );
        }
    }

    /// A block cannot move. A write that nobody has tried so far is tried in its old place.
    fn give_up(&self, mover: &Mover, writes: &mut [FailedWrite], part: &WritePart, error: Error) {
        let Some(write) = writes.get_mut(part.write) else {
            return;
        };
        if part.slot.is_none() && write.bio.status().is_ok() {
            let status = self.write_main(mover, write, part);
            if !status.is_ok() {
                self.statistics.count(Count::WriteError);
                write.fail(status);
            }
            return;
        }
        if self.relocates() {
            self.log_given_up(part.block, error);
        }
        write.fail(BlockStatus::IO_ERROR);
    }

    /// Step 3: what the part does not write of its block is copied, then it is written itself.
    fn carry(&self, mover: &mut Mover, writes: &[FailedWrite], moved: &mut Move) -> Result {
        let part = moved.part.ok_or(EINVAL)?;
        let write = writes.get(part.write).ok_or(EINVAL)?;
        let whole = self.main_range(part.block, 1)?;
        let end = part.first.saturating_add(part.len);
        let rest = [
            (0, part.first),
            (end, (whole.len() as u32).saturating_sub(end)),
        ];
        if rest.iter().any(|(_, len)| *len > 0) {
            let mut lost = mover.reserve.lost()?;
            let started = Instant::<Monotonic>::now();
            for (first, len) in rest {
                self.read_rest(mover, &part, (first, len), &mut lost, || {
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
            match self.write_slot(mover, write, moved, &part, rest) {
                Ok(()) => return Ok(()),
                Err(error) => self.take_next_slot(moved, error)?,
            }
        }
    }

    /// Reads `len` sectors of a part's block from `first` on into the buffer, from wherever it is.
    fn read_rest(
        &self,
        mover: &mut Mover,
        part: &WritePart,
        (first, len): (u32, u32),
        lost: &mut NewLost,
        go_on: impl Fn() -> Result,
    ) -> Result {
        if len == 0 {
            return Ok(());
        }
        let (place, device, start) = match part.slot {
            None => {
                let start = self.main_range(part.block, 1)?.start();
                (Place::Main, &self.main, start)
            }
            Some(slot) => (Place::Spare, &self.spare, self.slot_sector(slot)),
        };
        let start = start.saturating_add(u64::from(first));
        let range = SectorRange::new(start, u64::from(len)).ok_or(EINVAL)?;
        let at = first as usize;
        // In few pieces at once: a disk that takes seconds over a bad sector does so for each read of it.
        let few = len as usize <= FEW_PIECES.saturating_mul(mover.main_piece.len() >> 9);
        if few || mover.io.read(device, range, &mut mover.buffer, at).is_err() {
            self.salvage(mover, place, range, (at, first), lost, go_on)?;
        }
        // What was lost before has nothing to read.
        self.lost.lock().inherit(part.block, (first, len), lost);
        Ok(())
    }

    /// Writes a block to the slot that it has now.
    fn write_slot(
        &self,
        mover: &mut Mover,
        write: &FailedWrite,
        moved: &Move,
        part: &WritePart,
        rest: [(u32, u32); 2],
    ) -> Result {
        let slot = self.slot_sector(moved.slot);
        let to = slot.saturating_add(u64::from(part.first));
        let status = write
            .bio
            .write_part(&mover.pool, part.at, part.len, &self.spare, to);
        status.to_result()?;
        for (first, len) in rest.into_iter().filter(|(_, len)| *len > 0) {
            let lost = moved.lost.as_ref();
            if lost.is_some_and(|new| new.sectors.is_empty(first, len)) {
                // Nobody reads it before it is written.
                continue;
            }
            let start = slot.saturating_add(u64::from(first));
            let range = SectorRange::new(start, u64::from(len)).ok_or(EINVAL)?;
            self.write_spare(mover, range, first as usize)?;
        }
        Ok(())
    }

    /// Step 5. Tells how many blocks have moved.
    fn finish_rescue(&self, mover: &mut Mover, moves: &mut KVVec<Move>) -> usize {
        let mut count = 0_usize;
        let mut remaps = self.remaps.lock();
        while let Some(moved) = moves.pop() {
            if moved.fate != Fate::Copied {
                if moved.fate != Fate::PutOff {
                    self.log_given_up(moved.block, EIO);
                }
                // The last one first, as they have to be taken back.
                if let Some(admission) = moved.admission {
                    mover.breaker.take_back(admission);
                }
            } else {
                count = count.saturating_add(1);
                if moved.leaves().is_none() {
                    self.statistics.auto_remaps.add(1, Relaxed);
                }
                self.log_move(moved.block, moved.slot, "relocated to");
            }
            self.settle_move(mover, &mut remaps, moved);
        }
        self.show_remaps(&remaps);
        count
    }

    fn log_given_up(&self, block: u64, error: Error) {
        if log::admits(log::Level::Error) {
            pr_err!(
                "{}: sector {} cannot be relocated: {}\n",
                format_args!("{}", self.number),
                self.shown_sector(block),
                reason(error)
            );
        }
    }
}
