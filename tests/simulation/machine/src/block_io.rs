// SPDX-License-Identifier: GPL-2.0

//! Block devices as their users in the kernel have them: opened, claimed, and given bios over pages.
//!
//! Only mapped devices are opened so; disks belong to tables. Each function has the safety requirements of
//! its original.

#![allow(missing_docs, non_camel_case_types)]
#![allow(clippy::missing_safety_doc)]

use std::{
    cell::{Cell, RefCell},
    ffi::c_void,
    ptr::null_mut,
    rc::Rc, //
};

use crate::{
    c::{self, bio, block_device, c_int},
    debugfs::seq_file,
    fail,
    lock::{Kind, Lock},
    mapper::{self, MappedDevice, UserBio},
    scheduler::{self, world},
    sysfs::PAGE_SIZE,
    trace, //
};

const EIO: c_int = -5;
const ENXIO: c_int = -6;
const ENOMEM: isize = -12;
const EBUSY: c_int = -16;

/// A page of memory.
#[repr(C, align(4096))]
pub struct page {
    bytes: [u8; PAGE_SIZE],
}

/// Allocates a page; nothing where there is none.
pub fn alloc_page() -> *mut page {
    let world = world();
    if !c::allocation_succeeds() || world.pages >= world.ram {
        return null_mut();
    }
    world.pages += 1;
    // What it holds is no matter, and not what was there before.
    Box::into_raw(Box::new(page {
        bytes: [0x5a; PAGE_SIZE],
    }))
}

/// Frees a page.
///
/// # Safety
///
/// The page came from [`alloc_page`], and nobody uses it.
pub unsafe fn free_page(page: *mut page) {
    world().pages -= 1;
    // SAFETY: As the caller says.
    drop(unsafe { Box::from_raw(page) });
}

pub unsafe fn si_mem_available() -> c::c_long {
    scheduler::point();
    let world = world();
    world.ram as c::c_long - world.pages as c::c_long
}

pub unsafe fn total_ram_pages() -> u64 {
    world().ram
}

pub unsafe fn kmap_local_page(page: *mut page) -> *mut c_void {
    page.cast()
}

pub unsafe fn kunmap_local(_: *mut c_void) {}

