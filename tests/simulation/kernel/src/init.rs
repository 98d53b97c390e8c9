// SPDX-License-Identifier: GPL-2.0

//! Objects that are made where they stay.

use pin_init::PinInit;

use crate::{
    alloc::{AllocError, Flags},
    error::{Error, Result}, //
};

pub trait InPlaceInit<T>: Sized {
    type PinnedSelf;

    fn try_pin_init<E>(init: impl PinInit<T, E>, flags: Flags) -> Result<Self::PinnedSelf, E>
    where
        E: From<AllocError>;

    fn pin_init<E>(init: impl PinInit<T, E>, flags: Flags) -> Result<Self::PinnedSelf>
    where
        Error: From<E>,
    {
        // SAFETY: The slot is the caller's.
        let init = unsafe {
            pin_init::pin_init_from_closure(|slot: *mut T| {
                pin_init::raw_try_init(slot, init).map_err(|e| Error::from(e))
            })
        };
        Self::try_pin_init(init, flags)
    }
}

#[macro_export]
macro_rules! try_pin_init {
    ($type:ident { $($fields:tt)* }) => {
        ::pin_init::try_pin_init!($type { $($fields)* }? $crate::error::Error)
    };
    ($type:ident { $($fields:tt)* }? $error:ty) => {
        ::pin_init::try_pin_init!($type { $($fields)* }? $error)
    };
}
