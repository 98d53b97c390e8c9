// SPDX-License-Identifier: GPL-2.0

//! Block devices: pools of bios, requests of one's own, and what a device says of itself.

use std::{cell::Cell, ffi::c_void, ptr::null_mut, rc::Rc};

use crate::{
    disk::{Disk, Operation, Request},
    fail, mapper,
    scheduler::{self, world},
};

use super::*;

#[repr(C)]
pub struct bio_set {
    initialised: u32,
    taken: u32,
}

pub unsafe fn bioset_init(set: *mut bio_set, _: u32, _: u32, _: u32) -> c_int {
    scheduler::may_sleep("bioset_init");
    if !allocation_succeeds() {
        return -12;
    }
    // SAFETY: The set is valid.
    unsafe { (*set).initialised = 1 };
    0
}

pub unsafe fn bioset_exit(set: *mut bio_set) {
    // SAFETY: The set is valid.
    unsafe {
        if (*set).taken > 0 {
            fail!("a set of bios goes that are in use");
        }
    }
}

/// Whether an allocation that may fail does not.
pub fn allocation_succeeds() -> bool {
    let world = world();
    if scheduler::current() == scheduler::NONE {
        return true;
    }
    world.allocations += 1;
    let of = world.failing_allocations;
    let succeeds = !world.doomed_allocations.contains(&world.allocations)
        && (of == 0 || !world.random.permille(of));
    world.memory_has_failed |= !succeeds;
    succeeds
}

/// Returns a disk, or the main disk of a mapped device.
fn disk_of(bdev: *mut block_device) -> &'static mut Disk {
    // SAFETY: Block devices belong to disks, which outlive tasks.
    unsafe { &mut *(*bdev).disk }
}

/// Does a request and waits for its end.
fn transfer(bdev: *mut block_device, request: Request) -> blk_status_t {
    scheduler::may_sleep("I/O");
    scheduler::point();
    let ended = Rc::new(Cell::new(None));
    let end = ended.clone();
    disk_of(bdev).submit(request, move |status| {
        end.set(Some(status));
        scheduler::wake(Rc::as_ptr(&end) as usize);
    });
    loop {
        if let Some(status) = ended.get() {
            return status;
        }
        scheduler::block(Rc::as_ptr(&ended) as usize, "its own I/O", None);
    }
}

pub unsafe fn bio_transfer_part(
    bio: *mut bio,
    set: *mut bio_set,
    first: u32,
    sectors: u32,
    bdev: *mut block_device,
    sector: u64,
) -> blk_status_t {
    scheduler::may_sleep("bio_transfer_part");
    // SAFETY: The arguments are valid.
    unsafe {
        while (*set).taken > 0 {
            scheduler::block(set as usize, "a bio of a pool", None);
        }
        (*set).taken += 1;
        let mut part = bio.read();
        part.bi_iter.bi_sector = sector;
        part.bi_iter.bi_offset += first << 9;
        part.bi_iter.bi_size = sectors << 9;
        part.bi_opf &= !(REQ_PREFLUSH | REQ_RAHEAD);
        if part.bi_opf & REQ_OP_MASK == REQ_OP_WRITE {
            part.bi_opf |= REQ_FUA;
        }
        let request = mapper::request_of(&part, mapper::memory_of(bio));
        let status = transfer(bdev, request);
        (*set).taken -= 1;
        scheduler::wake(set as usize);
        status
    }
}

pub unsafe fn bdev_rw_virt(
    bdev: *mut block_device,
    sector: u64,
    data: *mut c_void,
    len: usize,
    opf: u32,
) -> c_int {
    let operation = if opf & REQ_OP_MASK == REQ_OP_READ {
        Operation::Read
    } else {
        Operation::Write
    };
    let sectors = (len >> 9) as u64;
    let request = Request {
        operation,
        sector,
        sectors,
        data: data.cast(),
        preflush: false,
        fua: false,
        readahead: false,
    };
    // SAFETY: Any status may be asked for.
    unsafe { blk_status_to_errno(transfer(bdev, request)) }
}

pub unsafe fn blkdev_issue_flush(bdev: *mut block_device) -> c_int {
    let request = Request {
        operation: Operation::Flush,
        sector: 0,
        sectors: 0,
        data: null_mut(),
        preflush: false,
        fua: false,
        readahead: false,
    };
    // SAFETY: Any status may be asked for.
    unsafe { blk_status_to_errno(transfer(bdev, request)) }
}

