// SPDX-License-Identifier: GPL-2.0

//! sysfs and debugfs: what a module makes there, and users who open, read and write it.
//!
//! As in kernfs, whoever reads or writes an attribute uses its node, and removal waits for that. A file of
//! debugfs can be open for longer than it is there, and keeps its module for so long.

#![allow(missing_docs, non_camel_case_types, non_upper_case_globals)]
#![allow(clippy::missing_safety_doc)]

use std::{
    ffi::{c_void, CStr},
    ptr::{null, null_mut},
    rc::Rc, //
};

use crate::{
    block_io,
    c::{allocation_succeeds, c_char, c_int},
    fail,
    lock::Uses,
    scheduler::{self, world}, //
};

pub const PAGE_SIZE: usize = 4096;

const ENOENT: c_int = -2;
const EIO: c_int = -5;
const ENXIO: c_int = -6;
const ENOMEM: c_int = -12;
const EACCES: c_int = -13;
const EEXIST: c_int = -17;
const ENODEV: c_int = -19;

fn error<T>(number: c_int) -> *mut T {
    number as isize as *mut T
}

fn is_error<T>(pointer: *mut T) -> bool {
    (-4095..0).contains(&(pointer as isize))
}

unsafe fn text<'a>(text: *const c_char) -> &'a str {
    // SAFETY: As the caller says.
    unsafe { CStr::from_ptr(text.cast()) }
        .to_str()
        .unwrap_or("?")
}

#[repr(C)]
pub struct attribute {
    pub name: *const c_char,
    pub mode: u16,
}

impl Default for attribute {
    fn default() -> Self {
        Self {
            name: null(),
            mode: 0,
        }
    }
}

#[repr(C)]
pub struct sysfs_ops {
    pub show: Option<unsafe extern "C" fn(*mut kobject, *mut attribute, *mut c_char) -> isize>,
    pub store:
        Option<unsafe extern "C" fn(*mut kobject, *mut attribute, *const c_char, usize) -> isize>,
}

#[repr(C)]
pub struct kobj_type {
    pub release: Option<unsafe extern "C" fn(*mut kobject)>,
    pub sysfs_ops: *const sysfs_ops,
    pub default_groups: *mut c_void,
    pub child_ns_type: Option<unsafe extern "C" fn()>,
    pub namespace: Option<unsafe extern "C" fn()>,
    pub get_ownership: Option<unsafe extern "C" fn()>,
}

/// All bytes zero before it is initialised.
#[repr(C)]
pub struct kobject {
    references: u32,
    ktype: *const kobj_type,
}

#[repr(C)]
pub struct module_kobject {
    pub kobj: kobject,
}

/// The module under test.
#[repr(C)]
pub struct module {
    pub mkobj: module_kobject,
    /// Open files and tables.
    references: u32,
    goes: bool,
}

const fn blank_kobject() -> kobject {
    kobject {
        references: 1,
        ktype: null(),
    }
}

static mut MODULE: module = module {
    mkobj: module_kobject {
        kobj: blank_kobject(),
    },
    references: 0,
    goes: false,
};

static mut KERNEL: kobject = blank_kobject();

pub static mut kernel_kobj: *mut kobject = &raw mut KERNEL;

/// The module under test.
pub fn this_module() -> *mut module {
    &raw mut MODULE
}

/// Takes a reference to the module. Returns `false` where it goes.
pub fn try_module_get() -> bool {
    // SAFETY: The simulator has one thread.
    let module = unsafe { &mut *this_module() };
    module.references += u32::from(!module.goes);
    !module.goes
}

/// Puts one.
pub fn module_put() {
    // SAFETY: As above.
    let module = unsafe { &mut *this_module() };
    match module.references.checked_sub(1) {
        Some(left) => module.references = left,
        None => fail!("a reference of the module is put that nobody has"),
    }
}

/// Begins to unload the module. Returns `false` where it is in use.
pub fn try_to_unload() -> bool {
    // SAFETY: As above.
    let module = unsafe { &mut *this_module() };
    module.goes |= module.references == 0;
    module.goes
}

/// The module is loaded.
pub fn load_module() {
    // SAFETY: As above.
    unsafe { (*this_module()).goes = false };
}

