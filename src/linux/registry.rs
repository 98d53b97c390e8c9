// SPDX-License-Identifier: GPL-2.0

//! Lists that belong to the module as a whole.

/// Defines a list under a mutex that lives as long as the module.
///
/// Expands to a module `$name` with `init()`, to be called in the module's init before anything
/// else, and `with()`, which runs a closure on the locked list. The list has to be empty, and without
/// capacity, when the module goes.
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

            /// Makes the list usable.
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
