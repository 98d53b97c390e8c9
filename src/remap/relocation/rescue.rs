// SPDX-License-Identifier: GPL-2.0

//! Writes that have failed, or would.
//!
//! A write that has failed is *rescued*: it is tried again block by block, and what fails once more is
//! written to the spare, to which its block moves on the occasion. The write is acknowledged when
//! all of it is written, and what went to the spare is durable, together with the metadata that says so.
//!
//! The pass is that of [`super`], with more in step 3: of a block that is not written as a whole, the
//! rest is copied, or lost where it cannot be read. Many writes share one pass. A block whose slot has
//! failed moves on to another slot in the same way.

use core::ops::{
    Deref,
    DerefMut, //
};

use kernel::{
    prelude::*,
    sync::atomic::Relaxed, //
};
use remap_core::{
    interface::arguments::ErrorPolicy,
    table::breaker::Admission, //
};

use super::guard::{
    error_of,
    MoverGuard, //
};
use crate::{
    linux::{
        device_mapper::{
            Blame,
            BlockStatus,
            HeldBio,
            HeldBios, //
        },
        log::device_log, //
    },
    remap::{
        state::{
            devices::Place,
            lost::LostPart,
            moves::{
                Cause,
                Fate,
                Move,
                Toward,
                WritePart,
                MAX_BATCH, //
            },
            note::Note,
            reason::reason,
            statistics::{
                Count,
                Statistics, //
            },
            writes::{
                FailedWrite,
                MAX_WRITES, //
            }, //
        },
        table::Table, //
    }, //
};

/// Outcome of another try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tried {
    Written,
    /// Another place would help.
    Elsewhere(Cause),
    /// Nothing would.
    Failed(BlockStatus),
}

impl Tried {
    /// Returns the outcome of a try that ended with `status`. `moves_data` says that it was an ordinary write.
    fn of(status: BlockStatus, moves_data: bool) -> Self {
        match status.blame(moves_data) {
            _ if status.is_ok() => Tried::Written,
            Blame::Medium => Tried::Elsewhere(Cause::Refused),
            Blame::Unknown => Tried::Elsewhere(Cause::Suspected),
            Blame::Other => Tried::Failed(status),
        }
    }
}

/// The right to rescue writes: the mover is locked, and no bio is in flight that an earlier pass has waited for
/// in vain. Unlike a [`Pass`](super::pass::Pass) it is there while the table is suspended.
///
/// When it ends, memory for the next pass is allocated and the state of the metadata is shown.
pub(super) struct Rescue<'a> {
    guard: MoverGuard<'a>,
    /// Whether main and the spare have answered since the round began, as far as they were asked.
    has_answered: [Option<bool>; 2],
}

impl<'a> Deref for Rescue<'a> {
    type Target = MoverGuard<'a>;

    fn deref(&self) -> &MoverGuard<'a> {
        &self.guard
    }
}

impl<'a> DerefMut for Rescue<'a> {
    fn deref_mut(&mut self) -> &mut MoverGuard<'a> {
        &mut self.guard
    }
}

impl Drop for Rescue<'_> {
    fn drop(&mut self) {
        self.end_moving();
    }
}

impl Table {
    /// Begins to rescue writes. Sleeps until the pass under way has ended. `ENODEV` gone, `ETIMEDOUT` bios
    /// in flight did not end.
    fn begin_rescue(&self) -> Result<Rescue<'_>> {
        let mut guard = self.lock_mover();
        guard.check_main_gone();
        guard.mover.state.has_devices()?;
        guard.settle_gate()?;
        Ok(Rescue {
            guard,
            has_answered: [None; 2],
        })
    }

    /// Rescues writes until there are none left. Process context.
    pub(in crate::remap) fn rescue(&self, waiting: &mut HeldBios<Note>) {
        let mut next = waiting.pop();
        while let Some(first) = next.take() {
            next = match self.begin_rescue() {
                Ok(mut rescue) => rescue.run(first, waiting),
                Err(_) => fail_some(first, waiting, &self.statistics),
            };
        }
    }
}

/// Fails as many writes as are rescued together. Returns the next one.
fn fail_some(
    first: HeldBio<Note>,
    waiting: &mut HeldBios<Note>,
    statistics: &Statistics,
) -> Option<HeldBio<Note>> {
    let mut next = Some(first);
    for _ in 0..MAX_WRITES {
        let mut write = FailedWrite::new(next.take()?);
        write.fail(BlockStatus::IO_ERROR);
        write.end(statistics);
        next = waiting.pop();
    }
    next
}