/// The module is loaded, and nobody uses it.
pub(crate) fn reset_module() {
    load_module();
    // SAFETY: As above.
    unsafe { (*this_module()).references = 0 };
}

/// A file in a directory of sysfs.
struct Node {
    attribute: *mut attribute,
    uses: Uses,
}

struct Folder {
    kobject: *mut kobject,
    parent: *mut kobject,
    name: String,
    nodes: Vec<Rc<Node>>,
}

/// A file or directory of debugfs.
pub struct dentry {
    name: String,
    parent: *mut dentry,
    /// Of a file.
    file: Option<(*mut c_void, *const file_operations)>,
    uses: Uses,
    /// It is there no more, and somebody has it open.
    gone: std::cell::Cell<bool>,
}

/// What there is in sysfs and debugfs.
#[derive(Default)]
pub struct Tree {
    folders: Vec<Folder>,
    dentries: Vec<Rc<dentry>>,
}

impl Tree {
    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.folders.is_empty() && self.dentries.is_empty()
    }

    fn folder(&mut self, kobject: *mut kobject) -> Option<&mut Folder> {
        self.folders
            .iter_mut()
            .find(|folder| folder.kobject == kobject)
    }
}

pub unsafe fn sysfs_attr_init(_: *mut attribute) {}

pub unsafe fn kobject_init_and_add(
    kobject: *mut kobject,
    ktype: *const kobj_type,
    parent: *mut kobject,
    _: *const c_char,
    name: *const c_char,
) -> c_int {
    scheduler::may_sleep("kobject_init_and_add");
    // SAFETY: The kobject is zeroed.
    unsafe {
        if (*kobject).references != 0 {
            fail!("a kobject is initialised that was before");
        }
        (*kobject).references = 1;
        (*kobject).ktype = ktype;
    }
    scheduler::point();
    if !allocation_succeeds() {
        return ENOMEM;
    }
    // SAFETY: The name is terminated.
    let name = unsafe { text(name) }.to_owned();
    let folders = &mut world().sysfs.folders;
    if folders.iter().any(|folder| folder.name == name) {
        return EEXIST;
    }
    folders.push(Folder {
        kobject,
        parent,
        name,
        nodes: Vec::new(),
    });
    0
}

pub unsafe fn sysfs_create_file_ns(
    kobject: *mut kobject,
    attribute: *const attribute,
    _: *const c_void,
) -> c_int {
    scheduler::may_sleep("sysfs_create_file");
    scheduler::point();
    if !allocation_succeeds() {
        return ENOMEM;
    }
    let Some(folder) = world().sysfs.folder(kobject) else {
        return ENOENT;
    };
    folder.nodes.push(Rc::new(Node {
        attribute: attribute.cast_mut(),
        uses: Uses::new("kn->active"),
    }));
    0
}

pub unsafe fn kobject_del(kobject: *mut kobject) {
    scheduler::may_sleep("kobject_del");
    let Some(folder) = world().sysfs.folder(kobject) else {
        return;
    };
    let nodes = folder.nodes.clone();
    for node in &nodes {
        node.uses.take_away();
    }
    world()
        .sysfs
        .folders
        .retain(|folder| folder.kobject != kobject);
    scheduler::point();
}

pub unsafe fn kobject_put(kobject: *mut kobject) {
    scheduler::point();
    // SAFETY: The kobject is initialised.
    unsafe {
        (*kobject).references -= 1;
        if (*kobject).references == 0 {
            if world().sysfs.folder(kobject).is_some() {
                fail!("a kobject is freed that is in sysfs");
            }
            if let Some(release) = (*(*kobject).ktype).release {
                release(kobject);
            }
        }
    }
}

/// An attribute that a user has open.
struct OpenAttribute {
    kobject: *mut kobject,
    node: Rc<Node>,
}

