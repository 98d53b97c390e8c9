// SPDX-License-Identifier: GPL-2.0

//! Directories of sysfs, made from a table of attributes.
//!
//! C headers: [`include/linux/kobject.h`](srctree/include/linux/kobject.h),
//! [`include/linux/sysfs.h`](srctree/include/linux/sysfs.h).

use core::{
    marker::PhantomPinned,
    mem::{
        offset_of,
        ManuallyDrop, //
    },
};

use kernel::{
    error::to_result,
    page::PAGE_SIZE,
    prelude::*,
    str::CStr,
    sync::{
        Arc,
        ArcBorrow, //
    },
    types::Opaque, //
};

use super::{
    bindings,
    text::Text, //
};

/// Function that writes an attribute's text, which is truncated to a page. May sleep.
pub(crate) type Show<T> = fn(ArcBorrow<'_, T>, &mut Text<'_>) -> Result;

/// Function that takes the text that a user wrote, at most a page. May sleep.
pub(crate) type Store<T> = fn(ArcBorrow<'_, T>, &[u8]) -> Result;

/// File of a [`Directory`]: a row of its table.
pub(crate) struct Attribute<T: 'static> {
    name: &'static CStr,
    mode: u16,
    show: Option<Show<T>>,
    store: Option<Store<T>>,
}

impl<T> Attribute<T> {
    /// Makes a row of a file that everybody can read (0444).
    pub(crate) const fn report(name: &'static CStr, show: Show<T>) -> Self {
        Self {
            name,
            mode: 0o444,
            show: Some(show),
            store: None,
        }
    }

    /// Makes a row of a file that everybody can read and root can write (0644).
    pub(crate) const fn setting(name: &'static CStr, show: Show<T>, store: Store<T>) -> Self {
        Self {
            name,
            mode: 0o644,
            show: Some(show),
            store: Some(store),
        }
    }

    /// Makes a row of a file that root can write, and no user can read (0200).
    pub(crate) const fn control(name: &'static CStr, store: Store<T>) -> Self {
        Self {
            name,
            mode: 0o200,
            show: None,
            store: Some(store),
        }
    }
}

/// Parent of a [`Directory`].
#[derive(Clone, Copy)]
pub(crate) enum Parent {
    /// `/sys/kernel`
    Kernel,
    /// `/sys/module/<name>`
    Module(&'static ThisModule),
}

impl Parent {
    /// Returns the kobject of the parent.
    fn kobject(self) -> *mut bindings::kobject {
        match self {
            // SAFETY: The kobject of /sys/kernel exists before any module.
            Self::Kernel => unsafe { bindings::kernel_kobj },
            // SAFETY: The module is loaded as long as code of it runs.
            Self::Module(module) => unsafe { &raw mut (*module.as_ptr()).mkobj.kobj },
        }
    }
}

/// Directory with a file for each row of a table.
///
/// Dropping removes the directory and waits for calls of `show` and `store` in progress. None starts
/// after that.
pub(crate) struct Directory<T: Send + Sync + 'static> {
    /// Kobject that this object owns a reference to. Its release function frees the box.
    inner: ManuallyDrop<Pin<KBox<Inner<T>>>>,
}

/// # Invariants
///
/// `kobj` is initialised with `Inner::<T>::TYPE` and lies in a box of this type. The files in
/// `files` are never moved or changed while the directory exists.
#[repr(C)]
struct Inner<T: Send + Sync + 'static> {
    kobj: Opaque<bindings::kobject>,
    files: KVec<File<T>>,
    context: Arc<T>,
    _pin: PhantomPinned,
}

#[repr(C)]
struct File<T: 'static> {
    attribute: Opaque<bindings::attribute>,
    row: &'static Attribute<T>,
}

// SAFETY: The kobject has its own reference counter and locks; the other fields are `Send` and `Sync`.
unsafe impl<T: Send + Sync> Send for Directory<T> {}
// SAFETY: As above.
unsafe impl<T: Send + Sync> Sync for Directory<T> {}

impl<T: Send + Sync + 'static> Directory<T> {
    /// Makes a directory `name` with the files of `table`. May sleep.
    pub(crate) fn new(
        parent: Parent,
        name: &CStr,
        table: &'static [Attribute<T>],
        context: Arc<T>,
    ) -> Result<Self> {
        let directory = Self::add(Inner::new(table, context)?, parent, name)?;
        directory.create_files()?;
        Ok(directory)
    }

    /// Adds the kobject of `inner` to sysfs: a directory without files.
    fn add(inner: Pin<KBox<Inner<T>>>, parent: Parent, name: &CStr) -> Result<Self> {
        // SAFETY: The kobject is zeroed, pinned, and released as its type says. From here on it
        // owns the box, even if adding it fails.
        let added = to_result(unsafe {
            bindings::kobject_init_and_add(
                inner.kobj.get(),
                &raw const Inner::<T>::TYPE_OF.0,
                parent.kobject(),
                c"%s".as_char_ptr(),
                name.as_char_ptr(),
            )
        });
        // INVARIANT: Initialised above. Dropping puts the reference, which frees the box.
        let directory = Self {
            inner: ManuallyDrop::new(inner),
        };
        added.map(|()| directory)
    }

    /// Creates the files. On error, dropping the directory removes those that exist.
    fn create_files(&self) -> Result {
        for file in &self.inner.files {
            // SAFETY: The kobject is in sysfs, and the attribute stays where it is.
            to_result(unsafe {
                bindings::sysfs_create_file_ns(
                    self.inner.kobj.get(),
                    file.attribute.get(),
                    core::ptr::null(),
                )
            })?;
        }
        Ok(())
    }
}

