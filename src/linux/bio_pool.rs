// SPDX-License-Identifier: GPL-2.0

//! Bios for code that must not wait for memory.
//!
//! C header: [`include/linux/bio.h`](srctree/include/linux/bio.h).

use kernel::{
    error::to_result,
    prelude::*,
    types::Opaque, //
};

use super::bindings;

/// Reserve of one bio, for use when no memory can be allocated. A user that holds one bio at a time
/// always gets one.
///
/// # Invariants
///
/// The set is initialised, and none of its bios is in use when this object is dropped.
#[pin_data(PinnedDrop)]
pub(crate) struct BioPool {
    #[pin]
    set: Opaque<bindings::bio_set>,
}

// SAFETY: A set may be used by any number of threads.
unsafe impl Send for BioPool {}
// SAFETY: As above.
unsafe impl Sync for BioPool {}

impl BioPool {
    /// Makes a pool. May sleep.
    pub(crate) fn new() -> Result<Pin<KBox<Self>>> {
        KBox::try_pin_init(
            try_pin_init!(Self {
                set <- Opaque::try_ffi_init(|set: *mut bindings::bio_set| {
                    // SAFETY: The place is valid for writes, and bioset_init() wants a set of zeros.
                    unsafe {
                        set.write_bytes(0, 1);
                        to_result(bindings::bioset_init(set, 1, 0, 0))
                    }
                }),
            }? Error),
            GFP_KERNEL,
        )
    }

    /// Returns the set for C.
    pub(super) fn as_ptr(&self) -> *mut bindings::bio_set {
        self.set.get()
    }
}

#[pinned_drop]
impl PinnedDrop for BioPool {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: By the type invariant.
        unsafe { bindings::bioset_exit(self.set.get()) };
    }
}
