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

/// A kernel thread that runs a closure.
///
/// Dropping it asks the thread to stop, wakes it, and waits until it has ended; with it goes
/// everything that the closure owned. A thread may also end by itself before.
///
/// # Invariants
///
/// `task` is a kernel thread that this object owns a reference to and that nobody else stops.
/// `body` is the box that the thread was given; it is the thread's own once the thread runs.
pub(crate) struct Kthread {
    task: NonNull<bindings::task_struct>,
    body: NonNull<c_void>,
    discard: unsafe fn(NonNull<c_void>),
}

// SAFETY: A thread may be stopped from any other thread, and the closure was `Send`.
unsafe impl Send for Kthread {}
// SAFETY: Nothing can be done through a shared reference.
unsafe impl Sync for Kthread {}

/// Proof of running in a [`Kthread`]; stays there.
pub(crate) struct Current(PhantomData<*mut ()>);

impl Current {
    /// CPU time that this thread has used, in nanoseconds, as the scheduler last accounted it.
    pub(crate) fn cpu_time(&self) -> u64 {
        // SAFETY: The current task reads its own accounting.
        unsafe { bindings::current_cpu_time() }
    }

    /// Lets others run, if they wait for the CPU. May sleep.
    pub(crate) fn yield_now(&self) {
        // SAFETY: A kernel thread may sleep here.
        unsafe { bindings::cond_resched() };
    }
}

impl Kthread {
    /// Starts a thread called `name` that runs `body`. May sleep.
    pub(crate) fn spawn<F>(name: &CStr, body: F) -> Result<Self>
    where
        F: FnOnce(&Current) + Send + 'static,
    {
        let body = KBox::into_raw(KBox::new(body, GFP_KERNEL)?);
        // SAFETY: A box is never null.
        let body = unsafe { NonNull::new_unchecked(body) }.cast::<c_void>();
        // SAFETY: `run::<F>` takes exactly the box that it is given, and the name is printed by a
        // format of its own.
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
        // SAFETY: The new thread waits to be woken, so it is there to take a reference to.
        unsafe { bindings::get_task_struct(task.as_ptr()) };
        // SAFETY: As above.
        unsafe { bindings::wake_up_process(task.as_ptr()) };
        // INVARIANT: We own the reference just taken, and the thread has the box.
        Ok(Self {
            task,
            body,
            discard: discard::<F>,
        })
    }
}

impl Drop for Kthread {
    fn drop(&mut self) {
        // SAFETY: By the type invariants the thread is there and ours to stop.
        let result = unsafe { bindings::kthread_stop_put(self.task.as_ptr()) };
        // `run` returns 0: anything else means that the thread never came to it.
        if result != 0 {
            // SAFETY: The thread has ended without taking the box.
            unsafe { (self.discard)(self.body) };
        }
    }
}

/// What the thread runs.
///
/// # Safety
///
/// `body` is a box of `F` that the thread becomes the owner of.
unsafe extern "C" fn run<F>(body: *mut c_void) -> c_int
where
    F: FnOnce(&Current) + Send + 'static,
{
    // SAFETY: The caller gives us the box.
    let body = unsafe { KBox::<F>::from_raw(body.cast()) };
    KBox::into_inner(body)(&Current(PhantomData));
    0
}

/// Frees a closure that no thread has run.
///
/// # Safety
///
/// `body` is a box of `F` that nobody else uses.
unsafe fn discard<F>(body: NonNull<c_void>) {
    // SAFETY: The caller gives us the box.
    drop(unsafe { KBox::<F>::from_raw(body.as_ptr().cast()) });
}
