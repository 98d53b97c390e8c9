// SPDX-License-Identifier: GPL-2.0

//! Sections whose allocations never wait for I/O.
//!
//! C header: [`include/linux/sched/mm.h`](srctree/include/linux/sched/mm.h).

use kernel::types::NotThreadSafe;

use super::bindings;

/// Guard that makes every allocation of this thread GFP_NOIO while it lives. Such an allocation does not
/// wait for a page to be written out, perhaps through a bio that the target holds.
///
/// Guards nest. The last one made is dropped first.
pub(crate) struct NoIo {
    before: u32,
    _thread: NotThreadSafe,
}

impl NoIo {
    /// Begins a section.
    pub(crate) fn enter() -> Self {
        Self {
            // SAFETY: Only changes a flag of the current task.
            before: unsafe { bindings::noio_save() },
            _thread: kernel::types::NotThreadSafe,
        }
    }
}

impl Drop for NoIo {
    fn drop(&mut self) {
        // SAFETY: The matching call returned this value, on the same thread.
        unsafe { bindings::noio_restore(self.before) };
    }
}
