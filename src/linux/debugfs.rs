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

/// Writes a document from its start. May sleep.
///
/// It is called again, with more room, until the whole document fits; so each reader gets one that
/// was written at one go.
pub(crate) type Show<T> = fn(ArcBorrow<'_, T>, &mut dyn fmt::Write) -> Result;

/// A file of a [`Directory`] over a `T` that can only be read (0444): a row in its table.
pub(crate) struct Document<T: 'static> {
    /// Name of the file.
    pub name: &'static CStr,
    /// Bytes that it commonly has.
    pub size: usize,
    /// Writes it.
    pub show: Show<T>,
}

/// A directory with a file for each row of a table. It goes when this is dropped, which waits for
/// readers inside. The module stays as long as a file is open.
pub(crate) struct Directory<T: Send + Sync + 'static> {
    inner: Pin<KBox<Inner<T>>>,
}

/// # Invariants
///
/// The files are never moved or changed while the directory exists.
struct Inner<T: Send + Sync + 'static> {
    /// What `debugfs_create_dir()` returned for the outer directory; an error pointer is fine.
    top: *mut bindings::dentry,
    files: KVec<File<T>>,
    operations: Opaque<bindings::file_operations>,
    _pin: PhantomPinned,
}

struct File<T: 'static> {
    context: Arc<T>,
    row: &'static Document<T>,
}

// SAFETY: The dentry has its own locks, all else is `Send` and `Sync`.
unsafe impl<T: Send + Sync> Send for Directory<T> {}
// SAFETY: As above.
unsafe impl<T: Send + Sync> Sync for Directory<T> {}

impl<T: Send + Sync + 'static> Directory<T> {
    /// Makes a directory `name` in a directory `top`, with the files of `table`. May sleep.
    ///
    /// Where there is no debugfs, there is no directory, and that is no error.
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
        // From here on dropping this takes away what there is.
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
        // SAFETY: Made in new() and not removed since. Takes the files along, and waits for those
        // who read them.
        unsafe { bindings::debugfs_remove(self.inner.top) };
    }
}

impl<T: Send + Sync + 'static> File<T> {
    /// # Safety
    ///
    /// Called by debugfs for one of the files of a [`Directory`] over a `T`.
    unsafe extern "C" fn open(inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
        // SAFETY: debugfs keeps what it was given there, and the caller keeps both alive.
        unsafe {
            let own = (*inode).i_private;
            let size = (*own.cast::<Self>()).row.size;
            bindings::single_open_size(file, Some(Self::show), own, size)
        }
    }

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
            // Where the buffer was too small, seq_file sees it and calls again with a larger one.
            _ => 0,
        }
    }
}

/// The buffer of a file that is being read.
struct Sequence(*mut bindings::seq_file);

impl fmt::Write for Sequence {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // SAFETY: Made from the file of a call of show(), for the length of that.
        let written = unsafe { bindings::seq_write(self.0, text.as_ptr().cast(), text.len()) };
        if written == 0 {
            Ok(())
        } else {
            Err(fmt::Error)
        }
    }
}
