// SPDX-License-Identifier: GPL-2.0

//! Moving blocks for messages and for tests.

use core::ops::{
    Deref,
    DerefMut,
    Range, //
};

use kernel::{
    prelude::*,
    sync::atomic::Relaxed, //
};
use remap_core::table::{
    geometry::SectorRange,
    remap_table::{
        MoveRefusal,
        Tree, //
    }, //
};

use super::guard::{
    error_of,
    MoverGuard, //
};
use crate::{
    linux::compat::{
        ENODATA,
        ENOLINK, //
    },
    remap::{
        state::{
            devices::Place,
            mover::batch_of,
            moves::{
                Contents,
                Fate,
                Left,
                Move,
                Progress,
                Toward, //
            },
            remaps::{
                Node,
                RemapTree, //
            }, //
        },
        table::Table, //
    }, //
};

/// The right to move blocks of an active table: the mover is locked, everything that the metadata has to say
/// is written, and no bio is in flight that an earlier pass has waited for in vain.
///
/// When it ends, memory for the next pass is allocated and the state of the metadata is shown.
pub(in crate::remap) struct Pass<'a>(MoverGuard<'a>);

impl<'a> Deref for Pass<'a> {
    type Target = MoverGuard<'a>;

    fn deref(&self) -> &MoverGuard<'a> {
        &self.0
    }
}

impl<'a> DerefMut for Pass<'a> {
    fn deref_mut(&mut self) -> &mut MoverGuard<'a> {
        &mut self.0
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        self.end_moving();
    }
}

