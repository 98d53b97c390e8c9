// SPDX-License-Identifier: GPL-2.0

//! Pending blocks: those that main has failed to read or write, and that are still there.
//!
//! They are known as long as the table lives. Reads keep trying; the next write moves the block to the
//! spare. A read of several blocks that fails does not say which of them it was: they are suspects, and
//! are read one by one.

use core::ops::ControlFlow;

use kernel::prelude::*;

use super::table::Table;

impl Table {
    /// Reads one suspect, and marks it as pending where that fails. Returns whether there was a suspect.
    /// Process context.
    pub(super) fn probe_suspect(&self) -> bool {
        let mut guard = self.lock_mover();
        if guard.mover.state.admits().is_err() || self.policy.main_fails() {
            guard.mover.suspects.clear();
        }
        let Some(block) = guard.mover.suspects.pop() else {
            return false;
        };
        if guard.reads_well(block) == Ok(false) {
            guard.mark_pending(block);
        }
        true
    }

    /// Gives every pending block another try, and forgets those that main reads well. Returns how many
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
        if let Err(error) = self.check_interruption() {
            return ControlFlow::Break(Err(error));
        }
        let mut guard = self.lock_mover();
        if let Err(error) = guard.mover.state.admits() {
            return ControlFlow::Break(Err(error));
        }
        let Some(block) = self.remaps.lock().pending_at_or_after(*next) else {
            return ControlFlow::Break(Ok(()));
        };
        *next = block.saturating_add(1);
        match guard.reads_well(block) {
            Ok(true) => {
                guard.clear_pending(block);
                ControlFlow::Continue(true)
            }
            Ok(false) => ControlFlow::Continue(false),
            Err(error) => ControlFlow::Break(Err(error)),
        }
    }
}
