// SPDX-License-Identifier: GPL-2.0

//! Refusals of writes to files: a line in the log and an error.

use core::fmt::Arguments;

use kernel::prelude::*;

/// Logs why a write to `file` is refused, and returns the error for it.
pub(super) fn refuse(file: &str, why: Arguments<'_>, error: Error) -> Error {
    pr_err!("{file}: {why}\n");
    error
}

/// Logs that there is no memory for the test that `file` starts, if `error` is `ENOMEM`. Returns `error`.
pub(super) fn no_memory(file: &str, error: Error) -> Error {
    if error == ENOMEM {
        pr_err!("{file}: not enough memory for the test\n");
    }
    error
}

/// Logs that a write to `file` is refused while a test runs, and returns the error for it: `EBUSY`.
pub(super) fn busy(file: &str) -> Error {
    refuse(file, format_args!("a test runs already"), EBUSY)
}

/// Logs that a write to `file` names no remap device, and returns the error for it: `ENODEV`.
pub(super) fn no_such_device(file: &str) -> Error {
    refuse(file, format_args!("device: no such remap device"), ENODEV)
}
