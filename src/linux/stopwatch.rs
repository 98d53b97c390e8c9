// SPDX-License-Identifier: GPL-2.0

//! Timing of short stretches of code.

use kernel::time::{
    Instant,
    Monotonic, //
};

use super::compat::{
    local_interrupt_disable,
    LocalInterruptDisabled, //
};

/// Running stopwatch. Interrupts are off while it lives, so that the time is that of the timed code alone.
/// The code should be short, and must not sleep.
pub(crate) struct Stopwatch {
    start: Instant<Monotonic>,
    _undisturbed: LocalInterruptDisabled,
}

impl Stopwatch {
    /// Starts a stopwatch. Any context.
    pub(crate) fn start() -> Self {
        let undisturbed = local_interrupt_disable();
        Self {
            start: Instant::now(),
            _undisturbed: undisturbed,
        }
    }

    /// Returns the nanoseconds since the start, at most [`u32::MAX`]. One read of the clock is included.
    pub(crate) fn read(&self) -> u32 {
        u32::try_from(self.start.elapsed().as_nanos()).unwrap_or(u32::MAX)
    }
}
