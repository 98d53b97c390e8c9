// SPDX-License-Identifier: GPL-2.0

//! A mapped device: its life, its tables, and the requests of its users but for bios.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use super::{
    arguments::arguments,
    table::Table,
    user_bio::UserBio, //
};
use crate::{
    block_io::Openers,
    c::{self, target_type},
    disk::Disk,
    fail,
    scheduler,
    sysfs, //
};

/// Mapped device.
pub struct MappedDevice {
    /// First sector of the target.
    pub begin: u64,
    gendisk: *mut c::gendisk,
    bdev: *mut c::block_device,
    /// Name, until the device is removed.
    name: Cell<Option<&'static str>>,
    /// Number of references that were taken by the number of the device.
    references: Cell<u32>,
    sectors: Cell<u64>,
    /// Users that have the device open.
    pub openers: Openers,
    pub(super) target_type: *mut target_type,
    /// Table in use.
    pub(super) table: RefCell<Option<Rc<Table>>>,
    /// The device is suspended, or about to be.
    pub(super) blocked: Cell<bool>,
    /// Bios that wait until the device is resumed.
    pub(super) deferred: RefCell<Vec<Rc<UserBio>>>,
    /// Number of bios of users that have reached the table and have not completed.
    pub(super) in_flight: Cell<u32>,
    /// Number of events so far.
    pub events: Cell<u64>,
    /// Disks that a table may name, by minor number.
    pub disks: Vec<*mut Disk>,
    /// Number of clones that have not ended.
    pub(super) clones: Cell<u32>,
}

static mut DEVICES: Vec<(u32, *const MappedDevice)> = Vec::new();

fn devices() -> &'static mut Vec<(u32, *const MappedDevice)> {
    // SAFETY: The simulator has one thread.
    unsafe { &mut *(&raw mut DEVICES) }
}

/// Returns the device with the number `number`.
pub(crate) fn find(number: u32) -> Option<*const MappedDevice> {
    let found = devices().iter().find(|(other, _)| *other == number);
    found.map(|(_, device)| *device)
}

/// Forgets all devices.
pub(crate) fn forget_devices() {
    devices().clear();
}

const BLOCKED: &str = "the bios of a suspended device";

impl MappedDevice {
    /// Makes a device with the minor number `minor` and without a table. Its target will begin at sector
    /// `begin`.
    pub fn new(
        minor: i32,
        begin: u64,
        target_type: *mut target_type,
        disks: Vec<*mut Disk>,
    ) -> Rc<Self> {
        let gendisk = Box::leak(Box::new(c::gendisk {
            major: 253,
            first_minor: minor,
        }));
        let number = 253 << 20 | minor as u32;
        let bdev: *mut c::block_device = Box::leak(Box::new(c::block_device {
            bd_disk: gendisk,
            bd_dev: number,
            bd_device: c::device { references: 1 },
            disk: disks.get(1 + minor as usize).copied().unwrap_or(disks[0]),
            mapped: std::ptr::null(),
        }));
        let device = Rc::new(Self {
            begin,
            gendisk,
            bdev,
            name: Cell::new(Some("dm-test")),
            references: Cell::new(0),
            sectors: Cell::new(0),
            openers: Openers::new(),
            target_type,
            table: RefCell::new(None),
            blocked: Cell::new(true),
            deferred: RefCell::new(Vec::new()),
            in_flight: Cell::new(0),
            events: Cell::new(0),
            disks,
            clones: Cell::new(0),
        });
        // SAFETY: The block device was just made.
        unsafe { (*bdev).mapped = Rc::as_ptr(&device) };
        crate::arena::outside(|| {
            devices().retain(|(other, _)| *other != number);
            devices().push((number, Rc::as_ptr(&device)));
        });
        device
    }

    /// Returns the device as the block layer has it.
    pub(crate) fn block_device(&self) -> *mut c::block_device {
        self.bdev
    }

    /// Returns the size of the device, in sectors.
    pub(crate) fn sectors(&self) -> u64 {
        self.sectors.get()
    }

