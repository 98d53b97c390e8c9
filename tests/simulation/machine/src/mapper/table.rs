// SPDX-License-Identifier: GPL-2.0

//! A table with one target, and the devices that the target has open.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use super::arguments::number_of;
use crate::{
    c::{self, dm_dev, dm_target, mapped_device},
    fail,
    scheduler, //
};

/// Table with one target.
pub struct Table {
    /// Number of reads that the target was given. Each part of a bio counts, as in the target's own statistics.
    pub(super) reads: Cell<u64>,
    /// Number of writes that the target was given, counted like reads.
    pub(super) writes: Cell<u64>,
    /// Target, as C has it: a box of its own, which is leaked.
    pub(super) target: *mut dm_target,
    /// Mapped device of the table. It outlives the table.
    pub(super) device: *const mapped_device,
    /// Number of tasks in a callback of the target.
    users: Cell<u32>,
    /// Open devices. They are boxes, since C has their addresses.
    #[allow(clippy::vec_box)]
    devices: RefCell<Vec<Box<dm_dev>>>,
    pub(crate) read_only: bool,
}

impl Table {
    /// Makes a table of `sectors` sectors from `begin` on. Its target has no arguments so far.
    pub(super) fn new(
        device: *const mapped_device,
        begin: u64,
        sectors: u64,
        read_only: bool,
    ) -> Rc<Self> {
        let table = Rc::new(Self {
            reads: Cell::new(0),
            writes: Cell::new(0),
            // SAFETY: All zero is a target before its constructor.
            target: Box::leak(Box::new(unsafe { std::mem::zeroed() })),
            device,
            users: Cell::new(0),
            devices: RefCell::new(Vec::new()),
            read_only,
        });
        // SAFETY: The target was just made.
        unsafe {
            (*table.target).begin = begin;
            (*table.target).len = sectors;
            (*table.target).table = Rc::as_ptr(&table).cast_mut();
        }
        table
    }

    /// Returns the mapped device of the table.
    pub(crate) fn device(&self) -> *mut mapped_device {
        self.device.cast_mut()
    }

    /// Returns the first sector after the target.
    pub(super) fn end(&self) -> u64 {
        // SAFETY: The table has a target.
        unsafe { (*self.target).begin + (*self.target).len }
    }

    /// Opens the disk that `path` names, as `dm_get_device()` does.
    ///
    /// # Errors
    ///
    /// `-ENODEV` if there is no such disk.
    pub(crate) fn open(&self, path: &str) -> Result<*mut dm_dev, i32> {
        // SAFETY: The device outlives its tables.
        let disks = unsafe { &(*self.device).disks };
        let number = number_of(path.as_bytes()).ok_or(-19)?;
        let disk = *disks.get(number).ok_or(-19)?;
        let mut name = [0; 16];
        let text = format!("8:{number}");
        name[..text.len()].copy_from_slice(text.as_bytes());
        // SAFETY: Disks outlive tables.
        let bdev: *mut c::block_device = unsafe { &mut *(*disk).device };
        let mut device = Box::new(dm_dev { bdev, name });
        let pointer: *mut dm_dev = &mut *device;
        self.devices.borrow_mut().push(device);
        Ok(pointer)
    }

    /// Closes a device that [`Table::open`] has opened.
    pub(crate) fn close(&self, device: *mut dm_dev) {
        let mut devices = self.devices.borrow_mut();
        let before = devices.len();
        devices.retain(|open| &raw const **open != device.cast_const());
        if devices.len() + 1 != before {
            fail!("a device is closed that is not open");
        }
    }

    /// Returns true if the target has devices open.
    pub(super) fn has_open_devices(&self) -> bool {
        !self.devices.borrow().is_empty()
    }

    /// Runs `with` as a user of the table, so that the table is not destroyed meanwhile.
    pub(super) fn used<R>(&self, with: impl FnOnce(&Self) -> R) -> R {
        self.users.set(self.users.get() + 1);
        let result = with(self);
        self.users.set(self.users.get() - 1);
        scheduler::wake(self.channel());
        result
    }

    /// Returns true while tasks are in callbacks of the target.
    pub(super) fn has_users(&self) -> bool {
        self.users.get() > 0
    }

    /// Waits until no task is in a callback of the target.
    pub(super) fn wait_for_users(&self) {
        while self.has_users() {
            scheduler::block(self.channel(), "the users of a table", None);
        }
    }

    fn channel(&self) -> usize {
        std::ptr::from_ref(self) as usize
    }
}
