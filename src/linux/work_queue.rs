// SPDX-License-Identifier: GPL-2.0

//! Work queues that make progress under memory pressure.
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

/// Work queue with a high priority and a rescuer thread (`WQ_HIGHPRI`, `WQ_MEM_RECLAIM`), for work that
/// bios wait for.
///
/// Dropping waits for the queued work. So the queue must not be dropped by work of its own.
///
/// # Invariants
///
/// The pointer is that of a work queue that this object owns.
pub(crate) struct WorkQueue(NonNull<bindings::workqueue_struct>);

// SAFETY: A queue may be used and destroyed by any thread.
unsafe impl Send for WorkQueue {}
// SAFETY: As above.
unsafe impl Sync for WorkQueue {}

impl WorkQueue {
    /// Makes a queue. May sleep. `ENOMEM`.
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
