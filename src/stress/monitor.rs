// SPDX-License-Identifier: GPL-2.0

//! Thread that watches a test and ends it.

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

/// Number of samples of a test that is too short for so many at the usual interval.
const SAMPLES: u64 = 16;

/// Shortest time between two samples, in nanoseconds. A shorter sample means nothing.
const SHORTEST_NS: u64 = 100_000_000;

/// Longest time between two checks for hazards, in nanoseconds.
const GUARD_NS: u64 = 100_000_000;

/// Starts the monitor of `run`, which drops `end` when the test is over. May sleep.
///
/// The monitor hands the run to `ended` after all other threads of the run have ended.
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

/// Takes samples, and checks for hazards, until the test is over.
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
    // A sample of less than half an interval means little.
    if run.age_ns().saturating_sub(sampled) >= interval / 2 {
        run.sample();
    }
}
