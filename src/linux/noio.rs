// SPDX-License-Identifier: GPL-2.0

//! Sections whose allocations never wait for I/O.
//!
//! C header: [`include/linux/sched/mm.h`](srctree/include/linux/sched/mm.h).

use kernel::types::NotThreadSafe;

use super::bindings;

/// While it lives, every allocation of this thread is GFP_NOIO: it does not wait for a page to be
/// written out, perhaps through a bio that we hold.
///
/// Guards nest, and end in the reverse order of their beginning.
pub(crate) struct NoIo {
    before: u32,
    _thread: NotThreadSafe,
}

impl NoIo {
    /// Begins such a section.
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
        // SAFETY: What the matching call returned, on the same thread.
        unsafe { bindings::noio_restore(self.before) };
    }
}
