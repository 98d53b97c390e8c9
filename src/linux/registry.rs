// SPDX-License-Identifier: GPL-2.0

//! Lists that live as long as the module.

/// Defines a list under a mutex that lives as long as the module.
///
/// Expands to a module `$name` with two functions. `init()` is called in the module's init, before all else.
/// `with()` runs a closure on the locked list. The list has to be empty, and without capacity, when the
/// module is unloaded.
macro_rules! registry {
    ($(#[$meta:meta])* $vis:vis mod $name:ident: $item:ty) => {
        $(#[$meta])*
        $vis mod $name {
            #[allow(unused_imports)]
            use super::*;
            use kernel::sync::atomic::{
                Atomic,
                Full, //
            };

            kernel::sync::global_lock! {
                // SAFETY: `init` is called once, before anything else of the module is reachable.
                unsafe(uninit) static LIST: Mutex<KVec<$item>> = KVec::new();
            }

            static READY: Atomic<bool> = Atomic::new(false);

            /// Initialises the list. Does nothing on later calls.
            pub(crate) fn init() {
                if !READY.xchg(true, Full) {
                    // SAFETY: The flag lets only one caller through.
                    unsafe { LIST.init() };
                }
            }

            /// Runs `with` on the list. May sleep.
            pub(crate) fn with<R>(with: impl FnOnce(&mut KVec<$item>) -> R) -> R {
                let mut list = LIST.lock();
                with(&mut list)
            }
        }
    };
}
pub(crate) use registry;