pub unsafe fn bdev_nr_sectors(bdev: *mut block_device) -> u64 {
    // SAFETY: The device is there.
    match unsafe { (*bdev).mapped.as_ref() } {
        Some(device) => device.sectors(),
        None => disk_of(bdev).sectors(),
    }
}

pub unsafe fn bdev_start_sector(_: *mut block_device) -> u64 {
    0
}

pub unsafe fn bdev_logical_block_size(bdev: *mut block_device) -> u32 {
    disk_of(bdev).logical << 9
}

pub unsafe fn bdev_physical_block_size(bdev: *mut block_device) -> u32 {
    disk_of(bdev).logical << 9
}

pub unsafe fn bdev_write_zeroes_sectors(bdev: *mut block_device) -> u32 {
    if disk_of(bdev).takes_zeroes {
        u32::MAX >> 9
    } else {
        0
    }
}

pub unsafe fn bdev_is_zoned(_: *mut block_device) -> bool {
    false
}

pub unsafe fn bdev_is_gone(bdev: *mut block_device) -> bool {
    scheduler::point();
    disk_of(bdev).faults.gone
}

pub unsafe fn bdev_partition_uuid(_: *mut block_device) -> *const c_char {
    null_mut()
}

pub unsafe fn bdev_unique_id(bdev: *mut block_device, id: *mut u8) -> u32 {
    // SAFETY: There is room for 16 bytes.
    unsafe { id.write_bytes((*bdev).bd_dev as u8 + 1, 8) };
    8
}

pub unsafe fn get_device(device: *mut device) -> *mut device {
    // SAFETY: The device is valid.
    unsafe { (*device).references += 1 };
    device
}

pub unsafe fn put_device(device: *mut device) {
    // SAFETY: The device is valid.
    unsafe {
        (*device).references -= 1;
        if (*device).references < 1 {
            fail!("a reference of a block device is put that nobody has");
        }
    }
}

#[repr(C)]
pub struct dm_io_client(u8);

#[repr(C)]
pub union dm_io_memory__bindgen_ty_1 {
    pub vma: *mut c_void,
}

#[repr(C)]
pub struct dm_io_memory {
    pub type_: u32,
    pub offset: u32,
    pub ptr: dm_io_memory__bindgen_ty_1,
}

#[repr(C)]
pub struct dm_io_notify {
    pub fn_: Option<unsafe extern "C" fn(c_ulong, *mut c_void)>,
    pub context: *mut c_void,
}

#[repr(C)]
pub struct dm_io_request {
    pub bi_opf: u32,
    pub mem: dm_io_memory,
    pub notify: dm_io_notify,
    pub client: *mut dm_io_client,
}

#[repr(C)]
pub struct dm_io_region {
    pub bdev: *mut block_device,
    pub sector: u64,
    pub count: u64,
}

pub unsafe fn dm_io_client_create() -> *mut dm_io_client {
    scheduler::may_sleep("dm_io_client_create");
    if !allocation_succeeds() {
        return -12_isize as *mut dm_io_client;
    }
    world().allocated += 1;
    Box::into_raw(Box::new(dm_io_client(0)))
}

pub unsafe fn dm_io_client_destroy(client: *mut dm_io_client) {
    world().allocated -= 1;
    // SAFETY: The client is valid, and not used any more.
    drop(unsafe { Box::from_raw(client) });
}

pub unsafe fn dm_io(
    request: *mut dm_io_request,
    _: c_uint,
    region: *mut dm_io_region,
    _: *mut c_ulong,
    _: *mut c_void,
    _: u16,
) -> c_int {
    // SAFETY: The arguments are valid.
    let (opf, data, region) = unsafe { ((*request).bi_opf, (*request).mem.ptr.vma, &*region) };
    let status = transfer(
        region.bdev,
        Request {
            operation: if opf & REQ_OP_MASK == REQ_OP_READ {
                Operation::Read
            } else {
                Operation::Write
            },
            sector: region.sector,
            sectors: region.count,
            data: data.cast(),
            preflush: opf & REQ_PREFLUSH != 0,
            fua: opf & REQ_FUA != 0,
            readahead: false,
        },
    );
    if status == BLK_STS_OK {
        0
    } else {
        -5
    }
}
