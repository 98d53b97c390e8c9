// SPDX-License-Identifier: GPL-2.0

//! Memory that may not be there.

use std::{
    mem::MaybeUninit,
    ops::{Deref, DerefMut},
    pin::Pin,
};

use pin_init::PinInit;

use crate::{init::InPlaceInit, types::ForeignOwnable};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AllocError;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flags(u32);

impl std::ops::BitOr for Flags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

const SLEEPS: u32 = 1;
const ZERO: u32 = 4;

pub mod flags {
    use super::{Flags, SLEEPS, ZERO};

    pub const GFP_KERNEL: Flags = Flags(SLEEPS);
    pub const GFP_NOWAIT: Flags = Flags(2);
    pub const GFP_ATOMIC: Flags = Flags(2);
    pub const __GFP_ZERO: Flags = Flags(ZERO);
    pub const __GFP_NOWARN: Flags = Flags(8);
}

/// Fails the run where the memory is asked for in the wrong context; an error now and then.
pub(crate) fn check(flags: Flags) -> Result<(), AllocError> {
    if flags.0 & SLEEPS != 0 {
        machine::scheduler::may_sleep("an allocation");
        machine::c::may_wait_for_memory();
    }
    if machine::c::allocation_succeeds() {
        Ok(())
    } else {
        Err(AllocError)
    }
}

/// Counts objects, so that those are found that are left.
pub(crate) fn count(change: i64) {
    machine::scheduler::world().allocated += change;
}

pub struct Box<T: ?Sized>(std::boxed::Box<T>);

pub type KBox<T> = Box<T>;
pub type KVBox<T> = Box<T>;

impl<T> Box<T> {
    pub fn new(value: T, flags: Flags) -> Result<Self, AllocError> {
        check(flags)?;
        count(1);
        Ok(Self(std::boxed::Box::new(value)))
    }

    pub fn pin(value: T, flags: Flags) -> Result<Pin<Self>, AllocError> {
        Self::new(value, flags).map(Self::into_pin)
    }

    pub fn new_uninit(flags: Flags) -> Result<Box<MaybeUninit<T>>, AllocError> {
        check(flags)?;
        count(1);
        let layout = std::alloc::Layout::new::<T>();
        if layout.size() == 0 || flags.0 & ZERO == 0 {
            return Ok(Box(std::boxed::Box::new_uninit()));
        }
        // SAFETY: The layout is that of the type, which has a size.
        Ok(Box(unsafe {
            std::boxed::Box::from_raw(std::alloc::alloc_zeroed(layout).cast())
        }))
    }

    pub fn into_raw(this: Self) -> *mut T {
        let this = std::mem::ManuallyDrop::new(this);
        // SAFETY: The box is not used again.
        std::boxed::Box::into_raw(unsafe { std::ptr::read(&this.0) })
    }

    pub unsafe fn from_raw(pointer: *mut T) -> Self {
        // SAFETY: It came from `into_raw`.
        Self(unsafe { std::boxed::Box::from_raw(pointer) })
    }

    pub fn into_inner(this: Self) -> T {
        count(-1);
        let this = std::mem::ManuallyDrop::new(this);
        // SAFETY: The box is not used again.
        *unsafe { std::ptr::read(&this.0) }
    }

    pub fn into_pin(this: Self) -> Pin<Self> {
        // SAFETY: What is in a box does not move.
        unsafe { Pin::new_unchecked(this) }
    }
}

impl<T> Box<MaybeUninit<T>> {
    pub unsafe fn assume_init(self) -> Box<T> {
        // SAFETY: As the caller says.
        unsafe { Box::from_raw(Self::into_raw(self).cast()) }
    }
}

impl<T: ?Sized> Drop for Box<T> {
    fn drop(&mut self) {
        count(-1);
    }
}

impl<T: ?Sized> Deref for Box<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: ?Sized> DerefMut for Box<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T> InPlaceInit<T> for Box<T> {
    type PinnedSelf = Pin<Self>;

