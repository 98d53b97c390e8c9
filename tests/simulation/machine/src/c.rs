// SPDX-License-Identifier: GPL-2.0

//! The kernel's C as far as the sources under test call it, under its own names.
//!
//! What these do is told by the kernel's documentation; here it is done by the simulated machine. Each
//! has the safety requirements of its original.

#![allow(
    missing_docs,
    non_camel_case_types,
    non_upper_case_globals,
    clippy::missing_safety_doc
)]

use std::{
    cell::Cell,
    collections::VecDeque,
    ffi::{c_void, CStr},
    ptr::null_mut,
    rc::Rc,
};

use crate::{
    disk::{Disk, Operation, Request},
    fail, mapper,
    mapper::{MappedDevice, Table},
    scheduler::{self, world},
};

pub use crate::{block_io::*, debugfs::*, sysfs::*};

pub type c_char = u8;
pub type c_int = i32;
pub type c_uint = u32;
pub type c_long = isize;
pub type c_ulong = usize;
pub type blk_status_t = u8;
pub type status_type_t = u32;
pub type sector_t = u64;

pub const BLK_STS_OK: u8 = 0;
pub const BLK_STS_NOTSUPP: u8 = 1;
pub const BLK_STS_TIMEOUT: u8 = 2;
pub const BLK_STS_NOSPC: u8 = 3;
pub const BLK_STS_TRANSPORT: u8 = 4;
pub const BLK_STS_TARGET: u8 = 5;
pub const BLK_STS_RESV_CONFLICT: u8 = 6;
pub const BLK_STS_MEDIUM: u8 = 7;
pub const BLK_STS_PROTECTION: u8 = 8;
pub const BLK_STS_RESOURCE: u8 = 9;
pub const BLK_STS_IOERR: u8 = 10;
pub const BLK_STS_AGAIN: u8 = 12;
pub const BLK_STS_DEV_RESOURCE: u8 = 13;
pub const BLK_STS_OFFLINE: u8 = 16;
pub const BLK_STS_DURATION_LIMIT: u8 = 17;
pub const BLK_STS_INVAL: u8 = 19;

const STATUSES: [(u8, c_int, &str); 16] = [
    (BLK_STS_OK, 0, "OK"),
    (BLK_STS_NOTSUPP, -95, "NOTSUPP"),
    (BLK_STS_TIMEOUT, -110, "TIMEOUT"),
    (BLK_STS_NOSPC, -28, "NOSPC"),
    (BLK_STS_TRANSPORT, -67, "TRANSPORT"),
    (BLK_STS_TARGET, -121, "TARGET"),
    (BLK_STS_RESV_CONFLICT, -52, "RESV_CONFLICT"),
    (BLK_STS_MEDIUM, -61, "MEDIUM"),
    (BLK_STS_PROTECTION, -84, "PROTECTION"),
    (BLK_STS_RESOURCE, -12, "RESOURCE"),
    (BLK_STS_IOERR, -5, "IOERR"),
    (BLK_STS_AGAIN, -11, "AGAIN"),
    (BLK_STS_DEV_RESOURCE, -16, "DEV_RESOURCE"),
    (BLK_STS_OFFLINE, -19, "OFFLINE"),
    (BLK_STS_DURATION_LIMIT, -62, "DURATION_LIMIT"),
    (BLK_STS_INVAL, -22, "INVAL"),
];

/// The name of a status.
pub fn status_name(status: blk_status_t) -> &'static str {
    STATUSES
        .iter()
        .find(|(number, ..)| *number == status)
        .map_or("?", |(_, _, name)| name)
}

pub unsafe fn blk_status_to_errno(status: blk_status_t) -> c_int {
    STATUSES
        .iter()
        .find(|(number, ..)| *number == status)
        .map_or(-5, |(_, errno, _)| *errno)
}

