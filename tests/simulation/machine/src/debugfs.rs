// SPDX-License-Identifier: GPL-2.0

//! debugfs, and the files of sequences in it.
//!
//! A file can be open for longer than it is there, and keeps its module for so long.

#![allow(missing_docs, non_camel_case_types)]
#![allow(clippy::missing_safety_doc)]

use std::{
    cell::Cell,
    ffi::c_void,
    ptr::null_mut,
    rc::Rc, //
};

use crate::{
    block_io,
    c::{allocation_succeeds, c_char, c_int},
    fail,
    lock::Uses,
    scheduler::{self, world},
    sysfs::{module, module_put, text, try_module_get}, //
};

const ENOENT: c_int = -2;
const EIO: c_int = -5;
const ENXIO: c_int = -6;
const ENOMEM: c_int = -12;
const EEXIST: c_int = -17;

fn error<T>(number: c_int) -> *mut T {
    number as isize as *mut T
}

fn is_error<T>(pointer: *mut T) -> bool {
    (-4095..0).contains(&(pointer as isize))
}

/// A file or directory of debugfs.
pub struct dentry {
    name: String,
    parent: *mut dentry,
    /// Of a file.
    file: Option<(*mut c_void, *const file_operations)>,
    uses: Uses,
    /// Set when it is removed, though somebody may have it open.
    gone: Cell<bool>,
}

pub struct inode {
    pub i_private: *mut c_void,
}

pub struct seq_file {
    pub buf: *mut c_char,
    pub size: usize,
    pub count: usize,
    pub private: *mut c_void,
    show: Option<unsafe extern "C" fn(*mut seq_file, *mut c_void) -> c_int>,
    memory: Vec<u8>,
    read: usize,
}

/// Reads, or writes.
type Transfer = unsafe extern "C" fn(*mut block_io::file, *mut c_char, usize, *mut i64) -> isize;

pub struct file_operations {
    pub owner: *mut module,
    pub open: Option<unsafe extern "C" fn(*mut inode, *mut block_io::file) -> c_int>,
    pub read: Option<Transfer>,
    pub write: Option<Transfer>,
    pub llseek: Option<unsafe extern "C" fn(*mut block_io::file, i64, c_int) -> i64>,
    pub release: Option<unsafe extern "C" fn(*mut inode, *mut block_io::file) -> c_int>,
}

impl Default for file_operations {
    fn default() -> Self {
        Self {
            owner: null_mut(),
            open: None,
            read: None,
            write: None,
            llseek: None,
            release: None,
        }
    }
}

unsafe fn create(
    name: *const c_char,
    parent: *mut dentry,
    file: Option<(*mut c_void, *const file_operations)>,
) -> *mut dentry {
    scheduler::may_sleep("debugfs_create");
    scheduler::point();
    if is_error(parent) {
        return parent;
    }
    if !allocation_succeeds() {
        return error(ENOMEM);
    }
    // SAFETY: The name is terminated.
    let name = unsafe { text(name) }.to_owned();
    let dentries = &mut world().sysfs.dentries;
    if dentries
        .iter()
        .any(|other| other.parent == parent && other.name == name)
    {
        return error(EEXIST);
    }
    let new = Rc::new(dentry {
        name,
        parent,
        file,
        uses: Uses::new("debugfs file"),
        gone: Cell::new(false),
    });
    let pointer = Rc::as_ptr(&new).cast_mut();
    dentries.push(new);
    pointer
}

pub unsafe fn debugfs_create_dir(name: *const c_char, parent: *mut dentry) -> *mut dentry {
    // SAFETY: As the caller says.
    unsafe { create(name, parent, None) }
}

pub unsafe fn debugfs_create_file_full(
    name: *const c_char,
    _: u16,
    parent: *mut dentry,
    data: *mut c_void,
    _: *const c_void,
    operations: *const file_operations,
) -> *mut dentry {
    // SAFETY: As the caller says.
    unsafe { create(name, parent, Some((data, operations))) }
}

pub unsafe fn debugfs_remove(top: *mut dentry) {
    scheduler::may_sleep("debugfs_remove");
    if top.is_null() || is_error(top) {
        return;
    }
    let dentries = &mut world().sysfs.dentries;
    let mut all = vec![top];
    let mut next = 0;
    while let Some(parent) = all.get(next).copied() {
        let inside = dentries.iter().filter(|other| other.parent == parent);
        all.extend(inside.map(|other| Rc::as_ptr(other).cast_mut()));
        next += 1;
    }
    // The innermost first.
    for pointer in all.into_iter().rev() {
        let dentries = &world().sysfs.dentries;
        let Some(found) = dentries
            .iter()
            .find(|other| Rc::as_ptr(other) == pointer.cast_const())
        else {
            fail!("a dentry is removed twice");
            return;
        };
        let found = found.clone();
        found.gone.set(true);
        found.uses.take_away();
        world()
            .sysfs
            .dentries
            .retain(|other| !Rc::ptr_eq(other, &found));
        scheduler::point();
    }
}

