// SPDX-License-Identifier: GPL-2.0

//! Moving live blocks between main and spare.
//!
//! A *pass* moves some neighbouring blocks together:
//!
//! 1. a slot is reserved for each, and the readers' index says that they are held: new bios that
//!    touch them wait in a list;
//! 2. the gate is drained: bios mapped before have completed;
//! 3. the contents are copied;
//! 4. the metadata says where the blocks are, and is durable, as its contents are before it: the write
//!    of a page flushes the device first (PREFLUSH);
//! 5. the index says it, too;
//! 6. the bios that waited go on.
//!
//! Where the write of a page does not reach the copies, they are flushed at the end of step 3: without
//! metadata, and on the way back to main, which is another device.
//!
//! Moving back is the same in the other direction; the slots are free after step 5.
//!
//! Whatever fails, a block is in the end where it was or where it should be, and no bio stays
//! behind. Where metadata can no longer be written, and what it says of a block is uncertain, the
//! block is on the spare and is not written to: it is *unsaved* until that can be written, and nothing
//! else moves before ([`record`]). What a message copied has the same contents in both places then; a
//! write that was relocated has failed, and either contents are right.
//!
//! Passes are serialised by [`Mover`]. Between two passes of a long range somebody who wants to
//! suspend the device gets his turn, and the range ends with `EAGAIN`; device-mapper would wait for
//! the message otherwise.
//!
//! A pass runs without allocations that wait for I/O: the bios that it holds may be what writes
//! memory out.
//!
//! A block moves because somebody wants it to (here), or because a write to it has failed
//! ([`rescue`]).

mod copy;
mod record;
mod rescue;

use core::ops::Range;

use kernel::{
    alloc::flags::GFP_NOWAIT,
    prelude::*,
    sync::atomic::Relaxed,
    time::Delta, //
};
use remap_core::{
    geometry::SectorRange,
    remap_table::{
        Refusal,
        Tree, //
    }, //
};

use super::{
    live::LiveTable,
    state::{
        mover::Mover,
        moves::{
            Contents,
            Fate,
            Left,
            Move,
            Progress,
            Toward,
            MAX_BATCH, //
        },
        remaps::{
            Node,
            RemapTree,
            Remaps, //
        }, //
    }, //
};
use crate::linux::{
    log,
    noio::NoIo, //
};

/// How long a pass waits for bios in flight before it gives up. A device that takes longer has
/// its own error handling at work, which tries for half a minute as a rule.
const PATIENCE: Delta = Delta::from_secs(60);

/// What a refusal means for whoever wants a block to move.
fn error_of(refusal: Refusal) -> Error {
    match refusal {
        Refusal::NoSpare => ENOSPC,
        _ => ENOMEM,
    }
}

/// Memory for as many of `blocks` as a pass has room for: of one block it is little.
fn room_for(blocks: Range<u64>, mover: &Mover) -> Result<KVec<Move>> {
    let count = blocks.end.saturating_sub(blocks.start);
    let most = count.min(mover.batch as u64) as usize;
    Ok(KVec::with_capacity(most, GFP_KERNEL)?)
}