impl Rescue<'_> {
    /// Rescues as many writes together as there is memory for. Returns the next one.
    fn run(&mut self, first: HeldBio<Note>, waiting: &mut HeldBios<Note>) -> Option<HeldBio<Note>> {
        let mut writes = core::mem::take(&mut self.mover.writes);
        let mut next = Some(first);
        while let Some(bio) = next.take() {
            // There is room.
            let _ = writes.push_within_capacity(FailedWrite::new(bio));
            next = waiting.pop();
            if writes.len() >= MAX_WRITES {
                break;
            }
        }
        while !writes.is_empty() {
            self.run_round(&mut writes);
        }
        self.mover.writes = writes;
        next
    }

    /// Tries everything once, moves the blocks of what has failed once more, and ends what is done.
    fn run_round(&mut self, writes: &mut KVec<FailedWrite>) {
        self.has_answered = [None; 2];
        let mut parts = core::mem::take(&mut self.mover.parts);
        for (number, write) in writes.iter_mut().enumerate() {
            if !write.has_ended() {
                self.try_again((number, write), &mut parts);
            }
        }
        self.record_fills(writes);
        self.confirm(writes, &mut parts);
        let mut moved = 0_usize;
        while !parts.is_empty() {
            moved = moved.saturating_add(self.move_parts(writes, &mut parts));
        }
        self.mover.parts = parts;
        let mut number = 0;
        while let Some(write) = writes.get(number) {
            if !write.has_ended() {
                number = number.saturating_add(1);
            } else if let Ok(write) = writes.remove(number) {
                write.end(&self.table.statistics);
            }
        }
        let health = &self.table.health;
        (0..moved).for_each(|_| health.raise_event());
    }

    /// Writes a write again where its blocks are, block by block, up to one that has a part in `parts`
    /// already. What fails is added to those.
    fn try_again(
        &mut self,
        (number, write): (usize, &mut FailedWrite),
        parts: &mut KVec<WritePart>,
    ) {
        let table = self.table;
        let start = table.places.in_target(write.bio.sector());
        // What it fills is recorded once a round.
        while !write.has_ended() && write.fills.is_none() && parts.len() < parts.capacity() {
            let sector = start.wrapping_add(u64::from(write.done));
            let block = table.places.block.block_of(sector);
            if parts.iter().any(|other| other.block == block) {
                return;
            }
            let first = table.places.block.offset_of(sector);
            let left = write.bio.sectors().saturating_sub(write.done);
            let mut part = WritePart {
                write: number,
                block,
                first,
                len: left.min(table.places.block.sectors().saturating_sub(first)),
                at: write.done,
                slot: table.remaps.slot_of(block),
                cause: Cause::Refused,
            };
            let many = u64::from(left) > table.places.block.first_sector(MAX_BATCH as u64);
            if many && write.done >= write.by_block && self.try_run(write, sector) {
                continue;
            }
            match self.try_enough(write, &part) {
                Tried::Written => {}
                Tried::Failed(status) => return write.fail(status),
                Tried::Elsewhere(cause) => {
                    part.cause = cause;
                    // There is room.
                    drop(parts.push_within_capacity(part));
                }
            }
            write.done = write.done.saturating_add(part.len);
        }
    }

    /// Tries many blocks together of a write that is too large for one pass. Returns whether that went well.
    fn try_run(&mut self, write: &mut FailedWrite, sector: u64) -> bool {
        let table = self.table;
        let blocks = MAX_BATCH as u64;
        let block = table.places.block.block_of(sector);
        let end = block.saturating_add(blocks);
        let next = table.remaps.lock().at_or_after(block);
        if next.is_some_and(|(next, _)| next < end) {
            return false;
        }
        let end = table.places.block.first_sector(end);
        let len = u32::try_from(end.saturating_sub(sector)).unwrap_or(0);
        let to = table.places.on_main(sector);
        let status =
            write
                .bio
                .write_part(&self.mover.pool, write.done, len, &table.devices.main, to);
        let end = write.done.saturating_add(len);
        if status.is_ok() {
            self.mover.breaker.wrote();
            write.done = end;
        } else {
            write.by_block = end;
        }
        status.is_ok()
    }

    /// Tries a part where its block is, as often as a block has to fail before it is bad.
    fn try_enough(&mut self, write: &mut FailedWrite, part: &WritePart) -> Tried {
        let place = Place::spare_if(part.slot.is_some());
        let suspected = Tried::Elsewhere(Cause::Suspected);
        let mut tried = self.try_part(write, part);
        // The write itself was the first, and this the second.
        for _ in 2..self.table.tries() {
            if tried != suspected {
                break;
            }
            if !self.answers_now(place) {
                return Tried::Failed(BlockStatus::IO_ERROR);
            }
            tried = self.try_part(write, part);
        }
        tried
    }

    /// Writes a part where its block is.
    fn try_part(&mut self, write: &mut FailedWrite, part: &WritePart) -> Tried {
        let table = self.table;
        let Some(slot) = part.slot else {
            let first = write.bio.status();
            let moves_data = write.bio.moves_data();
            if part.len == write.bio.sectors() {
                if first.is_ok() && table.remaps.lock().is_pending(part.block) {
                    return Tried::Elsewhere(Cause::Pending);
                }
                // The medium has said so of this very block.
                if first.blame(moves_data) == Blame::Medium {
                    return Tried::Elsewhere(Cause::Refused);
                }
            }
            if !self.has_answered(Place::Main) {
                return Tried::Failed(BlockStatus::IO_ERROR);
            }
            let tried = Tried::of(self.write_main(write, part), moves_data);
            if tried == Tried::Written {
                self.mover.breaker.wrote();
            }
            return tried;
        };
        if table.lost.lock().is_unsaved(part.block) {
            return Tried::Failed(BlockStatus::IO_ERROR);
        }
        if !self.has_answered(Place::Spare) {
            return Tried::Failed(BlockStatus::IO_ERROR);
        }
        let to = table
            .places
            .slot_sector(slot)
            .wrapping_add(u64::from(part.first));
        let status = write.bio.write_part(
            &self.mover.pool,
            part.at,
            part.len,
            &table.devices.spare,
            to,
        );
        // Zeros are not written with FUA.
        table.spare_cache.record_write();
        let missing = table.lost.lock();
        let missing = missing.missing_in(part.block, part.first, part.len);
        if status.is_ok() && missing.any() {
            let filled = LostPart {
                block: part.block,
                first: part.first,
                len: part.len,
            };
            write.fills = Some((slot, filled));
        }
        Tried::of(status, write.bio.moves_data())
    }

    /// Returns whether a device has answered since the round began. Otherwise an outage begins.
    fn has_answered(&mut self, place: Place) -> bool {
        if let Some(known) = self.has_answered.get(place as usize).copied().flatten() {
            return known;
        }
        let answers = self.answers_now(place);
        if let Some(known) = self.has_answered.get_mut(place as usize) {
            *known = Some(answers);
        }
        answers
    }

    /// Returns whether a device answers. Otherwise an outage begins.
    fn answers_now(&mut self, place: Place) -> bool {
        let table = self.table;
        let pieces = &mut self.mover.pieces;
        table.check_answers(place, pieces, &|| Ok(())).is_ok()
    }

    /// Gives those parts up that have failed again on a device that does not answer: they say nothing about a block.
    fn confirm(&mut self, writes: &mut [FailedWrite], parts: &mut KVec<WritePart>) {
        for place in [Place::Main, Place::Spare] {
            let is_doubtful = |part: &WritePart| {
                part.cause == Cause::Suspected && Place::spare_if(part.slot.is_some()) == place
            };
            if !parts.iter().any(is_doubtful) || self.answers_now(place) {
                continue;
            }
            for part in parts.iter().filter(|part| is_doubtful(part)) {
                if let Some(write) = writes.get_mut(part.write) {
                    write.fail(BlockStatus::IO_ERROR);
                }
            }
            parts.retain(|part| !is_doubtful(part));
        }
    }

    /// Makes it durable that parts of blocks have contents which writes have filled.
    fn record_fills(&mut self, writes: &mut [FailedWrite]) {
        let part_of = |write: &FailedWrite| write.fills;
        self.record_parts(writes, part_of, |write, recorded| {
            write.fills = None;
            if recorded.is_err() {
                write.fail(BlockStatus::IO_ERROR);
            }
        });
    }

    /// Writes a part to main.
    fn write_main(&self, write: &FailedWrite, part: &WritePart) -> BlockStatus {
        let places = &self.table.places;
        let sector = places.block.first_sector(part.block);
        let to = places.on_main(sector.wrapping_add(u64::from(part.first)));
        let main = &self.table.devices.main;
        write
            .bio
            .write_part(&self.mover.pool, part.at, part.len, main, to)
    }

    /// Moves the blocks of `parts` to the spare, or to another slot, with what the parts write. Returns how
    /// many have moved. Those are left in `parts` that are put off.
    fn move_parts(&mut self, writes: &mut [FailedWrite], parts: &mut KVec<WritePart>) -> usize {
        let mut count = 0;
        let mut moves = core::mem::take(&mut self.mover.moves);
        for part in parts.iter() {
            if let Err(error) = self.hold_part(part, &mut moves) {
                self.give_up(writes, part, error);
            }
        }
        parts.clear();
        if !moves.is_empty() {
            self.table.spare_cache.occupy();
            self.carry_all(writes, &mut moves);
            let _ = self.record(&mut moves, Toward::Spare);
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
            count = self.finish_rescue(&mut moves);
            self.table.release_held();
            self.record_bad();
        }
        moves.clear();
        self.mover.moves = moves;
        count
    }

    /// Step 1: takes a slot for a block, and holds it.
    fn hold_part(&mut self, part: &WritePart, moves: &mut KVVec<Move>) -> Result {
        let policy = &self.table.policy;
        if !self.table.relocates() {
            let records = policy.on_error() == ErrorPolicy::Record && !self.table.main_fails();
            if part.slot.is_none() && records {
                self.mark_pending(part.block);
            }
            return Err(EPERM);
        }
        self.revive_metadata()?;
        let counts = part.slot.is_none() && part.cause != Cause::Pending;
        let admission = counts.then(|| self.admit()).transpose()?;
        match self.hold_block(part) {
            Ok(mut moved) => {
                moved.admission = admission;
                moves.push_within_capacity(moved).map_err(|_| ENOMEM)
            }
            Err(error) => {
                if let Some(admission) = admission {
                    self.mover.breaker.take_back(admission);
                }
                Err(error)
            }
        }
    }

    /// Takes a slot for a block, whatever the breaker says.
    fn hold_block(&mut self, part: &WritePart) -> Result<Move> {
        let node = match part.slot {
            None => Some(self.mover.reserve.node()?),
            Some(_) => None,
        };
        let table = self.table;
        let mut remaps = table.remaps.lock();
        self.make_room(&mut remaps, 1)?;
        let index = self.index();
        let begun = match part.slot {
            None => remaps.begin_remap(index, part.block),
            Some(_) => remaps.begin_replace(index, part.block).map(|(_, new)| new),
        };
        let slot = begun.map_err(error_of)?;
        let mut moved = Move::new(part.block, slot, node);
        moved.leaves = part.slot;
        moved.part = Some(*part);
        Ok(moved)
    }

    /// Asks the breaker whether another block of main may move. `ENOSPC` no slot is left for it, `ENODEV` main fails as
    /// a whole.
    fn admit(&mut self) -> Result<Admission> {
        let table = self.table;
        if table.remaps.lock().free_slots() == 0 {
            return Err(ENOSPC);
        }
        if table.policy.take_main_write() {
            self.mover.breaker.wrote();
        }
        let now = self.mover.since.elapsed().as_millis().unsigned_abs();
        let limits = table.policy.breaker_limits();
        let mut admission = self.mover.breaker.admit(now, limits);
        if admission.is_none() && !table.devices.main.is_gone() && self.takes_writes() {
            // So these blocks are bad, be it a thousand of them.
            self.mover.breaker.arm();
            admission = self.mover.breaker.admit(now, limits);
        }
        let Some(admission) = admission else {
            self.report_main_failure();
            return Err(ENODEV);
        };
        // Whether the next write to main goes well is worth knowing.
        table.gate.set_watched(true);
        Ok(admission)
    }

    /// Gives a part up whose block cannot move. A write that has not been tried so far is tried in its old
    /// place.
    fn give_up(&mut self, writes: &mut [FailedWrite], part: &WritePart, error: Error) {
        let Some(write) = writes.get_mut(part.write) else {
            return;
        };
        if part.slot.is_none() && write.bio.status().is_ok() {
            let status = self.write_main(write, part);
            if !status.is_ok() {
                self.table.statistics.count(Count::WriteError);
                write.fail(status);
            }
            return;
        }
        if self.table.relocates() {
            self.log_given_up(part.block, error);
        }
        write.fail(BlockStatus::IO_ERROR);
    }

    /// Step 5. Returns how many blocks have moved.
    fn finish_rescue(&mut self, moves: &mut KVVec<Move>) -> usize {
        let table = self.table;
        let mut count = 0_usize;
        let mut remaps = table.remaps.lock();
        while let Some(moved) = moves.pop() {
            if moved.fate != Fate::Copied {
                if moved.fate != Fate::PutOff {
                    self.log_given_up(moved.block, EIO);
                }
                // The last one first, as they have to be taken back.
                if let Some(admission) = moved.admission {
                    self.mover.breaker.take_back(admission);
                }
            } else {
                count = count.saturating_add(1);
                if moved.leaves.is_none() {
                    table.statistics.auto_remaps.add(1, Relaxed);
                }
                self.log_move(moved.block, moved.slot, "relocated to");
            }
            self.settle_move(&mut remaps, moved);
        }
        table.remaps.publish(&remaps);
        count
    }

    fn log_given_up(&self, block: u64, error: Error) {
        device_log!(
            pr_err,
            self.table.number,
            at Error,
            "sector {} cannot be relocated: {}",
            self.table.places.shown_sector(block),
            reason(error)
        );
    }
}
