// SPDX-License-Identifier: GPL-2.0

//! Text for user space in a buffer of fixed size.

use core::{
    fmt,
    marker::PhantomData, //
};

use kernel::{
    prelude::*,
    str::CStr, //
};

/// Returns words as bytes. May sleep. `ENOMEM`.
pub(crate) fn bytes_of<'a>(words: &[&'a CStr]) -> Result<KVec<&'a [u8]>> {
    let mut bytes = KVec::with_capacity(words.len(), GFP_KERNEL)?;
    for word in words {
        bytes.push(word.to_bytes(), GFP_KERNEL)?;
    }
    Ok(bytes)
}

/// Buffer that is being filled with NUL-terminated text.
///
/// A text that does not fit is truncated, and the write fails. All later writes fail, too.
///
/// # Invariants
///
/// `buffer` is valid for reads and writes of `size` bytes, `len < size` unless `size` is 0, and
/// the byte at `len` is 0.
pub(crate) struct Text<'a> {
    buffer: *mut u8,
    size: usize,
    len: usize,
    _lifetime: PhantomData<&'a mut [u8]>,
}

impl Text<'_> {
    /// Starts an empty text.
    ///
    /// # Safety
    ///
    /// `buffer` is valid for writes of `size` bytes as long as the result is used, and no other code
    /// uses it meanwhile.
    pub(crate) unsafe fn from_raw(buffer: *mut u8, size: usize) -> Self {
        if size > 0 {
            // SAFETY: There is at least one byte.
            unsafe { buffer.write(0) };
        }
        // INVARIANT: The text is empty and terminated.
        Self {
            buffer,
            size,
            len: 0,
            _lifetime: PhantomData,
        }
    }

    /// Returns how many bytes still fit.
    pub(crate) fn remaining(&self) -> usize {
        self.size.saturating_sub(self.len).saturating_sub(1)
    }
}

impl fmt::Write for Text<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.size == 0 {
            return Err(fmt::Error);
        }
        let fits = text.len().min(self.remaining());
        // SAFETY: By the type invariant there is room for `fits` bytes and the terminating zero.
        unsafe {
            self.buffer
                .add(self.len)
                .copy_from_nonoverlapping(text.as_ptr(), fits);
            // INVARIANT: `len` stays below `size`.
            self.len = self.len.wrapping_add(fits);
            self.buffer.add(self.len).write(0);
        }
        if fits == text.len() {
            Ok(())
        } else {
            Err(fmt::Error)
        }
    }
}