pub const REQ_OP_READ: u32 = 0;
pub const REQ_OP_WRITE: u32 = 1;
pub const req_op_REQ_OP_READ: u32 = REQ_OP_READ;
pub const req_op_REQ_OP_WRITE: u32 = REQ_OP_WRITE;
pub const REQ_OP_DISCARD: u32 = 3;
pub const REQ_OP_WRITE_ZEROES: u32 = 9;
pub const REQ_OP_MASK: u32 = 0xff;
pub const REQ_SYNC: u32 = 1 << 11;
pub const REQ_FUA: u32 = 1 << 17;
pub const REQ_PREFLUSH: u32 = 1 << 18;
pub const REQ_POLLED: u32 = 1 << 24;
pub const BIO_REMAPPED: u32 = 11;
pub const BIO_BPS_THROTTLED: u32 = 8;
pub const BLK_OPEN_READ: u32 = 1;
pub const BLK_OPEN_WRITE: u32 = 2;
pub const BLK_OPEN_RESTRICT_WRITES: u32 = 1 << 5;
pub const IOPRIO_IDLE: u16 = 3 << 13;
pub const GFP_KERNEL: u32 = 0xcc0;
pub const NUMA_NO_NODE: c_int = -1;
pub const TASK_IDLE: u32 = 0x402;

pub const DM_ENDIO_DONE: u32 = 0;
pub const DM_ENDIO_INCOMPLETE: u32 = 1;
pub const DM_MAPIO_SUBMITTED: u32 = 0;
pub const DM_MAPIO_REMAPPED: u32 = 1;
pub const DM_MAPIO_KILL: u32 = 4;
pub const DM_TARGET_NOWAIT: u32 = 0x80;
pub const DM_NAME_LEN: u32 = 128;
pub const DM_UUID_LEN: u32 = 129;
pub const status_type_t_STATUSTYPE_INFO: u32 = 0;
pub const status_type_t_STATUSTYPE_TABLE: u32 = 1;
pub const dm_io_mem_type_DM_IO_VMA: u32 = 2;

#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct bvec_iter {
    pub bi_sector: u64,
    pub bi_size: u32,
    pub bi_idx: u32,
    pub bi_offset: u32,
}

#[repr(C)]
pub struct bio {
    pub bi_next: *mut bio,
    pub bi_bdev: *mut block_device,
    pub bi_opf: u32,
    pub bi_flags: u16,
    pub bi_status: blk_status_t,
    pub bi_iter: bvec_iter,
    pub bi_private: *mut c_void,
    pub bi_end_io: Option<unsafe extern "C" fn(*mut bio)>,
    pub bi_io_vec: *mut bio_vec,
    pub bi_vcnt: u16,
    pub bi_max_vecs: u16,
}

#[repr(C)]
pub struct device {
    pub references: i32,
}

#[repr(C)]
pub struct gendisk {
    pub major: c_int,
    pub first_minor: c_int,
}

#[repr(C)]
pub struct block_device {
    pub bd_disk: *mut gendisk,
    pub bd_dev: u32,
    pub bd_device: device,
    pub disk: *mut Disk,
    /// Where it is a mapped device, and no disk.
    pub mapped: *const MappedDevice,
}

#[repr(C)]
pub struct dm_dev {
    pub bdev: *mut block_device,
    pub name: [c_char; 16],
}

pub type mapped_device = MappedDevice;
pub type dm_table = Table;

#[repr(C)]
pub struct dm_target {
    pub table: *mut dm_table,
    pub begin: u64,
    pub len: u64,
    pub num_flush_bios: u32,
    pub num_discard_bios: u32,
    pub num_write_zeroes_bios: u32,
    pub per_io_data_size: u32,
    pub private: *mut c_void,
    pub error: *mut c_char,
}

pub type iterate_devices_callout_fn =
    Option<unsafe extern "C" fn(*mut dm_target, *mut dm_dev, u64, u64, *mut c_void) -> c_int>;

#[repr(C)]
pub struct target_type {
    pub features: u64,
    pub name: *const c_char,
    pub module: *mut module,
    pub version: [u32; 3],
    pub ctr: Option<unsafe extern "C" fn(*mut dm_target, c_uint, *mut *mut c_char) -> c_int>,
    pub dtr: Option<unsafe extern "C" fn(*mut dm_target)>,
    pub map: Option<unsafe extern "C" fn(*mut dm_target, *mut bio) -> c_int>,
    pub end_io: Option<unsafe extern "C" fn(*mut dm_target, *mut bio, *mut blk_status_t) -> c_int>,
    pub presuspend: Option<unsafe extern "C" fn(*mut dm_target)>,
    pub presuspend_undo: Option<unsafe extern "C" fn(*mut dm_target)>,
    pub preresume: Option<unsafe extern "C" fn(*mut dm_target) -> c_int>,
    pub resume: Option<unsafe extern "C" fn(*mut dm_target)>,
    pub status:
        Option<unsafe extern "C" fn(*mut dm_target, status_type_t, c_uint, *mut c_char, c_uint)>,
    pub message: Option<
        unsafe extern "C" fn(
            *mut dm_target,
            c_uint,
            *mut *mut c_char,
            *mut c_char,
            c_uint,
        ) -> c_int,
    >,
    pub prepare_ioctl: Option<
        unsafe extern "C" fn(
            *mut dm_target,
            *mut *mut block_device,
            c_uint,
            c_ulong,
            *mut bool,
        ) -> c_int,
    >,
    pub iterate_devices: Option<
        unsafe extern "C" fn(*mut dm_target, iterate_devices_callout_fn, *mut c_void) -> c_int,
    >,
}

