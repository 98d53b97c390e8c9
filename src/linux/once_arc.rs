// SPDX-License-Identifier: GPL-2.0

//! A place for an `Arc` that comes later.

use core::{
    marker::PhantomData,
    mem::ManuallyDrop,
    sync::atomic::{
        AtomicPtr,
        Ordering, //
    }, //
};

use kernel::sync::Arc;

/// An `Arc` that is put here once, and stays as long as the place.
///
/// `kernel::sync::SetOnce` is the same, but for the way of every bio: a look into it is a call. This
/// is an atomic of `core`, whose Acquire load is the plain move that smp_load_acquire() is on x86.
///
/// # Invariants
///
/// The pointer is null, or that of an `Arc` that this object owns, and changes only from the one to
/// the other.
pub(crate) struct OnceArc<T> {
    pointer: AtomicPtr<T>,
    _owned: PhantomData<Arc<T>>,
}

impl<T> OnceArc<T> {
    /// An empty place.
    pub(crate) const fn new() -> Self {
        // INVARIANT: Null.
        Self {
            pointer: AtomicPtr::new(core::ptr::null_mut()),
            _owned: PhantomData,
        }
    }

    /// What is here.
    #[inline(always)]
    pub(crate) fn get(&self) -> Option<&T> {
        // SAFETY: By the type invariant.
        unsafe { self.pointer.load(Ordering::Acquire).as_ref() }
    }

    /// What is here, shared.
    pub(crate) fn share(&self) -> Option<Arc<T>> {
        let pointer: *const T = self.get()?;
        // SAFETY: By the type invariant it is an `Arc`'s, which stays ours: it is not dropped here.
        let arc = ManuallyDrop::new(unsafe { Arc::from_raw(pointer) });
        Some((*arc).clone())
    }

    /// Puts `arc` here, unless there is one already.
    pub(crate) fn put(&self, arc: Arc<T>) {
        let new = Arc::into_raw(arc).cast_mut();
        let null = core::ptr::null_mut();
        // INVARIANT: The pointer was null, and is now that of an `Arc` that nobody else owns.
        let put = self
            .pointer
            .compare_exchange(null, new, Ordering::Release, Ordering::Relaxed);
        if put.is_err() {
            // SAFETY: What was made above, and was not put anywhere.
            drop(unsafe { Arc::from_raw(new) });
        }
    }
}

impl<T> Drop for OnceArc<T> {
    fn drop(&mut self) {
        let pointer = *self.pointer.get_mut();
        if !pointer.is_null() {
            // SAFETY: By the type invariant.
            drop(unsafe { Arc::from_raw(pointer) });
        }
    }
}
