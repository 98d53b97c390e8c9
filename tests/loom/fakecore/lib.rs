// SPDX-License-Identifier: GPL-2.0

//! The real `core`, but for two atomics, which are loom's.

#![no_std]

pub use ::core::*;

/// As in the real one.
pub mod sync {
    pub use ::core::sync::*;

    /// As in the real one, with other `AtomicU64` and `AtomicPtr`.
    pub mod atomic {
        use ::core::cell::OnceCell;
        pub use ::core::sync::atomic::*;

        pub use loom::sync::atomic::AtomicU64;

        /// A pointer that others may change at any moment.
        ///
        /// It can be made where there is no execution of loom yet, and is known to loom from its first use
        /// on: a model has to use it before it has a second thread.
        #[derive(Debug)]
        pub struct AtomicPtr<T> {
            initial: *mut T,
            real: OnceCell<loom::sync::atomic::AtomicPtr<T>>,
        }

        // SAFETY: As for the real one.
        unsafe impl<T> Send for AtomicPtr<T> {}
        // SAFETY: Loom runs one thread at a time, and switches at uses of `real` only.
        unsafe impl<T> Sync for AtomicPtr<T> {}

        impl<T> AtomicPtr<T> {
            /// As in the real one.
            pub const fn new(pointer: *mut T) -> Self {
                Self {
                    initial: pointer,
                    real: OnceCell::new(),
                }
            }

            fn real(&self) -> &loom::sync::atomic::AtomicPtr<T> {
                self.real
                    .get_or_init(|| loom::sync::atomic::AtomicPtr::new(self.initial))
            }

            /// As in the real one.
            pub fn load(&self, order: Ordering) -> *mut T {
                self.real().load(order)
            }

            /// As in the real one.
            pub fn store(&self, pointer: *mut T, order: Ordering) {
                self.real().store(pointer, order);
            }

            /// As in the real one.
            pub fn get_mut(&mut self) -> &mut *mut T {
                if let Some(mut real) = self.real.take() {
                    self.initial = real.with_mut(|pointer| *pointer);
                }
                &mut self.initial
            }

            /// As in the real one.
            pub fn compare_exchange(
                &self,
                current: *mut T,
                new: *mut T,
                success: Ordering,
                failure: Ordering,
            ) -> ::core::result::Result<*mut T, *mut T> {
                self.real().compare_exchange(current, new, success, failure)
            }
        }
    }
}