impl Table {
    /// Begins a pass. Sleeps until the one under way has ended.
    ///
    /// `EROFS` read-only, `EINTR` a signal is pending, `EAGAIN` suspended or a suspend is waiting, `ENODEV`
    /// gone, `EIO` the metadata cannot be written, `ENOLINK` the spare does not answer, `ETIMEDOUT` bios in flight did
    /// not end.
    pub(in crate::remap) fn begin_pass(&self) -> Result<Pass<'_>> {
        if self.policy.read_only {
            return Err(EROFS);
        }
        self.check_interruption()?;
        if self.spare_liveness.is_out() {
            // A block would move whose metadata cannot be written.
            return Err(ENOLINK);
        }
        let mut guard = self.lock_mover();
        guard.mover.state.admits()?;
        guard.revive_metadata()?;
        guard.settle_gate()?;
        Ok(Pass(guard))
    }

    /// Moves every block that `range` touches to the spare. Returns how far it came, and why not
    /// further.
    ///
    /// Sleeps. `ENOSPC` no slot left, `EIO` the devices refused, `ENOMEM`, and the errors of
    /// [`Table::begin_pass`].
    pub(in crate::remap) fn remap_range(
        &self,
        range: SectorRange,
        contents: Contents,
    ) -> (Progress, Result) {
        let moved = self.in_passes(range, Toward::Spare, |pass, memory, blocks, progress| {
            pass.remap(memory, blocks, contents, progress)
        });
        self.explained(moved)
    }

    /// Moves every remapped block that `range` touches back to main. Returns how far it came, and
    /// why not further.
    ///
    /// Errors as for [`Table::remap_range`]. A block with lost sectors stays (`EIO`): what main has in
    /// their place may be something older. Unread sectors are on main as they always were.
    pub(in crate::remap) fn unremap_range(&self, range: SectorRange) -> (Progress, Result) {
        let moved = self.in_passes(range, Toward::Main, |pass, memory, blocks, progress| {
            pass.unremap(memory, blocks, progress)
        });
        self.explained(moved)
    }

    /// Returns the same, with an error for the sender of a message.
    fn explained(&self, (progress, ended): (Progress, Result)) -> (Progress, Result) {
        let places = [Place::Spare, Place::Main];
        let ended = ended.map_err(|error| self.explain(error, &places));
        (progress, ended)
    }

    /// Moves the block of `sector` to the spare, where it is lent to a test until the test or a message
    /// moves it back, or a message wants it there. Nothing is lost.
    ///
    /// Errors as for [`Table::remap_range`]; `EEXIST` where it is there already, `ENODATA` where
    /// main cannot read all of it, or has failed there before.
    pub(crate) fn lend(&self, sector: u64) -> Result {
        let range = SectorRange::new(sector, 1).ok_or(EINVAL)?;
        let mut node = Some(Node::new(GFP_KERNEL)?);
        let (progress, ended) =
            self.in_passes(range, Toward::Spare, |pass, memory, blocks, progress| {
                let block = blocks.start;
                pass.remap(memory, blocks, Contents::Whole, progress)?;
                if let Some(node) = node.take().filter(|_| progress.moved > 0) {
                    pass.mover.lent.insert(block, 0, node);
                }
                Ok(())
            });
        self.report_health();
        ended?;
        if progress.moved == 0 {
            return Err(EEXIST);
        }
        Ok(())
    }

    /// Moves the block of `sector` back that was lent.
    ///
    /// Errors as for [`Table::unremap_range`]; `ENODATA` where it is not lent any more.
    pub(crate) fn take_back(&self, sector: u64) -> Result {
        let range = SectorRange::new(sector, 1).ok_or(EINVAL)?;
        let (progress, ended) =
            self.in_passes(range, Toward::Main, |pass, memory, blocks, progress| {
                if pass.mover.lent.get(blocks.start).is_none() {
                    progress.next = blocks.end;
                    return Ok(());
                }
                pass.unremap(memory, blocks, progress)
            });
        self.report_health();
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

    /// Calls `with` with passes and the blocks of `range` that are left, until none is.
    fn in_passes(
        &self,
        range: SectorRange,
        toward: Toward,
        mut with: impl FnMut(&mut Pass<'_>, Memory, Range<u64>, &mut Progress) -> Result,
    ) -> (Progress, Result) {
        let (first, end) = range.blocks(self.places.block);
        let mut progress = Progress {
            next: first,
            ..Progress::default()
        };
        while progress.next < end {
            let blocks = progress.next..end;
            let ended = self.in_pass(blocks, toward, &mut with, &mut progress);
            if ended.is_err() {
                return (progress, ended);
            }
        }
        (progress, Ok(()))
    }

    /// Calls `with` with one pass. All that the pass needs is allocated before it begins: what writes memory out may wait
    /// for the pass.
    fn in_pass(
        &self,
        blocks: Range<u64>,
        toward: Toward,
        with: &mut impl FnMut(&mut Pass<'_>, Memory, Range<u64>, &mut Progress) -> Result,
        progress: &mut Progress,
    ) -> Result {
        let count = blocks.end.saturating_sub(blocks.start);
        let room = count.min(batch_of(self.places.block) as u64) as usize;
        // Homeward no block gets an entry.
        let entries = if toward == Toward::Spare { room } else { 0 };
        self.grow_index(entries)?;
        let memory = Memory::new(room, entries)?;
        let mut pass = self.begin_pass()?;
        with(&mut pass, memory, blocks, progress)
    }
}

/// Memory for the blocks of a pass.
struct Memory {
    moves: KVec<Move>,
    nodes: KVec<Node>,
}

impl Memory {
    /// Allocates memory for so many blocks, of which some get an entry in the remap table. May sleep. `ENOMEM`.
    fn new(blocks: usize, entries: usize) -> Result<Self> {
        let mut memory = Self {
            moves: KVec::with_capacity(blocks, GFP_KERNEL)?,
            nodes: KVec::with_capacity(entries, GFP_KERNEL)?,
        };
        for _ in 0..entries {
            let node = Node::new(GFP_KERNEL)?;
            memory
                .nodes
                .push_within_capacity(node)
                .map_err(|_| ENOMEM)?;
        }
        Ok(memory)
    }
}

impl Pass<'_> {
    /// Moves the first of `blocks` to the spare that are not there.
    fn remap(
        &mut self,
        mut memory: Memory,
        blocks: Range<u64>,
        contents: Contents,
        progress: &mut Progress,
    ) -> Result {
        let table = self.table;
        let batch = blocks.start.saturating_add(memory.nodes.len() as u64);
        let blocks = blocks.start..blocks.end.min(batch);
        let reserved = self.reserve(blocks, contents, &mut memory, progress);
        let Memory { mut moves, .. } = memory;
        if moves.is_empty() {
            return reserved;
        }
        table.spare_cache.occupy();
        let drained = self.drain();
        let copied = drained.and_then(|()| match contents {
            Contents::Copied | Contents::Whole => self.copy_out(&mut moves, contents),
            Contents::Left => self.leave(&mut moves),
        });
        let recorded = self.record(&mut moves, Toward::Spare);
        let left = self.finish_remap(moves, progress);
        table.release_held();
        self.record_bad();
        left.end_pass(copied.and(recorded), progress)?;
        if left.put_off.is_some() {
            return Ok(());
        }
        reserved
    }

    /// Moves the first of `blocks` back to main that are on the spare.
    fn unremap(&mut self, memory: Memory, blocks: Range<u64>, progress: &mut Progress) -> Result {
        let table = self.table;
        let Memory { mut moves, .. } = memory;
        let recalled = self.recall(blocks, &mut moves, progress);
        if moves.is_empty() {
            return recalled;
        }
        let drained = self.drain();
        let copied = drained.and_then(|()| self.copy_home(&mut moves));
        let recorded = self.record(&mut moves, Toward::Main);
        let left = self.finish_unremap(moves, progress);
        table.release_held();
        left.end_pass(copied.and(recorded), progress)?;
        recalled
    }

    /// Step 1 outward. Takes the next run of blocks that are not remapped; those before it are
    /// passed over. What was reserved before an error is in the moves of `memory`, and is to be moved.
    fn reserve(
        &mut self,
        blocks: Range<u64>,
        contents: Contents,
        Memory { moves, nodes }: &mut Memory,
        progress: &mut Progress,
    ) -> Result {
        let room = nodes.len();
        let table = self.table;
        let mut remaps = table.remaps.lock();
        self.make_room(&mut remaps, room)?;
        // One is left for when one of them turns out bad.
        let most = remaps.free_slots().saturating_sub(1).max(1) as usize;
        for block in blocks {
            if moves.len() == most {
                break;
            }
            if contents != Contents::Whole {
                // The sender wants it there: it is lent no more.
                self.mover.lent.remove(block);
            } else if remaps.is_pending(block) {
                return Err(ENODATA);
            }
            match remaps.begin_remap(self.index(), block) {
                Ok(slot) => moves
                    .push_within_capacity(Move::new(block, slot, nodes.pop()))
                    .map_err(|_| ENOMEM)?,
                Err(MoveRefusal::Remapped) if moves.is_empty() => {
                    progress.already = progress.already.saturating_add(1);
                }
                Err(MoveRefusal::Remapped) => break,
                Err(refusal) => return Err(error_of(refusal)),
            }
            progress.next = block.saturating_add(1);
        }
        Ok(())
    }

    /// Step 1 homeward: takes the next remapped blocks, as many as a pass has room for.
    fn recall(
        &mut self,
        blocks: Range<u64>,
        moves: &mut KVec<Move>,
        progress: &mut Progress,
    ) -> Result {
        let table = self.table;
        let mut remaps = table.remaps.lock();
        self.make_room(&mut remaps, 0)?;
        while moves.len() < moves.capacity() {
            let next = remaps.at_or_after(progress.next);
            let Some((block, _)) = next.filter(|(block, _)| *block < blocks.end) else {
                progress.next = blocks.end;
                break;
            };
            progress.next = block;
            if table.lost.lock().has_lost(block) {
                return if moves.is_empty() { Err(EIO) } else { Ok(()) };
            }
            if let Ok(slot) = remaps.begin_unremap(self.index(), block) {
                let moved = Move::new(block, slot, None);
                moves.push_within_capacity(moved).map_err(|_| ENOMEM)?;
            }
            progress.next = block.saturating_add(1);
        }
        Ok(())
    }

    /// Step 5 outward.
    fn finish_remap(&mut self, moves: KVec<Move>, progress: &mut Progress) -> Left {
        let table = self.table;
        let mut left = Left::default();
        let mut remaps = table.remaps.lock();
        for moved in moves {
            left.record(moved.block, moved.fate);
            if moved.fate == Fate::Copied {
                progress.moved = progress.moved.saturating_add(1);
                table.statistics.manual_remaps.add(1, Relaxed);
                self.log_move(moved.block, moved.slot, "moved to");
            }
            self.settle_move(&mut remaps, moved);
        }
        table.remaps.publish(&remaps);
        left
    }

    /// Step 5 homeward.
    fn finish_unremap(&mut self, moves: KVec<Move>, progress: &mut Progress) -> Left {
        let table = self.table;
        let mut left = Left::default();
        let mut remaps = table.remaps.lock();
        for moved in moves {
            left.record(moved.block, moved.fate);
            if moved.fate != Fate::Copied {
                let unsaved = moved.fate == Fate::Unsaved;
                if unsaved {
                    table.lost.lock().set_unsaved(moved.block);
                }
                let look = table.lost.lock().has(moved.block) || unsaved;
                remaps.cancel_unremap(self.index(), moved.block, look);
                continue;
            }
            remaps.finish_unremap(self.index(), moved.block);
            let forgotten = table.lost.lock().replace(moved.block, None);
            drop(forgotten);
            self.mover.lent.remove(moved.block);
            progress.moved = progress.moved.saturating_add(1);
            table.statistics.unremaps.add(1, Relaxed);
            self.log_move(moved.block, moved.slot, "moved back from");
        }
        table.remaps.publish(&remaps);
        left
    }
}