    /// Returns the name, or `None` if the device is being removed.
    pub(crate) fn name(&self) -> Option<&'static str> {
        self.name.get()
    }

    /// Changes the name.
    pub fn rename(&self, name: &'static str) {
        self.name.set(Some(name));
    }

    /// Takes a reference. Returns `false` if the device is being removed.
    pub(crate) fn take_reference(&self) -> bool {
        let there = !self.openers.deleted.get();
        self.references
            .set(self.references.get() + u32::from(there));
        there
    }

    /// Puts a reference.
    pub(crate) fn put_reference(&self) {
        self.references.set(self.references.get() - 1);
        scheduler::wake(self.channel());
        scheduler::point();
    }

    /// Removes the device, and leaves its table. Returns `false` if the device is open, and stays.
    pub fn delete(&self) -> bool {
        scheduler::may_sleep("dm_destroy");
        scheduler::point();
        if self.openers.count() > 0 {
            return false;
        }
        self.openers.deleted.set(true);
        scheduler::point();
        self.name.set(None);
        scheduler::point();
        let me: *const Self = self;
        devices().retain(|(_, device)| *device != me);
        while self.references.get() > 0 {
            scheduler::block(self.channel(), "users of a device that goes", None);
        }
        true
    }

    /// Returns the channel of tasks that wait for references to be put, and for bios to complete.
    pub(super) fn channel(&self) -> usize {
        std::ptr::from_ref(self) as usize
    }

    /// Returns the disk as the block layer has it, with the number of the device.
    pub fn gendisk(&self) -> *mut c::gendisk {
        self.gendisk
    }

    /// Makes a table of a line, beside the one in use.
    ///
    /// # Errors
    ///
    /// The errno of the target, or `-EINVAL` if the module is being unloaded.
    pub fn load(&self, sectors: u64, line: &[u8], read_only: bool) -> Result<Rc<Table>, i32> {
        // Without the module there is no such target.
        if !sysfs::try_module_get() {
            return Err(-22);
        }
        let table = Table::new(self, self.begin, sectors, read_only);
        let (_words, mut argv) = arguments(line);
        // SAFETY: As device-mapper calls it.
        let error = unsafe {
            (*self.target_type).ctr.expect("ctr")(
                table.target,
                argv.len() as u32,
                argv.as_mut_ptr(),
            )
        };
        if error != 0 {
            if table.has_open_devices() {
                fail!("a table that was refused has devices open");
            }
            sysfs::module_put();
            return Err(error);
        }
        Ok(table)
    }

    /// Destroys a table that is not in use.
    pub fn destroy(&self, table: Rc<Table>) {
        table.wait_for_users();
        // SAFETY: As device-mapper calls it.
        unsafe { (*self.target_type).dtr.expect("dtr")(table.target) };
        if table.has_open_devices() {
            fail!("a table that is gone has devices open");
        }
        sysfs::module_put();
    }

    /// Suspends the device. Returns when no bio is in flight.
    pub fn suspend(&self) {
        let table = self.table.borrow().clone();
        if let Some(table) = &table {
            // SAFETY: As device-mapper calls it.
            unsafe { (*self.target_type).presuspend.expect("presuspend")(table.target) };
        }
        scheduler::point();
        self.blocked.set(true);
        while self.in_flight.get() > 0 || table.as_ref().is_some_and(|table| table.has_users()) {
            scheduler::block(self.channel(), BLOCKED, None);
        }
        if let Some(table) = &table {
            // SAFETY: As device-mapper calls it.
            unsafe { (*self.target_type).postsuspend.expect("postsuspend")(table.target) };
        }
    }

    /// Replaces the table in use by `table`, and returns it. The device is suspended.
    pub fn swap(&self, table: Option<Rc<Table>>) -> Option<Rc<Table>> {
        if let Some(table) = &table {
            self.sectors.set(table.end());
        }
        let old = self.table.replace(table);
        // Tasks that have seen the old table see that the device is suspended.
        old.inspect(|old| old.wait_for_users())
    }

    /// Resumes the device, with a table or without one, and submits the bios that have waited.
    ///
    /// # Errors
    ///
    /// The errno of the target. The device stays suspended.
    pub fn resume(&self) -> Result<(), i32> {
        let table = self.table.borrow().clone();
        if let Some(table) = &table {
            // SAFETY: As device-mapper calls it.
            unsafe {
                let error = (*self.target_type).preresume.expect("preresume")(table.target);
                if error != 0 {
                    return Err(error);
                }
                (*self.target_type).resume.expect("resume")(table.target);
            }
        }
        self.blocked.set(false);
        let deferred = self.deferred.take();
        for bio in deferred {
            self.submit(&bio);
        }
        Ok(())
    }

    /// Takes the table of a device that goes. Fails the run if bios are left.
    pub fn take_table(&self) -> Option<Rc<Table>> {
        if self.in_flight.get() > 0 || self.clones.get() > 0 {
            fail!(
                "{} bios and {} clones are left of a device that goes",
                self.in_flight.get(),
                self.clones.get()
            );
        }
        self.table.take()
    }

    /// Returns the numbers of reads and writes that the table in use was given.
    pub fn given(&self) -> (u64, u64) {
        let table = self.table.borrow();
        table
            .as_ref()
            .map_or((0, 0), |table| (table.reads.get(), table.writes.get()))
    }

    /// Runs `with` as a user of the table in use, if there is one.
    pub(super) fn with_table<R>(&self, with: impl FnOnce(&Self, &Table) -> R) -> Option<R> {
        let table = self.table.borrow().clone()?;
        let result = table.used(|table| with(self, table));
        scheduler::wake(self.channel());
        Some(result)
    }

    /// Sends a message, and returns the reply of the target.
    ///
    /// # Errors
    ///
    /// The errno of the target, or `-ENXIO` without a table.
    pub fn message(&self, words: &[u8]) -> Result<String, i32> {
        self.with_table(|device, table| {
            let (_words, mut argv) = arguments(words);
            let mut reply = vec![0_u8; 4096];
            // SAFETY: As device-mapper calls it.
            let result = unsafe {
                let message = (*device.target_type).message.expect("message");
                message(
                    table.target,
                    argv.len() as u32,
                    argv.as_mut_ptr(),
                    reply.as_mut_ptr(),
                    4096,
                )
            };
            let len = reply.iter().position(|byte| *byte == 0).unwrap_or(0);
            match result {
                0 => Ok(String::new()),
                1 => Ok(String::from_utf8_lossy(&reply[..len]).into_owned()),
                error => Err(error),
            }
        })
        .unwrap_or(Err(-6))
    }

    /// Returns the number of the disk that ioctls go to, and whether they go there without a check of their sender's
    /// rights, as dm_prepare_ioctl() in drivers/md/dm.c does.
    pub fn ioctl_disk(&self) -> Option<(u32, bool)> {
        self.with_table(|device, table| {
            let mut bdev = std::ptr::null_mut();
            // SAFETY: As device-mapper calls it.
            unsafe {
                let prepare = (*device.target_type).prepare_ioctl.expect("prepare_ioctl");
                let checked = prepare(table.target, &mut bdev, 0, 0, &mut false);
                ((*bdev).bd_dev & 0xfffff, checked == 0)
            }
        })
    }

    /// Returns the disks that the target has data on, by number, with the ranges: their first sectors and lengths.
    pub fn data_ranges(&self) -> Vec<(u32, u64, u64)> {
        unsafe extern "C" fn note(
            _: *mut c::dm_target,
            device: *mut c::dm_dev,
            start: u64,
            len: u64,
            ranges: *mut std::ffi::c_void,
        ) -> i32 {
            // SAFETY: The target passes on what it was given, and an open device.
            unsafe {
                let number = (*(*device).bdev).bd_dev & 0xfffff;
                (*ranges.cast::<Vec<(u32, u64, u64)>>()).push((number, start, len));
            }
            0
        }
        let mut ranges = Vec::new();
        self.with_table(|device, table| {
            // SAFETY: As device-mapper calls it.
            unsafe {
                let iterate = (*device.target_type)
                    .iterate_devices
                    .expect("iterate_devices");
                iterate(table.target, Some(note), (&raw mut ranges).cast());
            }
        });
        ranges
    }

    /// Returns the text of `dmsetup status` or `dmsetup table`, without a table an empty one.
    pub fn status(&self, kind: u32) -> String {
        self.with_table(|device, table| {
            let mut text = vec![0_u8; 4096];
            // SAFETY: As device-mapper calls it.
            unsafe {
                let status = (*device.target_type).status.expect("status");
                status(table.target, kind, 0, text.as_mut_ptr(), 4096);
            }
            let len = text.iter().position(|byte| *byte == 0).unwrap_or(0);
            String::from_utf8_lossy(&text[..len]).into_owned()
        })
        .unwrap_or_default()
    }
}
