// SPDX-License-Identifier: GPL-2.0

//! References, locks and atomics.

use std::ops::{Deref, DerefMut};

use crate::alloc::{AllocError, Flags};

/// Loom finds those that are left, and counts that go wrong.
pub struct Arc<T>(loom::sync::Arc<T>);

impl<T> Arc<T> {
    pub fn new(value: T, _: Flags) -> Result<Self, AllocError> {
        Ok(Self(loom::sync::Arc::new(value)))
    }

    pub fn into_raw(this: Self) -> *const T {
        loom::sync::Arc::into_raw(this.0)
    }

    pub unsafe fn from_raw(pointer: *const T) -> Self {
        // SAFETY: It came from `into_raw`.
        Self(unsafe { loom::sync::Arc::from_raw(pointer) })
    }
}

impl<T> Clone for Arc<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Deref for Arc<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

pub struct SpinLock<T>(loom::sync::Mutex<T>);

pub struct SpinLockGuard<'a, T>(loom::sync::MutexGuard<'a, T>);

impl<T> SpinLock<T> {
    pub fn new(value: T) -> Self {
        Self(loom::sync::Mutex::new(value))
    }

    pub fn lock(&self) -> SpinLockGuard<'_, T> {
        SpinLockGuard(self.0.lock().expect("a model that fails ends at once"))
    }
}

impl<T> Deref for SpinLockGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for SpinLockGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

pub mod barrier {
    use loom::sync::atomic::{fence, Ordering};

    pub struct Read;

    /// Which accesses a barrier keeps apart.
    pub trait Kind {
        const ORDER: Ordering;
    }

    impl Kind for Read {
        const ORDER: Ordering = Ordering::Acquire;
    }

    impl Kind for super::atomic::Full {
        const ORDER: Ordering = Ordering::AcqRel;
    }

    pub fn smp_mb<T: Kind>(_: T) {
        fence(T::ORDER);
    }
}

pub mod atomic {
    use loom::sync::atomic::{AtomicU32, Ordering};

    pub struct Relaxed;
    pub struct Acquire;
    pub struct Release;
    pub struct Full;

    /// An order, as far as this word is concerned.
    pub trait Order {
        const LOAD: Ordering = Ordering::Relaxed;
        const STORE: Ordering = Ordering::Relaxed;
        const BOTH: Ordering;
    }

    impl Order for Relaxed {
        const BOTH: Ordering = Ordering::Relaxed;
    }
    impl Order for Acquire {
        const LOAD: Ordering = Ordering::Acquire;
        const BOTH: Ordering = Ordering::Acquire;
    }
    impl Order for Release {
        const STORE: Ordering = Ordering::Release;
        const BOTH: Ordering = Ordering::Release;
    }
    impl Order for Full {
        const BOTH: Ordering = Ordering::AcqRel;
    }

    /// A word. The only type of them that is used is `u32`.
    #[repr(transparent)]
    pub struct Atomic<T> {
        real: AtomicU32,
        _value: std::marker::PhantomData<T>,
    }

    impl Atomic<u32> {
        pub fn new(value: u32) -> Self {
            Self {
                real: AtomicU32::new(value),
                _value: std::marker::PhantomData,
            }
        }

        pub fn load<O: Order>(&self, _: O) -> u32 {
            self.real.load(O::LOAD)
        }

        pub fn store<O: Order>(&self, value: u32, _: O) {
            self.real.store(value, O::STORE);
        }

        pub fn cmpxchg<O: Order>(&self, old: u32, new: u32, _: O) -> Result<u32, u32> {
            self.real
                .compare_exchange(old, new, O::BOTH, Ordering::Relaxed)
        }
    }
}
