// SPDX-License-Identifier: GPL-2.0

//! Directories of debugfs, made from a table of documents.
//!
//! Unlike [`kernel::debugfs`], whose files belong to no module: they could be open while the module
//! that made them goes, and closed after that.
//!
//! C headers: [`include/linux/debugfs.h`](srctree/include/linux/debugfs.h),
//! [`include/linux/seq_file.h`](srctree/include/linux/seq_file.h).

use core::{
    fmt,
    marker::PhantomPinned, //
};

use kernel::{
    prelude::*,
    str::CStr,
    sync::{
        Arc,
        ArcBorrow, //
    },
    types::Opaque, //
};

use super::bindings;

/// Function that writes a document from its start. May sleep.
///
/// If the document does not fit, the function is called again with a larger buffer. So each reader gets
/// a document that one call has written.
pub(crate) type Show<T> = fn(ArcBorrow<'_, T>, &mut dyn fmt::Write) -> Result;

/// Read-only file (0444) of a [`Directory`]: a row of its table.
pub(crate) struct Document<T: 'static> {
    /// Name of the file.
    pub name: &'static CStr,
    /// Usual size of the document in bytes. A larger document costs another call of `show`.
    pub size: usize,
    /// Writes the document.
    pub show: Show<T>,
}

/// Directory with a file for each row of a table.
///
/// Dropping removes the directory and waits for reads in progress. The module stays loaded as long as a
/// file is open.
pub(crate) struct Directory<T: Send + Sync + 'static> {
    inner: Pin<KBox<Inner<T>>>,
}

/// # Invariants
///
/// The files are never moved or changed while the directory exists.
struct Inner<T: Send + Sync + 'static> {
    /// Outer directory as `debugfs_create_dir()` returned it; may be an error pointer.
    top: *mut bindings::dentry,
    files: KVec<File<T>>,
    operations: Opaque<bindings::file_operations>,
    _pin: PhantomPinned,
}

struct File<T: 'static> {
    context: Arc<T>,
    row: &'static Document<T>,
}

// SAFETY: The dentry has its own locks; the other fields are `Send` and `Sync`.
unsafe impl<T: Send + Sync> Send for Directory<T> {}
// SAFETY: As above.
unsafe impl<T: Send + Sync> Sync for Directory<T> {}

impl<T: Send + Sync + 'static> Directory<T> {
    /// Makes a directory `name` in a directory `top`, with the files of `table`. May sleep.
    ///
    /// Succeeds without a directory on a kernel without debugfs.
    pub(crate) fn new(
        module: &'static ThisModule,
        (top, name): (&CStr, &CStr),
        table: &'static [Document<T>],
        context: Arc<T>,
    ) -> Result<Self> {
        let mut files = KVec::with_capacity(table.len(), GFP_KERNEL)?;
        for row in table {
            let context = context.clone();
            files.push(File { context, row }, GFP_KERNEL)?;
        }
        // SAFETY: The name is terminated; a null parent is the root.
        let top = unsafe { bindings::debugfs_create_dir(top.as_char_ptr(), core::ptr::null_mut()) };
        let inner = KBox::pin(
            Inner {
                top,
                files,
                operations: Opaque::new(bindings::file_operations {
                    owner: module.as_ptr(),
                    open: Some(File::<T>::open),
                    read: Some(bindings::seq_read),
                    llseek: Some(bindings::seq_lseek),
                    release: Some(bindings::single_release),
                    ..Default::default()
                }),
                _pin: PhantomPinned,
            },
            GFP_KERNEL,
        )
        .inspect_err(|_| {
            // SAFETY: Made above, and empty.
            unsafe { bindings::debugfs_remove(top) };
        })?;
        // From here on, dropping `directory` removes everything.
        let directory = Self { inner };
        // SAFETY: debugfs takes an error pointer for the parent, and then does nothing.
        let parent = unsafe { bindings::debugfs_create_dir(name.as_char_ptr(), top) };
        for file in &directory.inner.files {
            // SAFETY: As above. The file and the operations stay where they are until the directory
            // is removed.
            unsafe {
                bindings::debugfs_create_file_full(
                    file.row.name.as_char_ptr(),
                    0o444,
                    parent,
                    (&raw const *file).cast_mut().cast(),
                    core::ptr::null(),
                    directory.inner.operations.get(),
                )
            };
        }
        Ok(directory)
    }
}

impl<T: Send + Sync + 'static> Drop for Directory<T> {
    fn drop(&mut self) {
        // SAFETY: Made in new() and not removed since. Removes the files as well, and waits for their
        // readers.
        unsafe { bindings::debugfs_remove(self.inner.top) };
    }
}

impl<T: Send + Sync + 'static> File<T> {
    /// Opens a file for reading.
    ///
    /// # Safety
    ///
    /// Called by debugfs for one of the files of a [`Directory`] over a `T`.
    unsafe extern "C" fn open(inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
        // SAFETY: debugfs keeps the pointer that it was given in `i_private`, and the caller keeps both
        // alive.
        unsafe {
            let own = (*inode).i_private;
            let size = (*own.cast::<Self>()).row.size;
            bindings::single_open_size(file, Some(Self::show), own, size)
        }
    }

    /// Writes the document of a file.
    ///
    /// # Safety
    ///
    /// Called by seq_file for a file that was opened by [`File::open`].
    unsafe extern "C" fn show(seq: *mut bindings::seq_file, _: *mut c_void) -> c_int {
        // SAFETY: As set by open(); debugfs keeps the directory there while a read is inside.
        let file = unsafe { &*(*seq).private.cast::<Self>() };
        let shown = (file.row.show)(file.context.as_arc_borrow(), &mut Sequence(seq));
        // SAFETY: The file is ours for the length of the call.
        let full = unsafe { (*seq).count == (*seq).size };
        match shown {
            Err(error) if !full => error.to_errno(),
            // If the buffer was too small, seq_file calls again with a larger one.
            _ => 0,
        }
    }
}

/// Writer to the buffer of a file that is being read.
struct Sequence(*mut bindings::seq_file);

impl fmt::Write for Sequence {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // SAFETY: Made from the file of a call of show(), for the length of that call.
        let written = unsafe { bindings::seq_write(self.0, text.as_ptr().cast(), text.len()) };
        if written == 0 {
            Ok(())
        } else {
            Err(fmt::Error)
        }
    }
}