/// Opens an attribute: the directory's parent is the module, or `/sys/kernel`.
fn open(of_module: bool, folder: &str, name: &str, mode: u16) -> Result<OpenAttribute, c_int> {
    scheduler::point();
    let parent = if of_module {
        // SAFETY: The module is there for ever.
        unsafe { &raw mut (*this_module()).mkobj.kobj }
    } else {
        &raw mut KERNEL
    };
    let folders = &world().sysfs.folders;
    let found = folders
        .iter()
        .find(|other| other.parent == parent && other.name == folder)
        .ok_or(ENOENT)?;
    // SAFETY: Attributes stay as long as their directory.
    let is_it = |node: &&Rc<Node>| unsafe { text((*node.attribute).name) } == name;
    let node = found.nodes.iter().find(is_it).ok_or(ENOENT)?.clone();
    let open = OpenAttribute {
        kobject: found.kobject,
        node,
    };
    // As kernfs_fop_open does.
    // SAFETY: As above.
    if unsafe { (*open.node.attribute).mode } & mode == 0 {
        return Err(EACCES);
    }
    if !open.node.uses.begin() {
        return Err(ENODEV);
    }
    open.node.uses.end();
    Ok(open)
}

impl OpenAttribute {
    /// Calls `with` with the operations, while the file is in use.
    fn with<R>(&self, with: impl FnOnce(&sysfs_ops) -> Result<R, c_int>) -> Result<R, c_int> {
        if !self.node.uses.begin() {
            return Err(ENODEV);
        }
        // SAFETY: The kobject stays as long as its files are in use.
        let result = with(unsafe { &*(*(*self.kobject).ktype).sysfs_ops });
        self.node.uses.end();
        result
    }
}

/// Reads an attribute as a user does: `/sys/kernel/<folder>/<name>`, or in the module's directory.
///
/// # Errors
///
/// An errno.
pub fn read(of_module: bool, folder: &str, name: &str) -> Result<String, c_int> {
    let file = open(of_module, folder, name, 0o444)?;
    let mut page = vec![0_u8; PAGE_SIZE];
    let count = file.with(|operations| {
        let show = operations.show.ok_or(EACCES)?;
        // SAFETY: As sysfs calls it.
        Ok(unsafe { show(file.kobject, file.node.attribute, page.as_mut_ptr()) })
    })?;
    block_io::return_to_user();
    match usize::try_from(count) {
        Ok(count) if count < PAGE_SIZE => Ok(String::from_utf8_lossy(&page[..count]).into_owned()),
        Ok(count) => {
            fail!("{name} has {count} bytes, and a page is not that long");
            Err(EIO)
        }
        Err(_) => Err(count as c_int),
    }
}

/// Writes to an attribute as a user does.
///
/// # Errors
///
/// An errno.
pub fn write(of_module: bool, folder: &str, name: &str, bytes: &[u8]) -> Result<(), c_int> {
    let file = open(of_module, folder, name, 0o222)?;
    let bytes = &bytes[..bytes.len().min(PAGE_SIZE)];
    // With a zero behind it, as kernfs has it.
    let mut buffer = bytes.to_vec();
    buffer.push(0);
    let count = file.with(|operations| {
        let store = operations.store.ok_or(EACCES)?;
        if bytes.is_empty() {
            return Ok(0);
        }
        // SAFETY: As sysfs calls it.
        Ok(unsafe {
            store(
                file.kobject,
                file.node.attribute,
                buffer.as_ptr(),
                bytes.len(),
            )
        })
    })?;
    block_io::return_to_user();
    match usize::try_from(count) {
        Ok(count) if count == bytes.len() => Ok(()),
        Ok(count) => {
            fail!("{count} of {} bytes are taken by {name}", bytes.len());
            Err(EIO)
        }
        Err(_) => Err(count as c_int),
    }
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

type Read = unsafe extern "C" fn(*mut block_io::file, *mut c_char, usize, *mut i64) -> isize;

pub struct file_operations {
    pub owner: *mut module,
    pub open: Option<unsafe extern "C" fn(*mut inode, *mut block_io::file) -> c_int>,
    pub read: Option<Read>,
    pub llseek: Option<unsafe extern "C" fn(*mut block_io::file, i64, c_int) -> i64>,
    pub release: Option<unsafe extern "C" fn(*mut inode, *mut block_io::file) -> c_int>,
}

impl Default for file_operations {
    fn default() -> Self {
        Self {
            owner: null_mut(),
            open: None,
            read: None,
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
        gone: std::cell::Cell::new(false),
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
            match unsafe { (*operations).open.map(|call| call(&mut open.inode, &mut *open.file)) } {
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