static mut TARGET_TYPE: *mut target_type = null_mut();

/// The target that is registered.
pub fn registered() -> *mut target_type {
    // SAFETY: The simulator has one thread.
    unsafe { TARGET_TYPE }
}

pub unsafe fn dm_register_target(target: *mut target_type) -> c_int {
    // SAFETY: The simulator has one thread.
    unsafe { TARGET_TYPE = target };
    0
}

pub unsafe fn dm_unregister_target(_: *mut target_type) {
    // SAFETY: The simulator has one thread.
    unsafe { TARGET_TYPE = null_mut() };
}

pub unsafe fn dm_target_set_accounts_remapped_io(_: *mut dm_target) {}

pub unsafe fn dm_table_get_mode(table: *mut dm_table) -> u32 {
    // SAFETY: The table is valid.
    BLK_OPEN_READ
        | if unsafe { (*table).read_only } {
            0
        } else {
            BLK_OPEN_WRITE
        }
}

pub unsafe fn dm_table_get_md(table: *mut dm_table) -> *mut mapped_device {
    // SAFETY: The table is valid.
    unsafe { (*table).device() }
}

pub unsafe fn dm_table_event(table: *mut dm_table) {
    scheduler::may_sleep("dm_table_event");
    // SAFETY: The table is valid.
    let events = unsafe { &(*(*table).device()).events };
    events.set(events.get() + 1);
    scheduler::point();
}

pub unsafe fn dm_disk(device: *mut mapped_device) -> *mut gendisk {
    // SAFETY: The device is valid.
    unsafe { (*device).gendisk() }
}

pub unsafe fn dm_get_md(number: u32) -> *mut mapped_device {
    scheduler::point();
    match mapper::find(number) {
        // SAFETY: A device that can be found is there, and stays until it is put.
        Some(device) if unsafe { (*device).take_reference() } => device.cast_mut(),
        _ => null_mut(),
    }
}

pub unsafe fn dm_put(device: *mut mapped_device) {
    // SAFETY: The caller has a reference.
    unsafe { (*device).put_reference() };
}

pub unsafe fn dm_copy_name_and_uuid(
    device: *mut mapped_device,
    name: *mut c_char,
    uuid: *mut c_char,
) -> c_int {
    scheduler::may_sleep("dm_copy_name_and_uuid");
    scheduler::point();
    // SAFETY: The caller has a reference, and room for both.
    unsafe {
        let Some(known) = (*device).name() else {
            return -6;
        };
        name.copy_from_nonoverlapping(known.as_ptr(), known.len());
        *name.add(known.len()) = 0;
        *uuid = 0;
    }
    0
}

pub unsafe fn dm_get_device(
    target: *mut dm_target,
    path: *const c_char,
    _: u32,
    result: *mut *mut dm_dev,
) -> c_int {
    scheduler::may_sleep("dm_get_device");
    // SAFETY: The arguments are valid.
    unsafe {
        let path = CStr::from_ptr(path.cast()).to_str().unwrap_or("");
        match (*(*target).table).open(path) {
            Ok(device) => {
                *result = device;
                0
            }
            Err(error) => error,
        }
    }
}

pub unsafe fn dm_put_device(target: *mut dm_target, device: *mut dm_dev) {
    // SAFETY: The arguments are valid.
    unsafe { (*(*target).table).close(device) };
}

pub unsafe fn dm_per_bio_data(bio: *mut bio, size: usize) -> *mut c_void {
    assert!(size <= mapper::LUGGAGE);
    // SAFETY: The bio is a clone.
    unsafe { mapper::luggage_of(bio).cast() }
}

pub unsafe fn dm_bio_get_target_bio_nr(bio: *mut bio) -> u32 {
    // SAFETY: The bio is a clone.
    unsafe { (*mapper::clone_of(bio)).flush_number }
}

