// SPDX-License-Identifier: GPL-2.0

//! Enums that are read and written without a lock.

use core::marker::PhantomData;

use kernel::sync::atomic::{
    Atomic,
    Relaxed, //
};
use remap_core::numbered::Numbered;

/// Atomic that holds an enum. Accesses order no other memory.
pub(crate) struct AtomicEnum<T> {
    number: Atomic<u32>,
    _value: PhantomData<fn() -> T>,
}

impl<T: Numbered> AtomicEnum<T> {
    /// Makes an atomic that holds `value`.
    pub(crate) fn new(value: T) -> Self {
        Self {
            number: Atomic::new(value.number()),
            _value: PhantomData,
        }
    }

    /// Returns the value.
    #[inline]
    pub(crate) fn load(&self) -> T {
        T::from_number(self.number.load(Relaxed))
    }

    /// Sets the value.
    #[inline]
    pub(crate) fn store(&self, value: T) {
        self.number.store(value.number(), Relaxed);
    }

    /// Sets the value, and returns the value before.
    pub(crate) fn swap(&self, value: T) -> T {
        T::from_number(self.number.xchg(value.number(), Relaxed))
    }
}
