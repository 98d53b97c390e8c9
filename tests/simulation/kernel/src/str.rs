// SPDX-License-Identifier: GPL-2.0

//! Strings.

use std::fmt;

use crate::{alloc::flags::GFP_KERNEL, error::Result};

pub use std::ffi::CStr;

pub struct CString(std::ffi::CString);

impl CString {
    pub fn try_from_fmt(args: fmt::Arguments<'_>) -> Result<Self> {
        crate::alloc::check(GFP_KERNEL)?;
        let text = std::ffi::CString::new(args.to_string());
        text.map(Self).map_err(|_| crate::error::code::EINVAL)
    }
}

impl std::ops::Deref for CString {
    type Target = CStr;

    fn deref(&self) -> &CStr {
        &self.0
    }
}

pub trait CStrExt {
    unsafe fn from_char_ptr<'a>(pointer: *const u8) -> &'a Self;

    fn as_char_ptr(&self) -> *const u8;
}

impl CStrExt for CStr {
    unsafe fn from_char_ptr<'a>(pointer: *const u8) -> &'a Self {
        // SAFETY: As the caller says.
        unsafe { CStr::from_ptr(pointer.cast()) }
    }

    fn as_char_ptr(&self) -> *const u8 {
        self.as_ptr().cast()
    }
}

#[repr(transparent)]
pub struct BStr([u8]);

impl BStr {
    pub fn from_bytes(bytes: &[u8]) -> &Self {
        // SAFETY: `BStr` is a transparent wrapper.
        unsafe { &*(std::ptr::from_ref(bytes) as *const Self) }
    }
}

impl fmt::Display for BStr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}