pub unsafe fn dm_accept_partial_bio(bio: *mut bio, sectors: u32) {
    // SAFETY: The bio is a clone.
    unsafe { mapper::accept_partially(bio, sectors) };
}

pub unsafe fn dm_submit_bio_remap(bio: *mut bio, _: *mut bio) {
    scheduler::may_sleep("dm_submit_bio_remap");
    scheduler::point();
    // SAFETY: The bio is a clone.
    unsafe { mapper::submit_kept(bio) };
}

pub unsafe fn bio_endio(bio: *mut bio) {
    scheduler::point();
    // SAFETY: The bio is a clone.
    unsafe { mapper::end_kept(bio) };
}

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
    !world.doomed_allocations.contains(&world.allocations)
        && (of == 0 || !world.random.permille(of))
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

pub unsafe fn bio_write_part(
    bio: *mut bio,
    set: *mut bio_set,
    first: u32,
    sectors: u32,
    bdev: *mut block_device,
    sector: u64,
) -> blk_status_t {
    scheduler::may_sleep("bio_write_part");
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
        part.bi_opf &= !REQ_PREFLUSH;
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
        },
    );
    if status == BLK_STS_OK {
        0
    } else {
        -5
    }
}

pub const CPUS: usize = 4;
const CPU_BYTES: usize = 512;

pub unsafe fn pcpu_alloc_noprof(size: usize, _: usize, _: bool, _: u32) -> *mut c_void {
    scheduler::may_sleep("pcpu_alloc");
    assert!(size <= CPU_BYTES);
    if !allocation_succeeds() {
        return null_mut();
    }
    world().allocated += 1;
    Box::into_raw(Box::new([[0_u64; CPU_BYTES / 8]; CPUS])).cast()
}

pub unsafe fn free_percpu(memory: *mut c_void) {
    world().allocated -= 1;
    // SAFETY: The memory is valid, and not used any more.
    drop(unsafe { Box::from_raw(memory.cast::<[[u64; CPU_BYTES / 8]; CPUS]>()) });
}

/// Adds one to the counter of a CPU: any task may be on any.
unsafe fn count(counter: *mut u64) {
    let cpu = world().random.below(CPUS as u64) as usize;
    // SAFETY: The counter is one of a per-CPU allocation.
    unsafe { *counter.byte_add(cpu * CPU_BYTES) += 1 };
}

pub unsafe fn this_cpu_inc(counter: *mut u64) {
    scheduler::point();
    // SAFETY: The counter is valid.
    unsafe { count(counter) };
}

pub unsafe fn per_cpu_sum(counter: *mut u64) -> u64 {
    let mut sum = 0_u64;
    for cpu in 0..CPUS {
        scheduler::point();
        // SAFETY: The counter is valid.
        sum = sum.wrapping_add(unsafe { *counter.byte_add(cpu * CPU_BYTES) });
    }
    sum
}

pub unsafe fn gate_enter(state: *const u32, entered: *mut u64, kind: u64) -> u32 {
    scheduler::preempt_disable();
    scheduler::point();
    // SAFETY: The arguments are valid.
    let now = unsafe {
        let now = state.read_volatile();
        // Narrow, and what the grace period of a drain is for.
        scheduler::stall(64);
        count(entered.add((u64::from(now & 2) + kind) as usize));
        now
    };
    scheduler::preempt_enable();
    scheduler::point();
    now
}

pub unsafe fn synchronize_rcu_expedited() {
    scheduler::may_sleep("synchronize_rcu_expedited");
    scheduler::point();
    let sections = scheduler::sections();
    let mut pause = 1_000;
    while !scheduler::sections_have_ended(&sections) {
        scheduler::sleep(pause);
        // So that a section that never ends is a hang.
        pause = (2 * pause).min(1_000_000);
    }
}

pub unsafe fn synchronize_rcu() {
    // SAFETY: As for the other one.
    unsafe { synchronize_rcu_expedited() };
}

pub unsafe fn raw_cpu_number() -> u32 {
    world().random.below(CPUS as u64) as u32
}

/// What each byte does to a checksum that is so many bytes further on.
const CRC: [[u32; 256]; 8] = {
    let mut tables = [[0; 256]; 8];
    let mut n = 0;
    while n < 8 * 256 {
        let (table, byte) = (n / 256, n % 256);
        let mut crc = if table == 0 {
            byte as u32
        } else {
            tables[table - 1][byte]
        };
        let mut bit = 0;
        while bit < 8 {
            crc = (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg());
            bit += 1;
        }
        tables[table][byte] = crc;
        n += 1;
    }
    tables
};

