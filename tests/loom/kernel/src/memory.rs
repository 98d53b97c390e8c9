// SPDX-License-Identifier: GPL-2.0

//! Memory that is found out when it is used before it is ready or after it is freed.

use loom::cell::UnsafeCell;

/// A part of an object by which loom knows its life: it is made with the object, and goes with it.
///
/// A look at it fails the model unless the object was made before, and unless it is freed after: in the order that
/// memory has, not by the clock.
pub struct Life(UnsafeCell<bool>);

// SAFETY: Loom checks what is done to the cell.
unsafe impl Send for Life {}
// SAFETY: As above.
unsafe impl Sync for Life {}

impl Life {
    pub fn new() -> Self {
        Self(UnsafeCell::new(true))
    }

    /// Fails where the object may not be there yet, or no longer.
    pub fn check(&self) {
        // SAFETY: Loom fails the model where this races.
        let there = self.0.with(|there| unsafe { *there });
        assert!(there, "memory is used after it was freed");
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        // SAFETY: Loom fails the model where this races.
        self.0.with_mut(|there| unsafe {
            assert!(*there, "memory is freed twice");
            *there = false;
        });
    }
}

/// A value that is written and read without any care: whoever does has to be alone, or after the writer.
pub struct Plain<T>(UnsafeCell<T>);

// SAFETY: Loom checks what is done to the cell.
unsafe impl<T: Send> Send for Plain<T> {}
// SAFETY: As above.
unsafe impl<T: Send> Sync for Plain<T> {}

impl<T: Copy> Plain<T> {
    pub fn new(value: T) -> Self {
        Self(UnsafeCell::new(value))
    }

    pub fn read(&self) -> T {
        // SAFETY: Loom fails the model where this races.
        self.0.with(|value| unsafe { *value })
    }

    pub fn write(&self, new: T) {
        // SAFETY: Loom fails the model where this races.
        self.0.with_mut(|value| unsafe { *value = new });
    }
}
