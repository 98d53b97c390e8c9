// SPDX-License-Identifier: GPL-2.0

//! Checksums by the kernel's library, which uses what the processor has.
//!
//! C header: [`include/linux/crc32.h`](srctree/include/linux/crc32.h).

use super::bindings;

/// CRC32C of some bytes, as RFC 3720 has it: from all ones, and inverted. Any context.
pub(crate) fn crc32c(bytes: &[u8]) -> u32 {
    // SAFETY: There are so many bytes.
    !unsafe { bindings::crc32c(u32::MAX, bytes.as_ptr().cast(), bytes.len()) }
}
