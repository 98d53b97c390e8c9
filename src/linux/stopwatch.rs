// SPDX-License-Identifier: GPL-2.0

//! How long a stretch of code takes.

use kernel::{
    interrupt::{
        local_interrupt_disable,
        LocalInterruptDisabled, //
    },
    time::{
        Instant,
        Monotonic, //
    }, //
};

/// A running stopwatch. The code that it times cannot lose its CPU: not to another thread, and not to
/// an interrupt, which would be somebody else's time. So it should be short, and must not sleep.
pub(crate) struct Stopwatch {
    start: Instant<Monotonic>,
    _undisturbed: LocalInterruptDisabled,
}

impl Stopwatch {
    /// Starts.
    pub(crate) fn start() -> Self {
        let undisturbed = local_interrupt_disable();
        Self {
            start: Instant::now(),
            _undisturbed: undisturbed,
        }
    }

    /// Nanoseconds since the start, at most [`u32::MAX`]. They include one look at the clock.
    pub(crate) fn read(&self) -> u32 {
        u32::try_from(self.start.elapsed().as_nanos()).unwrap_or(u32::MAX)
    }
}
