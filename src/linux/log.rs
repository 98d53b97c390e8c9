// SPDX-License-Identifier: GPL-2.0

//! What goes to the kernel log, by the module's parameter `debug_level`.

use super::bindings;

/// How much a line matters: it is logged where `debug_level` is at least this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Level {
    /// Something has gone wrong, and may again and again.
    Error = 0,
    /// Changes of state: a table comes, goes, is degraded.
    State = 1,
    /// Every relocation.
    Relocation = 2,
}

/// Whether a line of `level` is to be logged now. Limits the rate, so ask only to log.
pub(crate) fn admits(level: Level) -> bool {
    // SAFETY: Reads a parameter.
    unsafe { bindings::debug_level_admits(level as u32) }
}