pub unsafe extern "C" fn seq_read(
    file: *mut block_io::file,
    data: *mut c_char,
    len: usize,
    position: *mut i64,
) -> isize {
    // SAFETY: The file is open, and the user's memory is there.
    unsafe {
        let seq = &mut *(*file).sequence;
        let start = *position == 0;
        if seq.read == seq.count && !start {
            return 0;
        }
        if start {
            seq.read = 0;
            loop {
                seq.count = 0;
                seq.memory.clear();
                seq.memory.resize(seq.size, 0);
                seq.buf = seq.memory.as_mut_ptr();
                let Some(show) = seq.show else { return 0 };
                let result = show(seq, 1 as *mut c_void);
                if result < 0 {
                    return result as isize;
                }
                if seq.count < seq.size {
                    break;
                }
                if !allocation_succeeds() {
                    return ENOMEM as isize;
                }
                seq.size *= 2;
            }
        }
        let count = len.min(seq.count - seq.read);
        data.copy_from_nonoverlapping(seq.buf.add(seq.read), count);
        seq.read += count;
        *position += count as i64;
        count as isize
    }
}

pub unsafe extern "C" fn seq_lseek(_: *mut block_io::file, _: i64, _: c_int) -> i64 {
    -29
}

pub unsafe fn seq_write(seq: *mut seq_file, data: *const c_void, len: usize) -> c_int {
    // SAFETY: The file is being read.
    let seq = unsafe { &mut *seq };
    if seq.count + len >= seq.size {
        seq.count = seq.size;
        return -1;
    }
    // SAFETY: There is room for it.
    unsafe {
        seq.buf
            .add(seq.count)
            .copy_from_nonoverlapping(data.cast(), len)
    };
    seq.count += len;
    0
}

pub unsafe fn single_open_size(
    file: *mut block_io::file,
    show: Option<unsafe extern "C" fn(*mut seq_file, *mut c_void) -> c_int>,
    data: *mut c_void,
    size: usize,
) -> c_int {
    if !allocation_succeeds() {
        return ENOMEM;
    }
    world().allocated += 1;
    let seq = Box::new(seq_file {
        buf: null_mut(),
        size,
        count: 0,
        private: data,
        show,
        memory: Vec::new(),
        read: 0,
    });
    // SAFETY: The file is being opened.
    unsafe { (*file).sequence = Box::into_raw(seq) };
    0
}

pub unsafe extern "C" fn single_release(_: *mut inode, file: *mut block_io::file) -> c_int {
    world().allocated -= 1;
    // SAFETY: The file is being closed.
    drop(unsafe { Box::from_raw((*file).sequence) });
    0
}

/// A file of debugfs that a user has open, and with it the module.
pub struct OpenDocument {
    dentry: Rc<dentry>,
    inode: inode,
    file: Box<block_io::file>,
    position: i64,
}

impl OpenDocument {
    /// Opens a file by the names of its directories and its own.
    ///
    /// # Errors
    ///
    /// An errno.
    pub fn open(path: &[&str]) -> Result<Self, c_int> {
        scheduler::point();
        let mut parent = null_mut();
        let mut found = None;
        for name in path {
            let dentries = &world().sysfs.dentries;
            let there = dentries
                .iter()
                .find(|other| other.parent == parent && other.name == *name)
                .ok_or(ENOENT)?;
            parent = Rc::as_ptr(there).cast_mut();
            found = Some(there.clone());
        }
        let dentry = found.ok_or(ENOENT)?;
        let (data, operations) = dentry.file.ok_or(ENOENT)?;
        if !dentry.uses.begin() {
            return Err(ENOENT);
        }
        let mut open = Self {
            dentry: dentry.clone(),
            inode: inode { i_private: data },
            file: Box::default(),
            position: 0,
        };
        let result = if try_module_get() {
            // SAFETY: The operations are there as long as the file is in use.
            match unsafe {
                (*operations)
                    .open
                    .map(|call| call(&mut open.inode, &mut *open.file))
            } {
                None | Some(0) => 0,
                Some(error) => {
                    module_put();
                    error
                }
            }
        } else {
            ENXIO
        };
        dentry.uses.end();
        if result == 0 {
            Ok(open)
        } else {
            Err(result)
        }
    }

    /// Reads on. Nothing at the end.
    ///
    /// # Errors
    ///
    /// An errno.
    pub fn read(&mut self, len: usize) -> Result<Vec<u8>, c_int> {
        let mut data = vec![0; len];
        if !self.dentry.uses.begin() {
            return Err(EIO);
        }
        let (_, operations) = self.dentry.file.ok_or(EIO)?;
        // SAFETY: The operations are there as long as the file is in use.
        let count = unsafe {
            (*operations).read.expect("read")(
                &mut *self.file,
                data.as_mut_ptr(),
                len,
                &mut self.position,
            )
        };
        self.dentry.uses.end();
        match usize::try_from(count) {
            Ok(count) => {
                data.truncate(count);
                Ok(data)
            }
            Err(_) => Err(count as c_int),
        }
    }

    /// Closes it.
    pub fn close(mut self) {
        scheduler::point();
        // Its operations may be gone, but not what they call: that is why the module stays.
        // SAFETY: The file was opened, and is not used any more.
        unsafe { single_release(&mut self.inode, &mut *self.file) };
        module_put();
    }
}
