// SPDX-License-Identifier: GPL-2.0

//! Wait queues that may be woken from interrupt context.
//!
//! For a condition that a mutex guards, use [`kernel::sync::CondVar`].
//!
//! C header: [`include/linux/wait.h`](srctree/include/linux/wait.h).

use kernel::{
    prelude::*,
    str::CStr,
    sync::LockClassKey,
    task::MAX_SCHEDULE_TIMEOUT,
    time::{
        msecs_to_jiffies,
        Msecs, //
    },
    types::Opaque, //
};

use super::bindings;

/// Returns a number of jiffies that last `ns` nanoseconds or longer. One is added because the current jiffy
/// has partly passed.
fn jiffies(ns: u64) -> c_long {
    let ms = ns.div_ceil(1_000_000);
    let jiffies = msecs_to_jiffies(Msecs::try_from(ms).unwrap_or(Msecs::MAX)).saturating_add(1);
    c_long::try_from(jiffies).unwrap_or(MAX_SCHEDULE_TIMEOUT)
}

/// Wait queue.
#[pin_data]
pub(crate) struct WaitQueue {
    #[pin]
    head: Opaque<bindings::wait_queue_head>,
}

// SAFETY: A wait queue has its own lock.
unsafe impl Send for WaitQueue {}
// SAFETY: As above.
unsafe impl Sync for WaitQueue {}

impl WaitQueue {
    /// Makes an empty queue. `name` and `key` are for lockdep.
    pub(crate) fn new(name: &'static CStr, key: Pin<&'static LockClassKey>) -> impl PinInit<Self> {
        pin_init!(Self {
            head <- Opaque::ffi_init(|head| {
                // SAFETY: `head` is memory for a wait queue that stays where it is.
                unsafe { bindings::__init_waitqueue_head(head, name.as_char_ptr(), key.as_ptr()) }
            }),
        })
    }

    /// Wakes all waiters. Any context.
    ///
    /// A waiter that wakes sees all earlier writes of the caller when it checks its condition.
    pub(crate) fn notify_all(&self) {
        // SAFETY: The queue is initialised.
        unsafe { bindings::wake_up_sleepers(self.head.get()) };
    }

    /// Sleeps until `ready` returns `true` or, with a time-out, `timeout_ns` nanoseconds have passed. Returns
    /// the last result of `ready`.
    ///
    /// The sleep counts neither as load nor as a hung task. `ready` must not sleep, and must read atomically
    /// all that a waker writes. Process context.
    pub(crate) fn wait_idle(
        &self,
        timeout_ns: Option<u64>,
        mut ready: impl FnMut() -> bool,
    ) -> bool {
        if ready() {
            return true;
        }
        let entry = Opaque::<bindings::wait_queue_entry>::uninit();
        let mut left = timeout_ns.map_or(MAX_SCHEDULE_TIMEOUT, jiffies);
        // SAFETY: The entry stays where it is until finish_wait() below takes it off the queue.
        unsafe { bindings::init_wait(entry.get()) };
        let woken = loop {
            // SAFETY: Queue and entry are initialised.
            unsafe {
                bindings::prepare_to_wait(
                    self.head.get(),
                    entry.get(),
                    bindings::TASK_IDLE as c_int,
                )
            };
            if ready() {
                break true;
            }
            if left == 0 {
                break false;
            }
            // SAFETY: The caller is in process context.
            left = unsafe { bindings::schedule_timeout(left) };
        };
        // SAFETY: As above.
        unsafe { bindings::finish_wait(self.head.get(), entry.get()) };
        woken
    }
}

/// Creates a [`WaitQueue`] initialiser with a lockdep class of its own.
macro_rules! new_wait_queue {
    ($name:literal) => {
        $crate::linux::wait::WaitQueue::new(
            ::kernel::optional_name!($name),
            ::kernel::static_lock_class!(),
        )
    };
}
pub(crate) use new_wait_queue;
