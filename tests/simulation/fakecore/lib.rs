// SPDX-License-Identifier: GPL-2.0

//! The real `core`, but for two atomics: each use of one is a point where another task may run.

#![no_std]

pub use ::core::*;

/// As in the real one.
pub mod sync {
    pub use ::core::sync::*;

    /// As in the real one, with other `AtomicU64` and `AtomicPtr`.
    pub mod atomic {
        use ::core::sync::atomic as real;
        pub use ::core::sync::atomic::*;

        /// A word that others may change at any moment.
        #[derive(Debug, Default)]
        #[repr(transparent)]
        pub struct AtomicU64(real::AtomicU64);

        impl AtomicU64 {
            /// As in the real one.
            pub const fn new(value: u64) -> Self {
                Self(real::AtomicU64::new(value))
            }

            /// As in the real one.
            #[inline]
            pub fn load(&self, order: Ordering) -> u64 {
                machine::point();
                self.0.load(order)
            }

            /// As in the real one.
            #[inline]
            pub fn store(&self, value: u64, order: Ordering) {
                machine::point();
                self.0.store(value, order);
            }

            /// As in the real one.
            pub fn fetch_or(&self, value: u64, order: Ordering) -> u64 {
                machine::point();
                self.0.fetch_or(value, order)
            }

            /// As in the real one.
            pub fn fetch_and(&self, value: u64, order: Ordering) -> u64 {
                machine::point();
                self.0.fetch_and(value, order)
            }

            /// As in the real one.
            pub fn fetch_add(&self, value: u64, order: Ordering) -> u64 {
                machine::point();
                self.0.fetch_add(value, order)
            }
        }

        /// A pointer that others may change at any moment.
        #[derive(Debug)]
        #[repr(transparent)]
        pub struct AtomicPtr<T>(real::AtomicPtr<T>);

        impl<T> AtomicPtr<T> {
            /// As in the real one.
            pub const fn new(pointer: *mut T) -> Self {
                Self(real::AtomicPtr::new(pointer))
            }

            /// As in the real one.
            #[inline]
            pub fn load(&self, order: Ordering) -> *mut T {
                machine::point();
                self.0.load(order)
            }

            /// As in the real one.
            pub fn store(&self, pointer: *mut T, order: Ordering) {
                machine::point();
                self.0.store(pointer, order);
            }

            /// As in the real one.
            pub fn get_mut(&mut self) -> &mut *mut T {
                self.0.get_mut()
            }

            /// As in the real one.
            pub fn compare_exchange(
                &self,
                current: *mut T,
                new: *mut T,
                success: Ordering,
                failure: Ordering,
            ) -> ::core::result::Result<*mut T, *mut T> {
                machine::point();
                self.0.compare_exchange(current, new, success, failure)
            }
        }
    }
}
