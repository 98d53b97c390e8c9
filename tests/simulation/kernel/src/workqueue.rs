// SPDX-License-Identifier: GPL-2.0

//! Work queues.

use std::{cell::Cell, ffi::CStr, marker::PhantomData, pin::Pin};

use machine::c::workqueue_struct;
use pin_init::PinInit;

use crate::sync::{Arc, LockClassKey};

pub use crate::{impl_has_work, new_work};

pub struct Work<T> {
    pending: Cell<bool>,
    _of: PhantomData<T>,
}

// SAFETY: There is one thread.
unsafe impl<T> Send for Work<T> {}
// SAFETY: As above.
unsafe impl<T> Sync for Work<T> {}

impl<T> Work<T> {
    #[allow(clippy::new_ret_no_self)]
    pub fn new(_: &'static CStr, _: Pin<&'static LockClassKey>) -> impl PinInit<Self> {
        // SAFETY: The slot is written.
        unsafe {
            pin_init::pin_init_from_closure::<_, std::convert::Infallible>(
                move |slot: *mut Self| {
                    slot.write(Self {
                        pending: Cell::new(false),
                        _of: PhantomData,
                    });
                    Ok(())
                },
            )
        }
    }
}

pub trait WorkItem {
    type Pointer;

    fn run(this: Self::Pointer);
}

pub unsafe trait HasWork<T> {
    unsafe fn raw_get_work(pointer: *mut Self) -> *mut Work<T>;
}

#[macro_export]
macro_rules! impl_has_work {
    (impl HasWork<$work:ty> for $self:ty { self.$field:ident }) => {
        // SAFETY: The field has the right type.
        unsafe impl $crate::workqueue::HasWork<$work> for $self {
            unsafe fn raw_get_work(pointer: *mut Self) -> *mut $crate::workqueue::Work<$work> {
                // SAFETY: The pointer is valid.
                unsafe { &raw mut (*pointer).$field }
            }
        }
    };
}

#[macro_export]
macro_rules! new_work {
    ($name:literal) => {
        $crate::workqueue::Work::new($crate::optional_name!($name), $crate::static_lock_class!())
    };
}

#[repr(transparent)]
pub struct Queue(std::cell::UnsafeCell<workqueue_struct>);

impl Queue {
    pub unsafe fn from_raw<'a>(pointer: *const workqueue_struct) -> &'a Self {
        // SAFETY: `Queue` is a transparent wrapper.
        unsafe { &*pointer.cast() }
    }

    /// # Errors
    ///
    /// The work, where it is queued already.
    pub fn enqueue<T>(&self, work: Arc<T>) -> Result<(), Arc<T>>
    where
        T: WorkItem<Pointer = Arc<T>> + HasWork<T> + 'static,
    {
        machine::point();
        // SAFETY: The object is there.
        let item = unsafe { &*T::raw_get_work(std::ptr::from_ref::<T>(&work).cast_mut()) };
        if item.pending.replace(true) {
            return Err(work);
        }
        let body = move || {
            // SAFETY: As above.
            unsafe { &*T::raw_get_work(std::ptr::from_ref::<T>(&work).cast_mut()) }
                .pending
                .set(false);
            machine::point();
            T::run(work);
        };
        // SAFETY: The queue is there.
        unsafe { machine::c::queue_work(self.0.get(), Box::new(body)) };
        Ok(())
    }
}