pub unsafe fn memchr_inv(start: *const c_void, byte: c_int, len: usize) -> *mut c_void {
    // SAFETY: There are so many bytes.
    let bytes = unsafe { std::slice::from_raw_parts(start.cast::<u8>(), len) };
    match bytes.iter().position(|other| *other != byte as u8) {
        Some(place) => start.cast_mut().wrapping_byte_add(place),
        None => null_mut(),
    }
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct bio_vec {
    pub bv_page: *mut page,
    pub bv_len: u32,
    pub bv_offset: u32,
}

/// An open file: a block device, or one of debugfs.
pub struct file {
    device: *const MappedDevice,
    bdev: *mut block_device,
    mode: u32,
    holder: *mut c_void,
    pub sequence: *mut seq_file,
}

impl Default for file {
    fn default() -> Self {
        Self {
            device: std::ptr::null(),
            bdev: null_mut(),
            mode: 0,
            holder: null_mut(),
            sequence: null_mut(),
        }
    }
}

/// Who has a mapped device open, and what the block layer counts of it.
pub struct Openers {
    count: Cell<u32>,
    writers: Cell<u32>,
    restricted: Cell<u32>,
    holder: Cell<*mut c_void>,
    lock: Lock,
    /// Sectors that were written by bios that have ended.
    pub(crate) changed: Cell<u64>,
    /// Somebody has made the device read-only.
    pub read_only: Cell<bool>,
    /// The device is being removed.
    pub(crate) deleted: Cell<bool>,
    /// Bios from within the kernel that are in flight, and those of them that write.
    pub(crate) kernel_bios: Cell<u32>,
    pub(crate) kernel_writes: Cell<u32>,
    /// Bios from within the kernel so far, and those that failed.
    pub submitted: Cell<u64>,
    pub failed: Cell<u64>,
    /// Writes that the page cache holds and the device has not seen.
    dirty: RefCell<Vec<Rc<UserBio>>>,
    writing_out: Cell<u32>,
}

impl Openers {
    pub(crate) fn new() -> Self {
        Self {
            count: Cell::new(0),
            writers: Cell::new(0),
            restricted: Cell::new(0),
            holder: Cell::new(null_mut()),
            lock: Lock::new(Kind::Mutex, "disk->open_mutex"),
            changed: Cell::new(0),
            read_only: Cell::new(false),
            deleted: Cell::new(false),
            kernel_bios: Cell::new(0),
            kernel_writes: Cell::new(0),
            submitted: Cell::new(0),
            failed: Cell::new(0),
            dirty: RefCell::new(Vec::new()),
            writing_out: Cell::new(0),
        }
    }

    /// How many have it open.
    pub fn count(&self) -> u32 {
        self.count.get()
    }

    /// Bios from within the kernel that are in flight.
    pub fn kernel_bios(&self) -> u32 {
        self.kernel_bios.get()
    }

    /// Those of them that write.
    pub fn kernel_writes(&self) -> u32 {
        self.kernel_writes.get()
    }

    /// Leaves a write to the page cache.
    pub fn write_later(&self, bio: Rc<UserBio>) {
        self.dirty.borrow_mut().push(bio);
    }
}

impl MappedDevice {
    /// Opens the device.
    ///
    /// # Errors
    ///
    /// An errno.
    pub fn open(&self, mode: u32, holder: *mut c_void) -> Result<Box<file>, c_int> {
        scheduler::may_sleep("bdev_open");
        scheduler::point();
        let openers = &self.openers;
        openers.lock.lock();
        let restricts = world().restricts_writers;
        let claimed = !openers.holder.get().is_null() && !holder.is_null();
        let kept_out = mode & c::BLK_OPEN_WRITE != 0 && openers.restricted.get() > 0
            || mode & c::BLK_OPEN_RESTRICT_WRITES != 0 && openers.writers.get() > 0;
        let result = if openers.deleted.get() {
            Err(ENXIO)
        } else if claimed || restricts && kept_out {
            Err(EBUSY)
        } else {
            openers.count.set(openers.count.get() + 1);
            add(&openers.writers, mode & c::BLK_OPEN_WRITE);
            add(&openers.restricted, mode & c::BLK_OPEN_RESTRICT_WRITES);
            if !holder.is_null() {
                openers.holder.set(holder);
            }
            Ok(())
        };
        openers.lock.unlock();
        result?;
        Ok(Box::new(file {
            device: self,
            bdev: self.block_device(),
            mode,
            holder,
            sequence: null_mut(),
        }))
    }

    /// Writes out what the page cache holds, and waits for whoever does so. Whether that went well.
    pub fn write_out(&self) -> bool {
        scheduler::may_sleep("sync_blockdev");
        let openers = &self.openers;
        let bios = openers.dirty.take();
        openers.writing_out.set(openers.writing_out.get() + 1);
        for bio in &bios {
            self.submit(bio);
        }
        let mut well = true;
        for bio in &bios {
            well &= bio.wait() == c::BLK_STS_OK;
        }
        openers.writing_out.set(openers.writing_out.get() - 1);
        let channel = std::ptr::from_ref(&openers.writing_out) as usize;
        scheduler::wake(channel);
        while openers.writing_out.get() > 0 {
            scheduler::block(channel, "writing out", None);
        }
        well
    }
}

fn add(count: &Cell<u32>, mode: u32) {
    count.set(count.get() + u32::from(mode != 0));
}

fn take(count: &Cell<u32>, mode: u32) {
    count.set(count.get() - u32::from(mode != 0));
}

/// Closes a device.
pub fn close(file: Box<file>) {
    scheduler::may_sleep("bdev_release");
    // SAFETY: A device stays as long as it is open.
    let device = unsafe { &*file.device };
    let openers = &device.openers;
    if openers.count.get() == 1 {
        device.write_out();
    }
    openers.lock.lock();
    give_back_claim(&file);
    take(&openers.writers, file.mode & c::BLK_OPEN_WRITE);
    take(&openers.restricted, file.mode & c::BLK_OPEN_RESTRICT_WRITES);
    openers.count.set(openers.count.get() - 1);
    openers.lock.unlock();
    trace!("the device is closed; openers: {}", openers.count.get());
}

fn give_back_claim(file: &file) {
    // SAFETY: A device stays as long as it is open.
    let openers = unsafe { &(*file.device).openers };
    if !file.holder.is_null() && openers.holder.get() == file.holder {
        openers.holder.set(null_mut());
    }
}

pub unsafe fn bdev_file_open_by_dev(
    number: u32,
    mode: u32,
    holder: *mut c_void,
    _: *const c_void,
) -> *mut file {
    scheduler::may_sleep("bdev_file_open_by_dev");
    if !c::allocation_succeeds() {
        return ENOMEM as *mut file;
    }
    let opened = match mapper::find(number) {
        // SAFETY: Devices that can be found are there.
        Some(device) => unsafe { (*device).open(mode, holder) },
        None => Err(ENXIO),
    };
    match opened {
        Ok(file) => {
            world().allocated += 1;
            trace!("device {}:{} is opened", number >> 20, number & 0xf_ffff);
            Box::into_raw(file)
        }
        Err(error) => error as isize as *mut file,
    }
}

pub unsafe fn file_bdev(file: *mut file) -> *mut block_device {
    // SAFETY: The file is open.
    unsafe { (*file).bdev }
}

/// Files that are closed later: by a work item, or when their task returns to user mode.
#[derive(Default)]
pub struct Closing {
    delayed: Vec<*mut file>,
    by_task: Vec<(usize, *mut file)>,
    works: u32,
}

unsafe fn close_later(file: *mut file) {
    // SAFETY: The file is not used any more.
    close(unsafe { Box::from_raw(file) });
    world().allocated -= 1;
}

fn close_delayed() {
    let files = std::mem::take(&mut world().closing.delayed);
    world().closing.works += 1;
    for file in files {
        // SAFETY: Nobody else has it any more.
        unsafe { close_later(file) };
    }
    world().closing.works -= 1;
    scheduler::wake(&raw const world().closing as usize);
}

pub unsafe fn bdev_fput(file: *mut file) {
    scheduler::may_sleep("bdev_fput");
    // SAFETY: The file is open.
    unsafe {
        let openers = &(*(*file).device).openers;
        openers.lock.lock();
        give_back_claim(&*file);
        openers.lock.unlock();
    }
    let me = scheduler::current();
    if scheduler::task().is_some_and(|task| !task.is_kernel) {
        world().closing.by_task.push((me, file));
        return;
    }
    world().closing.delayed.push(file);
    if world().closing.delayed.len() == 1 {
        let work = scheduler::spawn("delayed_fput".to_owned(), false, || {
            scheduler::sleep(c::JIFFY);
            close_delayed();
        });
        scheduler::make_kernel_task(work);
    }
}

pub unsafe fn flush_delayed_fput() {
    scheduler::may_sleep("flush_delayed_fput");
    close_delayed();
    while world().closing.works > 0 {
        scheduler::block(
            &raw const world().closing as usize,
            "the closing of files",
            None,
        );
    }
}

/// Files that are closed when their tasks return to user mode.
pub fn files_to_close() -> u32 {
    world().closing.by_task.len() as u32
}

/// A system call ends: what its task has put is closed.
pub fn return_to_user() {
    let me = scheduler::current();
    let find = |(task, _): &&(usize, *mut file)| *task == me;
    while let Some((_, file)) = world().closing.by_task.iter().find(find).copied() {
        // SAFETY: Nobody else has it any more.
        unsafe { close_later(file) };
        // Only now, so that whoever counts open files knows of it.
        world().closing.by_task.retain(|(_, other)| *other != file);
    }
}

pub unsafe fn bio_init(
    bio: *mut bio,
    bdev: *mut block_device,
    vectors: *mut bio_vec,
    most: u16,
    opf: u32,
) {
    // SAFETY: The memory is the caller's.
    unsafe {
        bio.write(c::bio {
            bi_next: null_mut(),
            bi_bdev: bdev,
            bi_opf: opf,
            bi_flags: 0,
            bi_status: c::BLK_STS_OK,
            bi_iter: c::bvec_iter {
                bi_sector: 0,
                bi_size: 0,
                bi_idx: 0,
                bi_offset: 0,
            },
            bi_private: null_mut(),
            bi_end_io: None,
            bi_io_vec: vectors,
            bi_vcnt: 0,
            bi_max_vecs: most,
        })
    };
}

pub unsafe fn bio_uninit(_: *mut bio) {}

pub unsafe fn __bio_add_page(bio: *mut bio, page: *mut page, len: u32, offset: u32) {
    // SAFETY: The bio is initialised.
    unsafe {
        if (*bio).bi_vcnt >= (*bio).bi_max_vecs {
            fail!("a bio has no room for another page");
        }
        let place = (*bio).bi_io_vec.add(usize::from((*bio).bi_vcnt));
        place.write(bio_vec {
            bv_page: page,
            bv_len: len,
            bv_offset: offset,
        });
        (*bio).bi_vcnt += 1;
        (*bio).bi_iter.bi_size += len;
    }
}

/// Calls `with` with each piece of a bio's memory.
unsafe fn each_piece(bio: *const bio, mut with: impl FnMut(&mut [u8])) {
    // SAFETY: The bio has so many vectors, and their pages are there.
    unsafe {
        for n in 0..usize::from((*bio).bi_vcnt) {
            let vector = *(*bio).bi_io_vec.add(n);
            let start = vector.bv_page.cast::<u8>().add(vector.bv_offset as usize);
            with(std::slice::from_raw_parts_mut(
                start,
                vector.bv_len as usize,
            ));
        }
    }
}

pub unsafe fn submit_bio(bio: *mut bio) {
    scheduler::may_sleep("submit_bio");
    scheduler::point();
    // SAFETY: The bio is complete, and its device open.
    unsafe {
        let device = &*(*(*bio).bi_bdev).mapped;
        let (opf, iter) = ((*bio).bi_opf, (*bio).bi_iter);
        let mut data = Vec::with_capacity(iter.bi_size as usize);
        each_piece(bio, |piece| data.extend_from_slice(piece));
        let openers = &device.openers;
        openers.submitted.set(openers.submitted.get() + 1);
        openers.kernel_bios.set(openers.kernel_bios.get() + 1);
        add(&openers.kernel_writes, opf & 1);
        if openers.count.get() == 0 {
            fail!("a bio is submitted to a device that is not open");
        }
        let sectors = iter.bi_size >> 9;
        trace!(
            "bio k{}: {opf:#x} {}+{sectors}",
            openers.submitted.get(),
            iter.bi_sector
        );
        let number = u64::MAX - openers.submitted.get();
        let user = UserBio::of_kernel(number, opf, iter.bi_sector, sectors, data, bio);
        if iter.bi_sector + u64::from(sectors) > device.sectors() {
            fail!("a bio of {}+{sectors} is beyond the end", iter.bi_sector);
        }
        device.submit(&user);
    }
}

/// A bio from within the kernel has ended: its submitter hears of it.
///
/// # Safety
///
/// Called once for a bio that was submitted here.
pub(crate) unsafe fn end(device: &MappedDevice, user: &UserBio, bio: *mut bio) {
    let openers = &device.openers;
    let status = user.status();
    openers.kernel_bios.set(openers.kernel_bios.get() - 1);
    take(&openers.kernel_writes, user.opf & 1);
    if status != c::BLK_STS_OK {
        openers.failed.set(openers.failed.get() + 1);
    }
    let reads = user.opf & c::REQ_OP_MASK == c::REQ_OP_READ;
    let mut done = 0;
    // SAFETY: The submitter leaves bio and pages alone until it hears of the end.
    unsafe {
        each_piece(bio, |piece| {
            let data = &user.data[done..done + piece.len()];
            done += piece.len();
            if reads && status == c::BLK_STS_OK {
                piece.copy_from_slice(data);
            } else if !reads && piece != data {
                fail!("the memory of a bio has changed while it was in flight");
            }
        });
        (*bio).bi_status = status;
        (*bio).bi_iter.bi_size = 0;
        let Some(end_io) = (*bio).bi_end_io else {
            return;
        };
        // As in bio_endio(): no read section, and the memory may go in the call.
        end_io(bio);
    }
}

pub unsafe fn bdev_openers(bdev: *mut block_device) -> u32 {
    scheduler::point();
    // SAFETY: The device is open.
    unsafe { (*(*bdev).mapped).openers.count.get() }
}

pub unsafe fn bdev_changed_sectors(bdev: *mut block_device) -> u64 {
    scheduler::point();
    // SAFETY: The device is open.
    unsafe { (*(*bdev).mapped).openers.changed.get() }
}

pub unsafe fn sync_blockdev(bdev: *mut block_device) -> c_int {
    // SAFETY: The device is open.
    if unsafe { (*(*bdev).mapped).write_out() } {
        0
    } else {
        EIO
    }
}

pub unsafe fn bdev_is_read_only(bdev: *mut block_device) -> bool {
    scheduler::point();
    // SAFETY: The device is open.
    unsafe { (*(*bdev).mapped).openers.read_only.get() }
}