    fn try_pin_init<E>(init: impl PinInit<T, E>, flags: Flags) -> Result<Pin<Self>, E>
    where
        E: From<AllocError>,
    {
        let mut memory = Box::<T>::new_uninit(flags)?;
        // SAFETY: The memory is there, and stays where it is.
        unsafe {
            pin_init::raw_try_init(memory.as_mut_ptr(), init)?;
            Ok(Box::into_pin(memory.assume_init()))
        }
    }
}

impl<T: 'static> ForeignOwnable for Box<T> {
    type Borrowed<'a> = &'a T;

    fn into_foreign(self) -> *mut std::ffi::c_void {
        Self::into_raw(self).cast()
    }

    unsafe fn from_foreign(pointer: *mut std::ffi::c_void) -> Self {
        // SAFETY: As the caller says.
        unsafe { Self::from_raw(pointer.cast()) }
    }

    unsafe fn borrow<'a>(pointer: *mut std::ffi::c_void) -> &'a T {
        // SAFETY: As the caller says.
        unsafe { &*pointer.cast() }
    }
}

pub struct Vec<T>(std::vec::Vec<T>);

pub type KVec<T> = Vec<T>;
pub type VVec<T> = Vec<T>;
pub type KVVec<T> = Vec<T>;

#[derive(Debug)]
pub struct PushError<T>(pub T);

#[derive(Debug)]
pub struct RemoveError;

impl<T> Vec<T> {
    pub const fn new() -> Self {
        Self(std::vec::Vec::new())
    }

    fn grow(&mut self, capacity: usize, flags: Flags) -> Result<(), AllocError> {
        if capacity > self.0.capacity() {
            check(flags)?;
            if self.0.capacity() == 0 {
                count(1);
            }
            // Exactly, so that what has no room is noticed.
            self.0.reserve_exact(capacity - self.0.len());
        }
        Ok(())
    }

    pub fn with_capacity(capacity: usize, flags: Flags) -> Result<Self, AllocError> {
        let mut new = Self::new();
        new.grow(capacity, flags)?;
        Ok(new)
    }

    pub fn reserve(&mut self, more: usize, flags: Flags) -> Result<(), AllocError> {
        self.grow(self.0.len() + more, flags)
    }

    pub fn push(&mut self, value: T, flags: Flags) -> Result<(), AllocError> {
        if self.0.len() == self.0.capacity() {
            self.grow((self.0.len() * 2).max(4), flags)?;
        }
        self.0.push(value);
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

    pub fn remove(&mut self, place: usize) -> Result<T, RemoveError> {
        if place < self.0.len() {
            Ok(self.0.remove(place))
        } else {
            Err(RemoveError)
        }
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }

    pub fn capacity(&self) -> usize {
        self.0.capacity()
    }

    pub fn retain(&mut self, keep: impl FnMut(&mut T) -> bool) {
        self.0.retain_mut(keep);
    }
}

impl<T: Clone> Vec<T> {
    pub fn from_elem(value: T, len: usize, flags: Flags) -> Result<Self, AllocError> {
        check(flags)?;
        if len > 0 {
            count(1);
        }
        Ok(Self(vec![value; len]))
    }
}

impl<T> Default for Vec<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Drop for Vec<T> {
    fn drop(&mut self) {
        if self.0.capacity() > 0 {
            count(-1);
        }
    }
}

impl<T> Deref for Vec<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T> DerefMut for Vec<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.0
    }
}

pub struct IntoIter<T>(std::vec::IntoIter<T>);

impl<T> Iterator for IntoIter<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.0.next()
    }
}

impl<T> IntoIterator for Vec<T> {
    type Item = T;
    type IntoIter = IntoIter<T>;

    fn into_iter(mut self) -> IntoIter<T> {
        if self.0.capacity() > 0 {
            count(-1);
        }
        IntoIter(std::mem::take(&mut self.0).into_iter())
    }
}

impl<'a, T> IntoIterator for &'a Vec<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl<'a, T> IntoIterator for &'a mut Vec<T> {
    type Item = &'a mut T;
    type IntoIter = std::slice::IterMut<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter_mut()
    }
}
