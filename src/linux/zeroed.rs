// SPDX-License-Identifier: GPL-2.0

//! Objects that are too large for a kernel stack and whose empty value is all zero.

use kernel::{
    alloc::flags::__GFP_ZERO,
    prelude::*, //
};
use remap_core::{
    metadata::page::Page,
    stress::{
        delays::Delays,
        histogram::Histogram,
        measurement::Charts,
        trend::Trend, //
    }, //
};

/// Type whose empty value is all bytes zero.
///
/// # Safety
///
/// All bytes zero is a valid value of the type.
pub(crate) unsafe trait EmptyIsZero: Sized {
    /// Makes the empty value in a box, never on the stack. May sleep. `ENOMEM`.
    fn boxed() -> Result<KVBox<Self>> {
        let memory = KVBox::<Self>::new_uninit(GFP_KERNEL | __GFP_ZERO)?;
        // SAFETY: The memory is zero, which is a valid value.
        Ok(unsafe { memory.assume_init() })
    }

    /// Returns an initialiser that makes the empty value in place, for fields and locks.
    fn in_place() -> impl Init<Self> {
        let init = |slot: *mut Self| {
            // SAFETY: The slot is memory for a value.
            unsafe { slot.write_bytes(0, 1) };
            Ok(())
        };
        // SAFETY: All zero is a valid value.
        unsafe { pin_init::init_from_closure(init) }
    }
}

// SAFETY: Integers only; the type's documentation says that zero is empty.
unsafe impl EmptyIsZero for Histogram {}
// SAFETY: As above.
unsafe impl EmptyIsZero for Delays {}
// SAFETY: As above.
unsafe impl EmptyIsZero for Trend {}
// SAFETY: As above.
unsafe impl EmptyIsZero for Charts {}
// SAFETY: Bytes only; a page of zeros is a blank one.
unsafe impl<const N: usize> EmptyIsZero for [Page; N] {}
