// SPDX-License-Identifier: GPL-2.0

//! The thread that watches a test and ends it.

use kernel::{
    prelude::*,
    sync::Arc, //
};

use crate::linux::kthread::Kthread;

use super::run::{
    EndOfRun,
    Run, //
};

/// Time from one sample to the next, in nanoseconds.
const INTERVAL_NS: u64 = 1_000_000_000;

/// Samples that a shorter test is cut into, where they are not too short to say anything.
const SAMPLES: u64 = 16;

/// The shortest span that says something, in nanoseconds.
const SHORTEST_NS: u64 = 100_000_000;

/// Longest time for which nobody looks whether a test that writes may go on, in nanoseconds.
const GUARD_NS: u64 = 100_000_000;

/// Starts the monitor of `run`, which `end` ends.
///
/// The monitor hands the run to `ended` when all other threads of the run have ended. May sleep.
pub(super) fn spawn(
    run: Arc<Run>,
    end: EndOfRun,
    ended: impl FnOnce(Arc<Run>) + Send + 'static,
) -> Result<Kthread> {
    Kthread::spawn(c"dm_remap_stress/monitor", move |_| {
        watch(&run);
        drop(end);
        ended(run);
    })
}

/// Samples at intervals until the test is to end, and sees to it that it does.
fn watch(run: &Run) {
    run.wait_for_begin();
    let interval = run.time_left_ns().map_or(INTERVAL_NS, |duration| {
        (duration / SAMPLES).clamp(SHORTEST_NS, INTERVAL_NS)
    });
    let guarded = if run.may_write() { GUARD_NS } else { u64::MAX };
    let mut sampled: u64 = 0;
    let mut shared = None;
    while !run.is_over() {
        if let Some(guard) = &run.guard {
            guard.look(&mut shared);
        }
        let age = run.age_ns();
        let next = sampled.saturating_add(interval);
        if age >= next {
            run.sample();
            sampled = age;
            continue;
        }
        let left = run.time_left_ns().unwrap_or(u64::MAX);
        run.sleep_until_end(left.min(next.saturating_sub(age)).min(guarded));
    }
    // Less than half says little.
    if run.age_ns().saturating_sub(sampled) >= interval / 2 {
        run.sample();
    }
}
