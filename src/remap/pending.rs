// SPDX-License-Identifier: GPL-2.0

//! Pending blocks: those that main has failed to read or write, and that are still there.
//!
//! They are known as long as the table lives. Reads keep trying; the next write moves the block to the
//! spare. A read of several blocks that fails does not say which of them it was: they are suspects, and
//! are read one by one.

use core::ops::ControlFlow;

use kernel::{
    prelude::*,
    sync::atomic::Relaxed, //
};

use super::{
    live::LiveTable,
    state::mover::Mover, //
};
use crate::linux::{
    log,
    noio::NoIo, //
};

/// Most blocks that are remembered as pending. A device with more of them is not saved by knowing
/// them.
const MOST: u32 = 1 << 16;

impl LiveTable {
    /// Remembers that main has failed where `block` is, if it still is there. Sleeps, without I/O.
    pub(super) fn mark_pending(&self, mover: &mut Mover, block: u64) {
        let Ok(node) = mover.reserve.node() else {
            return;
        };
        let mut remaps = self.remaps.lock();
        if remaps.table.pending_blocks() >= MOST || self.make_room(&mut remaps, mover, 1).is_err() {
            return;
        }
        let before = remaps.table.pending_blocks();
        let index = self.gate.current(&mover.drain);
        let marked = remaps.table.set_pending(index, block, node);
        self.show_remaps(&remaps);
        let new = marked.is_ok() && remaps.table.pending_blocks() != before;
        drop(remaps);
        if new && log::admits(log::Level::State) {
            pr_warn!(
                "{}: sector {} is pending: main_dev cannot read or write it\n",
                format_args!("{}", self.number),
                self.shown_sector(block)
            );
        }
    }

    /// Reads one suspect, and marks it where that fails. Whether there was one.
    pub(super) fn probe_suspect(&self) -> bool {
        let mut mover = self.mover.lock();
        let _noio = NoIo::enter();
        if mover.state.admits().is_err() || self.failing.load(Relaxed) != 0 {
            mover.suspects.clear();
        }
        let Some(block) = mover.suspects.pop() else {
            return false;
        };
        if self.reads_well(&mut mover, block) == Ok(false) {
            self.mark_pending(&mut mover, block);
        }
        true
    }

    /// Whether main reads all of `block`; true where that is no matter, since it is on the spare. Sleeps.
    pub(super) fn reads_well(&self, mover: &mut Mover, block: u64) -> Result<bool> {
        if self.remaps.lock().table.get(block).is_some() {
            return Ok(true);
        }
        let range = self.main_range(block, 1)?;
        self.reads(mover, range)
    }

    /// Gives every pending block another try, and forgets those that main reads well. Tells how many
    /// those were, and how it ended.
    ///
    /// Sleeps. `EAGAIN` suspended, `ENODEV` gone, `EINTR` a signal came; others where main says nothing
    /// of a block.
    pub(super) fn retry_pending(&self) -> (u64, Result) {
        let mut cleared = 0_u64;
        let mut next = 0;
        loop {
            match self.retry_next(&mut next) {
                ControlFlow::Continue(well) => cleared = cleared.saturating_add(u64::from(well)),
                ControlFlow::Break(ended) => return (cleared, ended),
            }
        }
    }

    fn retry_next(&self, next: &mut u64) -> ControlFlow<Result, bool> {
        if let Err(error) = self.may_go_on() {
            return ControlFlow::Break(Err(error));
        }
        let mut mover = self.mover.lock();
        let _noio = NoIo::enter();
        if let Err(error) = mover.state.admits() {
            return ControlFlow::Break(Err(error));
        }
        let Some(block) = self.remaps.lock().table.pending_at_or_after(*next) else {
            return ControlFlow::Break(Ok(()));
        };
        *next = block.saturating_add(1);
        match self.reads_well(&mut mover, block) {
            Ok(true) => {
                let mut remaps = self.remaps.lock();
                let index = self.gate.current(&mover.drain);
                remaps.table.clear_pending(index, block);
                self.show_remaps(&remaps);
                ControlFlow::Continue(true)
            }
            Ok(false) => ControlFlow::Continue(false),
            Err(error) => ControlFlow::Break(Err(error)),
        }
    }
}
