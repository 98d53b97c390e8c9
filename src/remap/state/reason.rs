// SPDX-License-Identifier: GPL-2.0

//! Errors in words.

use kernel::prelude::*;

use crate::linux::compat::ENOLINK;

/// Returns the meaning of an error in words, for a line of the log.
pub(in crate::remap) fn reason(error: Error) -> &'static str {
    match error {
        _ if error == ENOSPC => "no spare block left",
        _ if error == EROFS => "the table is loaded read-only",
        _ if error == EIO => "the devices refused, or sectors are lost",
        _ if error == EAGAIN => "the device is suspended",
        _ if error == EINTR => "interrupted by a signal",
        _ if error == ETIMEDOUT => "bios in flight do not end",
        _ if error == ENODEV => "main_dev is gone",
        _ if error == ENOLINK => "a device does not answer",
        _ if error == ENOMEM => "no memory",
        _ => "failed",
    }
}
