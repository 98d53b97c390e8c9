// SPDX-License-Identifier: GPL-2.0

//! Lines of the kernel log, filtered by the module's parameter `debug_level`.

use super::bindings;

/// Level of a line: the line is logged if `debug_level` is at least this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Level {
    /// Errors, which may repeat.
    Error = 0,
    /// Changes of state: a table is made, destroyed or degraded.
    State = 1,
    /// Relocations, each of them.
    Relocation = 2,
}

/// Returns whether to log a line of `level` now. Counts against the limit of the rate, so call it only to
/// log.
pub(crate) fn admits(level: Level) -> bool {
    // SAFETY: Reads a parameter.
    unsafe { bindings::debug_level_admits(level as u32) }
}

/// Logs a line about a mapped device, whose number comes first.
///
/// `device_log!(pr_err, number, "...", arguments)` always logs.
/// `device_log!(pr_info, number, at State, "...", arguments)` logs if a line of that [`Level`] is admitted.
macro_rules! device_log {
    ($print:ident, $device:expr, at $level:ident, $($line:tt)+) => {
        if $crate::linux::log::admits($crate::linux::log::Level::$level) {
            $crate::linux::log::device_log!($print, $device, $($line)+);
        }
    };
    ($print:ident, $device:expr, $($line:tt)+) => {
        kernel::$print!(
            "{}: {}\n",
            format_args!("{}", $device),
            format_args!($($line)+)
        )
    };
}
pub(crate) use device_log;
