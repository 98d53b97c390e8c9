// SPDX-License-Identifier: GPL-2.0

//! Types and constants.

use std::ffi::c_void;

use super::*;
use crate::{
    disk::Disk,
    mapper::{MappedDevice, Table},
};

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

/// Returns the name of a status.
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
pub const REQ_FAILFAST_MASK: u32 = 7 << 8;
pub const REQ_RAHEAD: u32 = 1 << 19;
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
    pub postsuspend: Option<unsafe extern "C" fn(*mut dm_target)>,
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
