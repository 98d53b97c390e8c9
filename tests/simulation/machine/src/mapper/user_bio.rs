// SPDX-License-Identifier: GPL-2.0

//! Bios of users of the mapped device.

use std::{
    cell::Cell,
    rc::Rc, //
};

use crate::{
    c::{self, bio, blk_status_t},
    scheduler, //
};

/// Bio that a user submits to the mapped device.
pub struct UserBio {
    /// `REQ_OP_*` and flags.
    pub opf: u32,
    /// First sector, of the mapped device.
    pub sector: u64,
    /// Number of sectors.
    pub sectors: u32,
    /// Memory that is read or written.
    pub data: Vec<u8>,
    /// Number in the trace.
    pub number: u64,
    /// Original of a user within the kernel, otherwise null.
    pub(super) kernel: *mut bio,
    /// Status of the last part that failed.
    pub(super) status: Cell<blk_status_t>,
    /// Number of clones in flight, and one more while the bio is split.
    pub(super) pending: Cell<u32>,
    /// The flush before the data has completed.
    pub(super) flushed: Cell<bool>,
    /// The bio has completed.
    pub(super) ended: Cell<bool>,
}

impl UserBio {
    /// Makes a bio. [`MappedDevice::submit`](super::MappedDevice::submit) submits it.
    pub fn new(number: u64, opf: u32, sector: u64, sectors: u32, data: Vec<u8>) -> Rc<Self> {
        Self::of_kernel(number, opf, sector, sectors, data, std::ptr::null_mut())
    }

    /// Makes a bio for a user within the kernel, with a copy of the memory of the original.
    pub(crate) fn of_kernel(
        number: u64,
        opf: u32,
        sector: u64,
        sectors: u32,
        data: Vec<u8>,
        kernel: *mut bio,
    ) -> Rc<Self> {
        Rc::new(Self {
            opf,
            sector,
            sectors,
            data,
            number,
            kernel,
            status: Cell::new(c::BLK_STS_OK),
            pending: Cell::new(0),
            flushed: Cell::new(false),
            ended: Cell::new(false),
        })
    }

    /// Returns the status that the bio has completed with.
    pub(crate) fn status(&self) -> blk_status_t {
        self.status.get()
    }

    /// Waits until the bio has completed, and returns its status.
    pub fn wait(self: &Rc<Self>) -> blk_status_t {
        while !self.ended.get() {
            scheduler::block(Rc::as_ptr(self) as usize, "a bio", None);
        }
        self.status.get()
    }
}
