// SPDX-License-Identifier: GPL-2.0

//! Work queues.

use std::{cell::Cell, ffi::CStr, marker::PhantomData, pin::Pin};

use machine::c::{work_struct, workqueue_struct};
use pin_init::PinInit;

use crate::sync::{Arc, LockClassKey};

pub use crate::{impl_has_work, new_work};

pub struct Work<T, const ID: u64 = 0> {
    pending: Cell<bool>,
    _of: PhantomData<T>,
}

// SAFETY: There is one thread.
unsafe impl<T, const ID: u64> Send for Work<T, ID> {}
// SAFETY: As above.
unsafe impl<T, const ID: u64> Sync for Work<T, ID> {}

impl<T, const ID: u64> Work<T, ID> {
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

    pub unsafe fn raw_get(pointer: *const Self) -> *mut work_struct {
        pointer.cast_mut().cast()
    }
}

pub trait WorkItem<const ID: u64 = 0> {
    type Pointer;

    fn run(this: Self::Pointer);
}

pub unsafe trait HasWork<T, const ID: u64 = 0> {
    unsafe fn raw_get_work(pointer: *mut Self) -> *mut Work<T, ID>;
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

/// Objects with work, by a pointer.
pub trait RawWorkItem<const ID: u64>: Sized {
    /// # Safety
    ///
    /// The queue is valid.
    unsafe fn enqueue_to(self, queue: *mut workqueue_struct) -> Result<(), Self>;
}

impl<T, const ID: u64> RawWorkItem<ID> for Arc<T>
where
    T: WorkItem<ID, Pointer = Arc<T>> + HasWork<T, ID> + 'static,
{
    unsafe fn enqueue_to(self, queue: *mut workqueue_struct) -> Result<(), Self> {
        let pointer = Arc::as_ptr(&self).cast_mut();
        // SAFETY: The object is there.
        let item = unsafe { &*T::raw_get_work(pointer) };
        if item.pending.replace(true) {
            return Err(self);
        }
        let body = move || {
            // SAFETY: As above.
            unsafe { &*T::raw_get_work(pointer) }.pending.set(false);
            machine::point();
            T::run(self);
        };
        // SAFETY: As the caller says.
        unsafe { machine::c::queue_work(queue, Box::new(body)) };
        Ok(())
    }
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
    pub fn enqueue<W: RawWorkItem<ID>, const ID: u64>(&self, work: W) -> Result<(), W> {
        machine::point();
        // SAFETY: The queue is there.
        unsafe { work.enqueue_to(self.0.get()) }
    }
}
