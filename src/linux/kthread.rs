// SPDX-License-Identifier: GPL-2.0

//! Kernel threads.
//!
//! C header: [`include/linux/kthread.h`](srctree/include/linux/kthread.h).

use core::{
    marker::PhantomData,
    ptr::NonNull, //
};

use kernel::{
    error::from_err_ptr,
    prelude::*,
    str::CStr, //
};

use super::bindings;

/// Kernel thread that runs a closure.
///
/// Dropping it asks the thread to stop, wakes it, and waits until it has ended. The closure and all that it
/// owned are dropped by then. A thread may also end by itself before.
///
/// # Invariants
///
/// This object owns a reference to `task`, a kernel thread that no other code stops. `body` is the box that
/// the thread was given; the thread owns it once it runs.
pub(crate) struct Kthread {
    task: NonNull<bindings::task_struct>,
    body: NonNull<c_void>,
    discard: unsafe fn(NonNull<c_void>),
}

// SAFETY: A thread may be stopped from any other thread, and the closure was `Send`.
unsafe impl Send for Kthread {}
// SAFETY: Nothing can be done through a shared reference.
unsafe impl Sync for Kthread {}

/// Token of the current [`Kthread`], which cannot leave that thread.
pub(crate) struct Current(PhantomData<*mut ()>);

impl Current {
    /// Returns the CPU time that this thread has used, in nanoseconds, as of the scheduler's last accounting.
    pub(crate) fn cpu_time(&self) -> u64 {
        // SAFETY: The current task reads its own accounting.
        unsafe { bindings::current_cpu_time() }
    }

    /// Lets other threads run if they wait for the CPU. May sleep.
    pub(crate) fn yield_now(&self) {
        // SAFETY: A kernel thread may sleep here.
        unsafe { bindings::cond_resched() };
    }
}

impl Kthread {
    /// Starts a thread `name` that runs `body`. May sleep.
    pub(crate) fn spawn<F>(name: &CStr, body: F) -> Result<Self>
    where
        F: FnOnce(&Current) + Send + 'static,
    {
        let body = KBox::into_raw(KBox::new(body, GFP_KERNEL)?);
        // SAFETY: A box is never null.
        let body = unsafe { NonNull::new_unchecked(body) }.cast::<c_void>();
        // SAFETY: `run::<F>` takes the box that it is given, and the name is not used as a format.
        let task = from_err_ptr(unsafe {
            bindings::kthread_create_on_node(
                Some(run::<F>),
                body.as_ptr(),
                bindings::NUMA_NO_NODE,
                c"%s".as_char_ptr(),
                name.as_char_ptr(),
            )
        })
        .and_then(|task| NonNull::new(task).ok_or(ENOMEM))
        .inspect_err(|_| {
            // SAFETY: There is no thread, so the box is still ours.
            unsafe { discard::<F>(body) }
        })?;
        // SAFETY: The new thread waits to be woken, so it still exists.
        unsafe { bindings::get_task_struct(task.as_ptr()) };
        // SAFETY: As above.
        unsafe { bindings::wake_up_process(task.as_ptr()) };
        // INVARIANT: This object owns the reference just taken, and the thread has the box.
        Ok(Self {
            task,
            body,
            discard: discard::<F>,
        })
    }
}

impl Drop for Kthread {
    fn drop(&mut self) {
        // SAFETY: By the type invariants the thread exists and is ours to stop.
        let result = unsafe { bindings::kthread_stop_put(self.task.as_ptr()) };
        // `run` returns 0: any other value means that the thread was stopped before it ran.
        if result != 0 {
            // SAFETY: The thread has ended without taking the box.
            unsafe { (self.discard)(self.body) };
        }
    }
}

/// Runs the closure in the new thread.
///
/// # Safety
///
/// `body` is a box of `F`, whose owner the thread becomes.
unsafe extern "C" fn run<F>(body: *mut c_void) -> c_int
where
    F: FnOnce(&Current) + Send + 'static,
{
    // SAFETY: The caller gives the box away.
    let body = unsafe { KBox::<F>::from_raw(body.cast()) };
    KBox::into_inner(body)(&Current(PhantomData));
    0
}

/// Frees a closure that no thread has run.
///
/// # Safety
///
/// `body` is a box of `F` that no other code uses.
unsafe fn discard<F>(body: NonNull<c_void>) {
    // SAFETY: The caller gives the box away.
    drop(unsafe { KBox::<F>::from_raw(body.as_ptr().cast()) });
}
