// SPDX-License-Identifier: GPL-2.0

//! The thread that watches a test and ends it.

use kernel::{
    prelude::*,
    sync::Arc, //
};

use crate::linux::kthread::Kthread;

use super::{
    manager::Manager,
    run::{
        Crew,
        Run, //
    },
};

/// Time from one sample to the next, in nanoseconds.
const INTERVAL_NS: u64 = 1_000_000_000;

/// Shortest span that makes a sample: less says little about a second.
const SHORTEST_NS: u64 = INTERVAL_NS / 2;

/// Starts the monitor of `run`, whose threads are `crew`. It hands the run back to the manager
/// when all of them have ended. May sleep.
pub(super) fn spawn(manager: Arc<Manager>, run: Arc<Run>, crew: Crew) -> Result<Kthread> {
    Kthread::spawn(c"dm_remap_stress/monitor", move |_| {
        watch(&run);
        drop(crew);
        manager.ended(run);
    })
}

/// Samples once a second until the test is to end, and sees to it that it does.
fn watch(run: &Run) {
    let duration = run.duration_ns();
    let mut sampled: u64 = 0;
    run.wait_for_begin();
    while !run.is_over() {
        let age = run.age_ns();
        let next = sampled.saturating_add(INTERVAL_NS);
        if age >= next {
            run.look();
            sampled = age;
            continue;
        }
        run.sleep_until_end(duration.min(next).saturating_sub(age));
    }
    if run.age_ns().saturating_sub(sampled) >= SHORTEST_NS {
        run.look();
    }
}
