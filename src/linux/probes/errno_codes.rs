// SPDX-License-Identifier: GPL-2.0

//! Codes of `include/uapi/asm-generic/errno.h`.

pub use kernel::error::code::{
    EILSEQ,
    ENODATA,
    ENOLINK,
    EREMOTEIO, //
};
