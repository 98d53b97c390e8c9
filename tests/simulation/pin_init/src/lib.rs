// SPDX-License-Identifier: GPL-2.0

//! The kernel's `pin_init`, which was the crate `pinned_init` before: the same macros and traits, of which the
//! kernel's copy has gone on.

#![no_std]

pub use pinned_init::*;

/// Initialises what `slot` points to, as the function of this name in the kernel's copy.
///
/// # Safety
///
/// As for an initialiser: `slot` is memory for a value, which stays where it is.
pub unsafe fn raw_try_init<T, E>(slot: *mut T, init: impl PinInit<T, E>) -> Result<(), E> {
    // SAFETY: The requirements are the same.
    unsafe { init.__pinned_init(slot) }
}