pub unsafe fn crc32c(mut crc: u32, data: *const c_void, len: usize) -> u32 {
    // SAFETY: There are so many bytes.
    let data = unsafe { std::slice::from_raw_parts(data.cast::<u8>(), len) };
    let chunks = data.chunks_exact(8);
    let rest = chunks.remainder();
    for chunk in chunks {
        let (low, high) = chunk.split_at(4);
        let word = |bytes: &[u8]| u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        let bytes = u64::from(word(low) ^ crc) | u64::from(word(high)) << 32;
        let tables = CRC.iter().rev().zip(bytes.to_le_bytes());
        crc = tables.fold(0, |crc, (table, byte)| crc ^ table[usize::from(byte)]);
    }
    for byte in rest {
        crc = (crc >> 8) ^ CRC[0][usize::from(crc as u8 ^ byte)];
    }
    crc
}

pub unsafe fn debug_level_admits(_: u32) -> bool {
    // Always: what is printed loads atomics, and a trace must not change the schedule.
    true
}

pub unsafe fn noio_save() -> u32 {
    scheduler::task().map_or(0, |task| u32::from(std::mem::replace(&mut task.noio, true)))
}

pub unsafe fn noio_restore(before: u32) {
    if let Some(task) = scheduler::task() {
        task.noio = before != 0;
    }
}

pub unsafe fn get_random_bytes(bytes: *mut c_void, len: usize) {
    for n in 0..len {
        // SAFETY: There are so many bytes.
        unsafe { *bytes.cast::<u8>().add(n) = world().random.number() as u8 };
    }
}

#[repr(C)]
pub struct wait_queue_head(u64);

#[repr(C)]
pub struct wait_queue_entry {
    head: *mut wait_queue_head,
    woken: bool,
}

pub unsafe fn __init_waitqueue_head(_: *mut wait_queue_head, _: *const c_char, _: *mut c_void) {}

pub unsafe fn init_wait(entry: *mut wait_queue_entry) {
    // SAFETY: The entry is valid.
    unsafe {
        entry.write(wait_queue_entry {
            head: null_mut(),
            woken: false,
        })
    };
}

static mut ENTRIES: Vec<(*mut wait_queue_entry, usize)> = Vec::new();

fn entries() -> &'static mut Vec<(*mut wait_queue_entry, usize)> {
    // SAFETY: The simulator has one thread.
    unsafe { &mut *(&raw mut ENTRIES) }
}

/// Forgets who waits.
pub(crate) fn forget_waiters() {
    entries().clear();
}

pub unsafe fn prepare_to_wait(head: *mut wait_queue_head, entry: *mut wait_queue_entry, _: c_int) {
    scheduler::point();
    // SAFETY: The arguments are valid.
    unsafe { entry.write(wait_queue_entry { head, woken: false }) };
    entries().retain(|(other, _)| *other != entry);
    crate::arena::outside(|| entries().push((entry, scheduler::current())));
    scheduler::point();
}

pub unsafe fn schedule_timeout(jiffies: c_long) -> c_long {
    scheduler::may_sleep("schedule_timeout");
    let me = scheduler::current();
    let Some((entry, _)) = entries().iter().find(|(_, task)| *task == me).copied() else {
        fail!("schedule_timeout without prepare_to_wait");
        return 0;
    };
    // SAFETY: The entry is on the queue, so valid.
    let (head, woken) = unsafe { ((*entry).head, (*entry).woken) };
    if woken {
        return jiffies;
    }
    let deadline = (jiffies < c_long::MAX).then(|| world().now + jiffies as u64 * JIFFY);
    scheduler::block(head as usize, "a wait queue", deadline);
    match deadline {
        Some(deadline) => deadline.saturating_sub(world().now).div_ceil(JIFFY) as c_long,
        None => jiffies,
    }
}

/// Nanoseconds.
pub const JIFFY: u64 = 4_000_000;

pub unsafe fn finish_wait(_: *mut wait_queue_head, entry: *mut wait_queue_entry) {
    entries().retain(|(other, _)| *other != entry);
}

