// SPDX-License-Identifier: GPL-2.0

//! Scrubs and retries that a table starts of its own accord, at the intervals that users set.
//!
//! The keeper starts them. A table that is suspended starts nothing, and a resume wakes the keeper: what was due
//! meanwhile is done at once.

use kernel::{
    prelude::*,
    sync::Arc, //
};
use remap_core::table::{
    settings::Setting,
    upkeep::Task, //
};

use super::{
    scrub,
    state::reason::reason,
    table::Table, //
};
use crate::linux::{
    compat::ENOLINK,
    log::device_log, //
};

/// Shortest time between two looks, in milliseconds. What could not be done is due all the time.
const SHORTEST_PAUSE: u64 = 1000;

/// Takes a change of a setting into account. An interval counts from now on. May sleep.
pub(super) fn take_setting(table: &Table, setting: Setting) {
    if let Some(task) = Task::of(setting) {
        let now = table.clock.now();
        table.clock.upkeep.lock().record(task, now);
    }
}

/// Returns the time until something is due, in milliseconds, if anything ever is. Sleeps.
pub(super) fn wait(table: &Table) -> Option<u64> {
    let settings = table.policy.settings();
    let upkeep = *table.clock.upkeep.lock();
    let wait = upkeep.next_in(table.clock.now(), &settings)?;
    Some(wait.max(SHORTEST_PAUSE))
}

/// Does what is due. Sleeps. The caller holds no lock.
pub(super) fn do_due(table: &Arc<Table>) {
    let active = table.mover.lock().state.admits().is_ok();
    // Otherwise the next resume wakes the caller.
    if active {
        for task in Task::ALL {
            do_if_due(table, task);
        }
    }
}

/// Does a task if it is due. Sleeps.
fn do_if_due(table: &Arc<Table>, task: Task) {
    let now = table.clock.now();
    let settings = table.policy.settings();
    let due = table.clock.upkeep.lock().due_in(task, now, &settings);
    if due != Some(0) {
        return;
    }
    let (name, ended) = match task {
        Task::Retry => {
            let (_, ended) = table.retry();
            table.report_health();
            ("retry", ended)
        }
        Task::Scrub => ("scrub", scrub::start(table, None)),
    };
    match ended {
        // For a suspend, whose resume finds that it is still due, or an outage.
        Err(error) if [EAGAIN, ENODEV, ENOLINK].contains(&error) => return,
        // A user has started one.
        Err(error) if error == EBUSY => {}
        Err(error) => {
            device_log!(
                pr_err,
                table.number,
                at Error,
                "{} at its interval failed: {}",
                name,
                reason(error)
            );
        }
        Ok(()) => {}
    }
    table.clock.upkeep.lock().record(task, now);
}