impl<T: Send + Sync + 'static> Drop for Directory<T> {
    fn drop(&mut self) {
        // SAFETY: This object owns a reference. Removing the directory from sysfs removes its files and
        // waits for calls in progress. Nothing happens to a kobject that was never added.
        unsafe { bindings::kobject_del(self.inner.kobj.get()) };
        // SAFETY: As above; `self.inner` is not used again.
        unsafe { bindings::kobject_put(self.inner.kobj.get()) };
    }
}

/// Type of a kobject, which the kernel only reads.
struct TypeOf(bindings::kobj_type);

// SAFETY: Never written.
unsafe impl Sync for TypeOf {}

/// Operations of a kobject's files, which the kernel only reads.
struct Operations(bindings::sysfs_ops);

// SAFETY: Never written.
unsafe impl Sync for Operations {}

impl<T: Send + Sync + 'static> Inner<T> {
    /// Makes the files of `table`, and a kobject that is not initialised yet.
    fn new(table: &'static [Attribute<T>], context: Arc<T>) -> Result<Pin<KBox<Self>>> {
        let mut files = KVec::with_capacity(table.len(), GFP_KERNEL)?;
        for row in table {
            // With lockdep there are further fields.
            #[allow(clippy::needless_update)]
            let attribute = Opaque::new(bindings::attribute {
                name: row.name.as_char_ptr(),
                mode: row.mode,
                ..Default::default()
            });
            files.push(File { attribute, row }, GFP_KERNEL)?;
        }
        let inner = KBox::pin(
            Self {
                kobj: Opaque::zeroed(),
                files,
                context,
                _pin: PhantomPinned,
            },
            GFP_KERNEL,
        )?;
        for file in &inner.files {
            // SAFETY: The attribute stays where it is as long as the directory.
            unsafe { bindings::sysfs_attr_init(file.attribute.get()) };
        }
        Ok(inner)
    }

    const OPERATIONS: &'static Operations = &Operations(bindings::sysfs_ops {
        show: Some(Self::show),
        store: Some(Self::store),
    });

    const TYPE_OF: &'static TypeOf = &TypeOf(bindings::kobj_type {
        release: Some(Self::release),
        sysfs_ops: &raw const Self::OPERATIONS.0,
        default_groups: core::ptr::null_mut(),
        child_ns_type: None,
        namespace: None,
        get_ownership: None,
    });

    /// Frees the box that the kobject is in.
    ///
    /// # Safety
    ///
    /// `kobj` is the kobject of an `Inner<T>` that is not used any more.
    unsafe extern "C" fn release(kobj: *mut bindings::kobject) {
        let inner = kobj.cast::<Self>();
        // SAFETY: The kobject is the first field of the box that the last reference leaves to us.
        drop(unsafe { KBox::from_raw(inner) });
    }

    /// Returns the object of a directory and the row of one of its files.
    ///
    /// # Safety
    ///
    /// `kobj` is the kobject of an `Inner<T>`, `attribute` is one of its files, and the result is used
    /// within a call from sysfs.
    unsafe fn of<'a>(
        kobj: *mut bindings::kobject,
        attribute: *mut bindings::attribute,
    ) -> (ArcBorrow<'a, T>, &'static Attribute<T>) {
        const { assert!(offset_of!(Self, kobj) == 0 && offset_of!(File<T>, attribute) == 0) };
        // SAFETY: The caller names an `Inner<T>`, which lives until the call from sysfs returns.
        let inner = unsafe { &*kobj.cast::<Self>() };
        // SAFETY: As above.
        let file = unsafe { &*attribute.cast::<File<T>>() };
        (inner.context.as_arc_borrow(), file.row)
    }

    /// Prints an attribute. Returns the length of its text, or a negative errno.
    ///
    /// # Safety
    ///
    /// Called by sysfs for a file of an `Inner<T>` with a page to write to.
    unsafe extern "C" fn show(
        kobj: *mut bindings::kobject,
        attribute: *mut bindings::attribute,
        page: *mut c_char,
    ) -> isize {
        // SAFETY: As the caller promises.
        let (context, row) = unsafe { Self::of(kobj, attribute) };
        let Some(show) = row.show else {
            return EIO.to_errno() as isize;
        };
        // SAFETY: sysfs gives a page of its own.
        let mut text = unsafe { Text::from_raw(page.cast(), PAGE_SIZE) };
        match show(context, &mut text) {
            Ok(()) => (PAGE_SIZE - 1 - text.remaining()) as isize,
            Err(error) => error.to_errno() as isize,
        }
    }

    /// Sets an attribute. Returns `count`, or a negative errno.
    ///
    /// # Safety
    ///
    /// Called by sysfs for a file of an `Inner<T>` with `count` bytes that a user wrote.
    unsafe extern "C" fn store(
        kobj: *mut bindings::kobject,
        attribute: *mut bindings::attribute,
        page: *const c_char,
        count: usize,
    ) -> isize {
        // SAFETY: As the caller promises.
        let (context, row) = unsafe { Self::of(kobj, attribute) };
        let Some(store) = row.store else {
            return EIO.to_errno() as isize;
        };
        // SAFETY: There are `count` bytes, and no other code writes them meanwhile.
        let text = unsafe { core::slice::from_raw_parts(page.cast::<u8>(), count) };
        match store(context, text) {
            Ok(()) => count as isize,
            Err(error) => error.to_errno() as isize,
        }
    }
}
