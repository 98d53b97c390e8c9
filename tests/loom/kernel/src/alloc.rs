// SPDX-License-Identifier: GPL-2.0

//! Memory. What is freed can be looked at until the execution ends, so that a model fails by what it sees and not by
//! what the host makes of it.

use std::{
    alloc::Layout,
    mem::ManuallyDrop,
    ops::{Deref, DerefMut},
};

use crate::execution;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AllocError;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flags(());

pub mod flags {
    pub const GFP_KERNEL: super::Flags = super::Flags(());
    pub const GFP_NOWAIT: super::Flags = super::Flags(());
}

pub(crate) fn allocate(layout: Layout) -> *mut u8 {
    assert!(layout.size() > 0, "an object without a size");
    execution::with(|execution| execution.allocated += 1);
    // SAFETY: The size is not zero.
    let memory = unsafe { std::alloc::alloc_zeroed(layout) };
    assert!(!memory.is_null(), "the host has no memory");
    memory
}

/// Counts memory as freed that `allocate` has given, or `Vec` with the same layout.
pub(crate) unsafe fn free(memory: *mut u8, layout: Layout) {
    execution::with(|execution| {
        assert!(execution.allocated > 0, "memory is freed twice");
        execution.allocated -= 1;
        execution.freed.push((memory, layout));
    });
}

pub struct KBox<T>(*mut T);

// SAFETY: It owns its value.
unsafe impl<T: Send> Send for KBox<T> {}
// SAFETY: As above.
unsafe impl<T: Sync> Sync for KBox<T> {}

impl<T> KBox<T> {
    pub fn new(value: T, _: Flags) -> Result<Self, AllocError> {
        let memory = allocate(Layout::new::<T>()).cast::<T>();
        // SAFETY: Just allocated.
        unsafe { memory.write(value) };
        Ok(Self(memory))
    }

    pub fn into_raw(this: Self) -> *mut T {
        ManuallyDrop::new(this).0
    }

    pub unsafe fn from_raw(pointer: *mut T) -> Self {
        Self(pointer)
    }
}

impl<T> Deref for KBox<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: It is ours.
        unsafe { &*self.0 }
    }
}

impl<T> Drop for KBox<T> {
    fn drop(&mut self) {
        // SAFETY: It is ours, and not used again.
        unsafe {
            self.0.drop_in_place();
            free(self.0.cast(), Layout::new::<T>());
        }
    }
}

pub struct KVec<T>(ManuallyDrop<Vec<T>>);

#[derive(Debug)]
pub struct PushError<T>(pub T);

impl<T> KVec<T> {
    pub const fn new() -> Self {
        Self(ManuallyDrop::new(Vec::new()))
    }

    pub fn with_capacity(capacity: usize, flags: Flags) -> Result<Self, AllocError> {
        let mut new = Self::new();
        new.reserve(capacity, flags)?;
        Ok(new)
    }

    pub fn reserve(&mut self, more: usize, _: Flags) -> Result<(), AllocError> {
        let before = self.0.capacity();
        self.0.reserve_exact(more);
        if before == 0 && self.0.capacity() > 0 {
            execution::with(|execution| execution.allocated += 1);
        }
        Ok(())
    }

    pub fn push_within_capacity(&mut self, value: T) -> Result<(), PushError<T>> {
        if self.0.len() == self.0.capacity() {
            return Err(PushError(value));
        }
        self.0.push(value);
        Ok(())
    }

    pub fn pop(&mut self) -> Option<T> {
        self.0.pop()
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }
}

impl<T> Deref for KVec<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T> DerefMut for KVec<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.0
    }
}

impl<T> Drop for KVec<T> {
    fn drop(&mut self) {
        self.0.clear();
        if self.0.capacity() > 0 {
            let layout = Layout::array::<T>(self.0.capacity()).expect("it has been allocated");
            // SAFETY: It is ours, and not used again.
            unsafe { free(self.0.as_mut_ptr().cast(), layout) };
        }
    }
}
