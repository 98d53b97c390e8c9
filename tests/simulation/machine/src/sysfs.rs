// SPDX-License-Identifier: GPL-2.0

//! sysfs: what a module makes there, and users who open, read and write it; and the module itself.
//!
//! As in kernfs, whoever reads or writes an attribute uses its node, and removal waits for that.

#![allow(missing_docs, non_camel_case_types, non_upper_case_globals)]
#![allow(clippy::missing_safety_doc)]

use std::{
    ffi::{c_void, CStr},
    ptr::null,
    rc::Rc, //
};

use crate::{
    block_io,
    c::{allocation_succeeds, c_char, c_int},
    debugfs::dentry,
    fail,
    lock::Uses,
    scheduler::{self, world}, //
};

pub const PAGE_SIZE: usize = 4096;

const ENOENT: c_int = -2;
const EIO: c_int = -5;
const ENOMEM: c_int = -12;
const EACCES: c_int = -13;
const EEXIST: c_int = -17;
const ENODEV: c_int = -19;

/// Returns a text of C.
///
/// # Safety
///
/// The text is terminated, and stays as long as the result is used.
pub(crate) unsafe fn text<'a>(text: *const c_char) -> &'a str {
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

/// Contents of sysfs and debugfs.
#[derive(Default)]
pub struct Tree {
    folders: Vec<Folder>,
    pub(crate) dentries: Vec<Rc<dentry>>,
}

impl Tree {
    /// Returns whether there is nothing.
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