pub unsafe fn wake_up_sleepers(head: *mut wait_queue_head) {
    scheduler::point();
    for (entry, _) in entries().iter() {
        // SAFETY: Entries on a queue are valid.
        unsafe {
            if (**entry).head == head {
                (**entry).woken = true;
            }
        }
    }
    scheduler::wake(head as usize);
    scheduler::point();
}

pub struct task_struct {
    body: Option<(unsafe extern "C" fn(*mut c_void) -> c_int, *mut c_void)>,
    name: String,
    task: usize,
    result: Rc<Cell<c_int>>,
    stops: Rc<Cell<bool>>,
}

pub unsafe fn kthread_create_on_node(
    body: Option<unsafe extern "C" fn(*mut c_void) -> c_int>,
    data: *mut c_void,
    _: c_int,
    _: *const c_char,
    name: *const c_char,
) -> *mut task_struct {
    scheduler::may_sleep("kthread_create");
    if !allocation_succeeds() {
        return -12_isize as *mut task_struct;
    }
    world().allocated += 1;
    Box::into_raw(Box::new(task_struct {
        body: body.map(|body| (body, data)),
        // SAFETY: The name is terminated.
        name: unsafe { CStr::from_ptr(name.cast()) }
            .to_string_lossy()
            .into_owned(),
        task: scheduler::NONE,
        // As of a thread that is stopped before it begins.
        result: Rc::new(Cell::new(-4)),
        stops: Rc::new(Cell::new(false)),
    }))
}

pub unsafe fn get_task_struct(task: *mut task_struct) -> *mut task_struct {
    task
}

pub unsafe fn wake_up_process(task: *mut task_struct) -> c_int {
    // SAFETY: The task is valid.
    unsafe {
        if let Some((body, data)) = (*task).body.take() {
            let (result, stops) = ((*task).result.clone(), (*task).stops.clone());
            let name = std::mem::take(&mut (*task).name);
            (*task).task = scheduler::spawn(name, false, move || {
                if !stops.get() {
                    result.set(body(data));
                }
            });
            scheduler::make_kernel_task((*task).task);
            // On another processor it runs at once.
            scheduler::point();
        }
    }
    1
}

pub unsafe fn kthread_stop_put(task: *mut task_struct) -> c_int {
    scheduler::may_sleep("kthread_stop");
    world().allocated -= 1;
    // SAFETY: The task is valid, and not used any more.
    unsafe {
        scheduler::point();
        (*task).stops.set(true);
        scheduler::join((*task).task);
        Box::from_raw(task).result.get()
    }
}

pub unsafe fn current_cpu_time() -> u64 {
    0
}

pub unsafe fn cond_resched() {
    scheduler::may_sleep("cond_resched");
    scheduler::point();
}

/// A work queue that does one work at a time.
pub struct workqueue_struct {
    works: VecDeque<Box<dyn FnOnce()>>,
    ends: bool,
    worker: usize,
}

pub unsafe fn work_queue_create(_: *const c_char) -> *mut workqueue_struct {
    scheduler::may_sleep("alloc_workqueue");
    if !allocation_succeeds() {
        return null_mut();
    }
    world().allocated += 1;
    let queue = Box::into_raw(Box::new(workqueue_struct {
        works: VecDeque::new(),
        ends: false,
        worker: 0,
    }));
    // SAFETY: The queue stays until its worker has ended.
    unsafe {
        (*queue).worker = scheduler::spawn("worker".to_owned(), false, move || loop {
            match (*queue).works.pop_front() {
                Some(work) => work(),
                None if (*queue).ends => return,
                None => drop(scheduler::block(queue as usize, "work", None)),
            }
        });
        scheduler::make_kernel_task((*queue).worker);
    }
    queue
}

/// Queues work.
///
/// # Safety
///
/// The queue is valid.
pub unsafe fn queue_work(queue: *mut workqueue_struct, work: Box<dyn FnOnce()>) {
    // SAFETY: As the caller says.
    unsafe { (*queue).works.push_back(work) };
    scheduler::wake(queue as usize);
    scheduler::point();
}

pub unsafe fn destroy_workqueue(queue: *mut workqueue_struct) {
    scheduler::may_sleep("destroy_workqueue");
    world().allocated -= 1;
    // SAFETY: The queue is valid, and not used any more.
    unsafe {
        (*queue).ends = true;
        scheduler::wake(queue as usize);
        scheduler::join((*queue).worker);
        drop(Box::from_raw(queue));
    }
}
