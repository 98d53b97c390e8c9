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

/// Returns whether a line of `level` is to be logged now. Limits the rate, so ask only to log.
pub(crate) fn admits(level: Level) -> bool {
    // SAFETY: Reads a parameter.
    unsafe { bindings::debug_level_admits(level as u32) }
}

/// Logs a line about a mapped device, whose number comes first.
///
/// `device_log!(pr_err, number, "...", arguments)` logs in any case, and
/// `device_log!(pr_info, number, at State, "...", arguments)` where a line of that [`Level`] is admitted.
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
