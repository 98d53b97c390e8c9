// SPDX-License-Identifier: GPL-2.0

//! Types for the border to C.

use std::{
    cell::UnsafeCell, ffi::c_void, marker::PhantomData, marker::PhantomPinned, mem::MaybeUninit,
};

use pin_init::PinInit;

pub trait ForeignOwnable: Sized {
    type Borrowed<'a>;

    fn into_foreign(self) -> *mut c_void;

    unsafe fn from_foreign(pointer: *mut c_void) -> Self;

    unsafe fn borrow<'a>(pointer: *mut c_void) -> Self::Borrowed<'a>;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotThreadSafeType(PhantomData<*mut ()>);

pub type NotThreadSafe = NotThreadSafeType;

#[allow(non_upper_case_globals)]
pub const NotThreadSafe: NotThreadSafeType = NotThreadSafeType(PhantomData);

#[repr(transparent)]
pub struct Opaque<T> {
    value: UnsafeCell<MaybeUninit<T>>,
    _pin: PhantomPinned,
}

impl<T> Opaque<T> {
    pub const fn uninit() -> Self {
        Self {
            value: UnsafeCell::new(MaybeUninit::uninit()),
            _pin: PhantomPinned,
        }
    }

    pub const fn new(value: T) -> Self {
        Self {
            value: UnsafeCell::new(MaybeUninit::new(value)),
            _pin: PhantomPinned,
        }
    }

    pub const fn zeroed() -> Self {
        Self {
            value: UnsafeCell::new(MaybeUninit::zeroed()),
            _pin: PhantomPinned,
        }
    }

    pub const fn get(&self) -> *mut T {
        UnsafeCell::get(&self.value).cast()
    }

    pub fn ffi_init(with: impl FnOnce(*mut T)) -> impl PinInit<Self> {
        // SAFETY: Whatever is left uninitialised may be so.
        unsafe {
            pin_init::pin_init_from_closure::<_, std::convert::Infallible>(
                move |slot: *mut Self| {
                    with(slot.cast());
                    Ok(())
                },
            )
        }
    }

    pub fn try_ffi_init<E>(with: impl FnOnce(*mut T) -> Result<(), E>) -> impl PinInit<Self, E> {
        // SAFETY: As above.
        unsafe { pin_init::pin_init_from_closure::<_, E>(move |slot: *mut Self| with(slot.cast())) }
    }
}
