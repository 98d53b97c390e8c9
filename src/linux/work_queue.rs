// SPDX-License-Identifier: GPL-2.0

//! Queues of work that goes on when memory is short.
//!
//! C header: [`include/linux/workqueue.h`](srctree/include/linux/workqueue.h).

use core::{
    ops::Deref,
    ptr::NonNull, //
};

use kernel::{
    prelude::*,
    str::{
        CStr,
        CStrExt, //
    },
    workqueue::Queue, //
};

use super::bindings;

/// A work queue whose work others wait for: it comes before theirs, and has a thread of its own that
/// steps in where none can be made. Dropped, it waits for what is queued, so not from its own work.
///
/// # Invariants
///
/// The pointer is a work queue that this object owns.
pub(crate) struct WorkQueue(NonNull<bindings::workqueue_struct>);

// SAFETY: A queue may be used and destroyed by any thread.
unsafe impl Send for WorkQueue {}
// SAFETY: As above.
unsafe impl Sync for WorkQueue {}

impl WorkQueue {
    /// A new queue. May sleep.
    pub(crate) fn new(name: &'static CStr) -> Result<Self> {
        // SAFETY: The name has no conversions.
        let queue = unsafe { bindings::work_queue_create(name.as_char_ptr()) };
        // INVARIANT: Just created.
        Ok(Self(NonNull::new(queue).ok_or(ENOMEM)?))
    }
}

impl Deref for WorkQueue {
    type Target = Queue;

    fn deref(&self) -> &Queue {
        // SAFETY: By the type invariant.
        unsafe { Queue::from_raw(self.0.as_ptr()) }
    }
}

impl Drop for WorkQueue {
    fn drop(&mut self) {
        // SAFETY: By the type invariant.
        unsafe { bindings::destroy_workqueue(self.0.as_ptr()) };
    }
}
