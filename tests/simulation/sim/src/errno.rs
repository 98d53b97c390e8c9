// SPDX-License-Identifier: GPL-2.0

//! Errors as the kernel returns them.

pub(crate) const ENOENT: i32 = -2;
pub(crate) const ESRCH: i32 = -3;
pub(crate) const EINTR: i32 = -4;
pub(crate) const EIO: i32 = -5;
pub(crate) const ENXIO: i32 = -6;
pub(crate) const EAGAIN: i32 = -11;
pub(crate) const ENOMEM: i32 = -12;
pub(crate) const EBUSY: i32 = -16;
pub(crate) const EEXIST: i32 = -17;
pub(crate) const ENODEV: i32 = -19;
pub(crate) const EINVAL: i32 = -22;
pub(crate) const ENOSPC: i32 = -28;
pub(crate) const EROFS: i32 = -30;
pub(crate) const ENODATA: i32 = -61;
pub(crate) const ENOLINK: i32 = -67;
pub(crate) const ERESTARTSYS: i32 = -512;
