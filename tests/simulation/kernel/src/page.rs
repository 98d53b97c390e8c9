// SPDX-License-Identifier: GPL-2.0

//! Pages of memory.

use crate::{
    alloc::{check, count, AllocError, Flags},
    bindings,
    error::Result,
};

pub const PAGE_SIZE: usize = bindings::PAGE_SIZE;

pub struct Page(*mut bindings::page);

// SAFETY: A page is memory.
unsafe impl Send for Page {}
// SAFETY: As above.
unsafe impl Sync for Page {}

impl Page {
    pub fn alloc_page(flags: Flags) -> Result<Self, AllocError> {
        check(flags)?;
        let page = bindings::alloc_page();
        if page.is_null() {
            return Err(AllocError);
        }
        count(1);
        Ok(Self(page))
    }

    pub fn as_ptr(&self) -> *mut bindings::page {
        self.0
    }

    pub unsafe fn fill_zero_raw(&self, offset: usize, len: usize) -> Result {
        assert!(offset + len <= PAGE_SIZE);
        // SAFETY: The page is ours, and has so many bytes.
        unsafe { self.0.cast::<u8>().add(offset).write_bytes(0, len) };
        Ok(())
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        count(-1);
        // SAFETY: The page is ours, and goes.
        unsafe { bindings::free_page(self.0) };
    }
}