impl LiveTable {
    /// Moves every block that `range` touches to the spare. Tells how far it came, and why not
    /// further.
    ///
    /// May sleep. `ENOSPC` no slot left, `EROFS` read-only, `EIO` the devices refused, `EAGAIN`
    /// suspended, `ENODEV` gone, `EINTR` a signal came, `ETIMEDOUT` bios in flight did not end,
    /// `ENOMEM`.
    pub(super) fn remap_range(&self, range: SectorRange, contents: Contents) -> (Progress, Result) {
        self.in_passes(range, |mover, blocks, progress| {
            self.remap_pass(mover, blocks, contents, progress)
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

    /// Moves the block of `sector` to the spare, where it is lent to a test until the test or a message
    /// moves it back, or a message wants it there. Nothing is lost.
    ///
    /// Errors as for [`LiveTable::remap_range`]; `EEXIST` where it is there already, `ENODATA` where
    /// main cannot read all of it, or has failed there before.
    pub(crate) fn lend(&self, sector: u64) -> Result {
        let range = SectorRange::new(sector, 1).ok_or(EINVAL)?;
        let mut node = Some(Node::new(GFP_KERNEL)?);
        let (progress, ended) = self.in_passes(range, |mover, blocks, progress| {
            let block = blocks.start;
            self.remap_pass(mover, blocks, Contents::Whole, progress)?;
            if let Some(node) = node.take().filter(|_| progress.moved > 0) {
                mover.lent.insert(block, 0, node);
            }
            Ok(())
        });
        ended?;
        if progress.moved == 0 {
            return Err(EEXIST);
        }
        Ok(())
    }

    /// Moves the block of `sector` back that was lent.
    ///
    /// Errors as for [`LiveTable::unremap_range`]; `ENODATA` where it is not lent any more.
    pub(crate) fn take_back(&self, sector: u64) -> Result {
        let range = SectorRange::new(sector, 1).ok_or(EINVAL)?;
        let (progress, ended) = self.in_passes(range, |mover, blocks, progress| {
            if mover.lent.get(blocks.start).is_none() {
                progress.next = blocks.end;
                return Ok(());
            }
            self.unremap_pass(mover, blocks, progress)
        });
        ended?;
        if progress.moved == 0 {
            return Err(ENODATA);
        }
        Ok(())
    }

    /// Leaves the blocks where they are that are still lent. Sleeps.
    pub(crate) fn end_lending(&self) {
        self.mover.lock().lent = RemapTree::new();
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
    pub(super) fn may_go_on(&self) -> Result {
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
        self.refill(&mut mover);
        self.show_metadata_state(&mover);
        ended
    }

    fn remap_pass(
        &self,
        mover: &mut Mover,
        blocks: Range<u64>,
        contents: Contents,
        progress: &mut Progress,
    ) -> Result {
        let end = blocks
            .end
            .min(blocks.start.saturating_add(mover.batch as u64));
        let mut moves = room_for(blocks.start..end, mover)?;
        let reserved = self.reserve(mover, blocks.start..end, contents, &mut moves, progress);
        if moves.is_empty() {
            return reserved;
        }
        let drained = self.gate.drain(&mut mover.drain, PATIENCE);
        let copied = drained.and_then(|()| match contents {
            Contents::Copied | Contents::Whole => self.copy_out(mover, &mut moves, contents),
            Contents::GivenUp => self.lose(mover, &mut moves),
        });
        let recorded = self.record(mover, &mut moves, Toward::Spare);
        let left = self.finish_remap(mover, moves, progress);
        self.release_held();
        self.record_bad(mover);
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
        let mut moves = room_for(blocks.clone(), mover)?;
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

    /// Step 1 outward. Takes the next run of blocks that are not remapped; those before it are
    /// passed over. What was reserved before an error is in `moves`, and is to be moved.
    fn reserve(
        &self,
        mover: &mut Mover,
        blocks: Range<u64>,
        contents: Contents,
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
        // One is left for when one of them turns out bad.
        let most = remaps.table.free_slots().saturating_sub(1).max(1) as usize;
        for block in blocks {
            if moves.len() == most {
                break;
            }
            if contents != Contents::Whole {
                // Whoever wants it there has it from now on.
                mover.lent.remove(block);
            } else if remaps.table.is_pending(block) {
                return Err(ENODATA);
            }
            match remaps.table.begin_remap(index, block) {
                Ok(slot) => moves.push(Move::new(block, slot, nodes.pop()), GFP_KERNEL)?,
                Err(Refusal::Remapped) if moves.is_empty() => {
                    progress.already = progress.already.saturating_add(1);
                }
                Err(Refusal::Remapped) => break,
                Err(refusal) => return Err(error_of(refusal)),
            }
            progress.next = block.saturating_add(1);
        }
        Ok(())
    }

    /// Replaces the readers' index where it has no room for `more` entries, or is worn.
    pub(super) fn make_room(&self, remaps: &mut Remaps, mover: &mut Mover, more: usize) -> Result {
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

    /// Step 5 outward.
    fn finish_remap(&self, mover: &mut Mover, moves: KVec<Move>, progress: &mut Progress) -> Left {
        let mut left = Left::default();
        let mut remaps = self.remaps.lock();
        for moved in moves {
            left.note(moved.block, moved.fate);
            if moved.fate == Fate::Copied {
                progress.moved = progress.moved.saturating_add(1);
                self.statistics.manual_remaps.add(1, Relaxed);
                self.log_move(moved.block, moved.slot, "moved to");
            }
            self.settle_move(mover, &mut remaps, moved);
        }
        self.show_remaps(&remaps);
        left
    }

    /// Lets everybody know where a block is that was on its way to a slot.
    fn settle_move(&self, mover: &mut Mover, remaps: &mut Remaps, moved: Move) {
        let from = moved.leaves();
        let Move {
            block,
            slot,
            node,
            lost,
            fate,
            refused,
            ..
        } = moved;
        let in_slot = fate == Fate::Copied || fate == Fate::Unsaved;
        if in_slot {
            refused.iter().for_each(|slot| mover.note_bad(slot));
        }
        let index = self.gate.current(&mover.drain);
        if !in_slot {
            if from.is_none() {
                remaps.table.cancel_remap(index, block, slot);
            } else {
                let look = self.lost.lock().has(block);
                remaps.table.cancel_replace(index, block, slot, look);
            }
            // None has taken it, so it was not these slots alone.
            refused.iter().for_each(|slot| remaps.table.give_back(slot));
            return;
        }
        let look = lost.is_some() || fate == Fate::Unsaved;
        let before = self.lost.lock().replace(block, lost);
        drop(before);
        if fate == Fate::Unsaved {
            self.lost.lock().set_unsaved(block);
        }
        match node {
            Some(node) => remaps.table.finish_remap(index, block, slot, look, node),
            // It had an entry before.
            None => remaps.table.finish_replace(index, block, slot, look),
        }
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

    /// Step 5 homeward.
    fn finish_unremap(
        &self,
        mover: &mut Mover,
        moves: KVec<Move>,
        progress: &mut Progress,
    ) -> Left {
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
            mover.lent.remove(moved.block);
            progress.moved = progress.moved.saturating_add(1);
            self.statistics.unremaps.add(1, Relaxed);
            self.log_move(moved.block, moved.slot, "moved back from");
        }
        self.show_remaps(&remaps);
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

impl LiveTable {
    /// Gets ready for the next block that moves, as far as there is memory.
    pub(in crate::remap) fn refill(&self, mover: &mut Mover) {
        mover.reserve.refill(GFP_NOWAIT);
        let mut remaps = self.remaps.lock();
        let _ = self.make_room(&mut remaps, mover, MAX_BATCH);
    }
}
