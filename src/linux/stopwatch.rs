// SPDX-License-Identifier: GPL-2.0

//! How long a stretch of code takes that may lose its CPU.

use kernel::time::{
    Instant,
    Monotonic, //
};

use super::bindings;

/// A running stopwatch. Started and read in one context, on behalf of the code between.
#[derive(Clone, Copy)]
pub(crate) struct Stopwatch {
    start: Instant<Monotonic>,
    switches: u64,
}

impl Stopwatch {
    /// Starts.
    pub(crate) fn start() -> Self {
        Self {
            // SAFETY: Only reads the current task.
            switches: unsafe { bindings::context_switches() },
            start: Instant::now(),
        }
    }

    /// Nanoseconds since the start, at most [`u32::MAX`]; `None` where the thread was off its CPU
    /// meanwhile, so that the time is somebody else's.
    pub(crate) fn read(&self) -> Option<u32> {
        let elapsed = self.start.elapsed().as_nanos();
        // SAFETY: Only reads the current task.
        let switches = unsafe { bindings::context_switches() };
        (switches == self.switches).then(|| u32::try_from(elapsed).unwrap_or(u32::MAX))
    }
}
