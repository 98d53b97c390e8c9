// SPDX-License-Identifier: GPL-2.0

//! Random numbers.
//!
//! C header: [`include/linux/random.h`](srctree/include/linux/random.h).

use super::bindings;

/// Returns an unpredictable number. Any context.
pub(crate) fn random_u64() -> u64 {
    let mut bytes = [0_u8; 8];
    // SAFETY: There are eight bytes to write.
    unsafe { bindings::get_random_bytes(bytes.as_mut_ptr().cast(), bytes.len()) };
    u64::from_ne_bytes(bytes)
}
