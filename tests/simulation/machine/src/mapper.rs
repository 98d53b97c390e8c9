// SPDX-License-Identifier: GPL-2.0

//! Device-mapper's core: a mapped device, its table of one target, and the clones of bios.

use std::{
    cell::{Cell, RefCell},
    ffi::CString,
    rc::Rc,
};

use crate::{
    block_io::{self, Openers},
    c::{self, bio, blk_status_t, bvec_iter, dm_dev, dm_target, target_type},
    disk::{Disk, Operation, Request},
    fail,
    scheduler::{self, world},
    sysfs,
    trace, //
};

/// What a user asks of the mapped device.
pub struct UserBio {
    /// `REQ_OP_*` and flags.
    pub opf: u32,
    /// First sector of the mapped device.
    pub sector: u64,
    /// Number of sectors.
    pub sectors: u32,
    /// The memory.
    pub data: Vec<u8>,
    /// For the trace.
    pub number: u64,
    /// Of a user within the kernel.
    kernel: *mut bio,
    status: Cell<blk_status_t>,
    pending: Cell<u32>,
    flushed: Cell<bool>,
    ended: Cell<bool>,
}

/// Returns the words of a message or a table line as device-mapper splits it, which has no backslash.
pub fn words(text: &[u8]) -> Vec<&[u8]> {
    let words = text.split(u8::is_ascii_whitespace);
    words.filter(|word| !word.is_empty()).collect()
}

/// Returns the words of `text` as C has them, and the vector of their addresses, which is good as long
/// as they are.
fn arguments(text: &[u8]) -> (Vec<CString>, Vec<*mut u8>) {
    let words: Vec<CString> = words(text)
        .into_iter()
        .map(|word| CString::new(word).expect("a word"))
        .collect();
    let addresses = words
        .iter()
        .map(|word| word.as_ptr().cast_mut().cast())
        .collect();
    (words, addresses)
}

/// Returns the number of the disk that a table line means by `8:<number>`.
pub fn number_of(device: &[u8]) -> Option<usize> {
    let digits = device.strip_prefix(b"8:")?;
    let digits = std::str::from_utf8(digits).ok()?;
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| plain)
}

impl UserBio {
    /// A bio that nobody has submitted.
    pub fn new(number: u64, opf: u32, sector: u64, sectors: u32, data: Vec<u8>) -> Rc<Self> {
        Self::of_kernel(number, opf, sector, sectors, data, std::ptr::null_mut())
    }

    /// A bio of a user within the kernel, whose memory has been copied.
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

    /// How it has ended.
    pub(crate) fn status(&self) -> blk_status_t {
        self.status.get()
    }

    /// Waits for its end.
    pub fn wait(self: &Rc<Self>) -> blk_status_t {
        while !self.ended.get() {
            scheduler::block(Rc::as_ptr(self) as usize, "a bio", None);
        }
        self.status.get()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    /// It is in `map`.
    Mapping,
    /// The device below.
    Below,
    /// The target.
    Target,
    /// Nobody: it has ended.
    Ended,
}

/// Room for per-bio data.
pub const LUGGAGE: usize = 192;

/// A clone: the target's memory, what device-mapper knows, and the bio.
#[repr(C)]
pub struct Clone {
    luggage: [u64; LUGGAGE / 8],
    user: Rc<UserBio>,
    table: *const Table,
    owner: Owner,
    pub(crate) flush_number: u32,
    /// Sectors of a part that was accepted alone; read by whoever called `map`, who outlives it.
    accepted: *const Cell<u32>,
    bio: bio,
}

/// A table with one target.
pub struct Table {
    /// Reads and writes that it was given so far, each part counted, as the target should count them.
    pub reads: Cell<u64>,
    /// As above.
    pub writes: Cell<u64>,
    /// For C; a box of its own, which is leaked.
    target: *mut dm_target,
    device: *const MappedDevice,
    /// Who is in a callback of it.
    users: Cell<u32>,
    /// Boxes, since C has their addresses.
    #[allow(clippy::vec_box)]
    devices: RefCell<Vec<Box<dm_dev>>>,
    pub(crate) read_only: bool,
}

/// A mapped device.
pub struct MappedDevice {
    /// Where its target begins.
    pub begin: u64,
    gendisk: *mut c::gendisk,
    bdev: *mut c::block_device,
    /// Nobody finds the device by its number any more where it has none.
    name: Cell<Option<&'static str>>,
    /// References that were taken by number.
    references: Cell<u32>,
    sectors: Cell<u64>,
    /// Who has it open.
    pub openers: Openers,
    target_type: *mut target_type,
    /// The table in use.
    table: RefCell<Option<Rc<Table>>>,
    blocked: Cell<bool>,
    deferred: RefCell<Vec<Rc<UserBio>>>,
    in_flight: Cell<u32>,
    /// Times that something has happened.
    pub events: Cell<u64>,
    /// The disks that a table may name, by minor number.
    pub disks: Vec<*mut Disk>,
    clones: Cell<u32>,
}

static mut DEVICES: Vec<(u32, *const MappedDevice)> = Vec::new();

fn devices() -> &'static mut Vec<(u32, *const MappedDevice)> {
    // SAFETY: The simulator has one thread.
    unsafe { &mut *(&raw mut DEVICES) }
}

/// The device with that number.
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
    /// A device with that minor number, without a table. Its target will begin at sector `begin`.
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

    /// The device as the block layer has it.
    pub(crate) fn block_device(&self) -> *mut c::block_device {
        self.bdev
    }

    /// Its size.
    pub(crate) fn sectors(&self) -> u64 {
        self.sectors.get()
    }

    /// The name; nothing where it is being removed.
    pub(crate) fn name(&self) -> Option<&'static str> {
        self.name.get()
    }

    /// Gives it another name.
    pub fn rename(&self, name: &'static str) {
        self.name.set(Some(name));
    }

    /// Takes a reference. Returns `false` where the device is being removed.
    pub(crate) fn take_reference(&self) -> bool {
        let there = !self.openers.deleted.get();
        self.references
            .set(self.references.get() + u32::from(there));
        there
    }

    /// Puts one.
    pub(crate) fn put_reference(&self) {
        self.references.set(self.references.get() - 1);
        scheduler::wake(self.channel());
        scheduler::point();
    }

    /// Removes the device, unless somebody has it open. Its table is left. Returns whether it is removed.
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

    fn channel(&self) -> usize {
        std::ptr::from_ref(self) as usize
    }

    /// Number of the whole.
    pub fn gendisk(&self) -> *mut c::gendisk {
        self.gendisk
    }

    /// Makes a table of a line, beside the one in use.
    ///
    /// # Errors
    ///
    /// The target's errno.
    pub fn load(&self, sectors: u64, line: &[u8], read_only: bool) -> Result<Rc<Table>, i32> {
        // Without the module there is no such target.
        if !sysfs::try_module_get() {
            return Err(-22);
        }
        let table = Rc::new(Table {
            reads: Cell::new(0),
            writes: Cell::new(0),
            // SAFETY: All zero is a target that nobody has set up.
            target: Box::leak(Box::new(unsafe { std::mem::zeroed() })),
            device: self,
            users: Cell::new(0),
            devices: RefCell::new(Vec::new()),
            read_only,
        });
        // SAFETY: The target was just made.
        unsafe {
            (*table.target).begin = self.begin;
            (*table.target).len = sectors;
            (*table.target).table = Rc::as_ptr(&table).cast_mut();
        }
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
            if !table.devices.borrow().is_empty() {
                fail!("a table that was refused has devices open");
            }
            sysfs::module_put();
            return Err(error);
        }
        Ok(table)
    }

    /// Destroys a table that is not in use.
    pub fn destroy(&self, table: Rc<Table>) {
        wait_for_users(&table);
        // SAFETY: As device-mapper calls it.
        unsafe { (*self.target_type).dtr.expect("dtr")(table.target) };
        if !table.devices.borrow().is_empty() {
            fail!("a table that is gone has devices open");
        }
        sysfs::module_put();
    }

    /// Suspends the device.
    pub fn suspend(&self) {
        let table = self.table.borrow().clone();
        if let Some(table) = &table {
            // SAFETY: As device-mapper calls it.
            unsafe { (*self.target_type).presuspend.expect("presuspend")(table.target) };
        }
        scheduler::point();
        self.blocked.set(true);
        while self.in_flight.get() > 0 || table.as_ref().is_some_and(|table| table.users.get() > 0)
        {
            scheduler::block(self.channel(), BLOCKED, None);
        }
    }

    /// Puts `table` in the place of the one in use, which is returned. Suspended.
    pub fn swap(&self, table: Option<Rc<Table>>) -> Option<Rc<Table>> {
        if let Some(table) = &table {
            // SAFETY: The table has a target.
            let end = unsafe { (*table.target).begin + (*table.target).len };
            self.sectors.set(end);
        }
        let old = self.table.replace(table);
        // Whoever has seen the old one sees that the device is suspended.
        old.inspect(wait_for_users)
    }

    /// Resumes the device, with a table or without one.
    ///
    /// # Errors
    ///
    /// The target's errno.
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

    /// Takes what is left of a device that goes: the table.
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

    /// Reads and writes that the table in use was given.
    pub fn given(&self) -> (u64, u64) {
        let table = self.table.borrow();
        table
            .as_ref()
            .map_or((0, 0), |table| (table.reads.get(), table.writes.get()))
    }

    fn with_table<R>(&self, with: impl FnOnce(&Self, &Table) -> R) -> Option<R> {
        let table = self.table.borrow().clone()?;
        table.users.set(table.users.get() + 1);
        let result = with(self, &table);
        table.users.set(table.users.get() - 1);
        scheduler::wake(Rc::as_ptr(&table) as usize);
        scheduler::wake(self.channel());
        Some(result)
    }

    /// Sends a message. Returns the errno, or what the target replied.
    ///
    /// # Errors
    ///
    /// The target's errno.
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

    /// What `dmsetup status` or `dmsetup table` shows.
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

    /// Submits a bio.
    pub fn submit(&self, user: &Rc<UserBio>) {
        scheduler::point();
        let submitted = self.with_table(|device, table| {
            scheduler::point();
            if device.blocked.get() {
                return false;
            }
            device.in_flight.set(device.in_flight.get() + 1);
            device.split(user, table);
            true
        });
        if submitted == Some(true) {
            return;
        }
        if self.blocked.get() {
            self.deferred.borrow_mut().push(user.clone());
        } else if submitted.is_none() {
            // As a device without a table does.
            user.status.set(c::BLK_STS_IOERR);
            self.ended(user);
        } else {
            // It was resumed meanwhile.
            self.submit(user);
        }
    }

    fn split(&self, user: &Rc<UserBio>, table: &Table) {
        // One for the splitting.
        user.pending.set(1);
        if user.opf & c::REQ_PREFLUSH != 0 && !user.flushed.get() {
            // SAFETY: The table has users.
            let copies = unsafe { (*table.target).num_flush_bios };
            for number in 0..copies {
                let opf = c::REQ_OP_WRITE | c::REQ_PREFLUSH | c::REQ_SYNC;
                self.map(user, table, opf, (0, 0, 0), number);
            }
        } else {
            let mut done = 0;
            // SAFETY: The table has users.
            let end = unsafe { (*table.target).begin + (*table.target).len };
            while done < user.sectors {
                let left = end.saturating_sub(user.sector + u64::from(done));
                let left = left.min(u64::from(user.sectors - done)) as u32;
                if left == 0 {
                    // It was submitted when the table was longer.
                    user.status.set(c::BLK_STS_IOERR);
                    break;
                }
                let accepted = self.map(
                    user,
                    table,
                    user.opf & !c::REQ_PREFLUSH,
                    (user.sector + u64::from(done), left, done),
                    0,
                );
                if accepted == 0 || accepted > left {
                    fail!("map accepts {accepted} of {left} sectors");
                }
                done += accepted;
                scheduler::point();
            }
        }
        self.part_ended(user, c::BLK_STS_OK);
    }

    /// Makes a clone and has it mapped; returns how many sectors it has in the end.
    fn map(
        &self,
        user: &Rc<UserBio>,
        table: &Table,
        opf: u32,
        (sector, sectors, done): (u64, u32, u32),
        number: u32,
    ) -> u32 {
        let op = opf & c::REQ_OP_MASK;
        if sectors > 0 {
            let count = if op == c::REQ_OP_READ {
                &table.reads
            } else {
                &table.writes
            };
            count.set(count.get() + 1);
        }
        user.pending.set(user.pending.get() + 1);
        self.clones.set(self.clones.get() + 1);
        let odd = world().random.number() as u16;
        let accepted = Cell::new(sectors);
        let clone = Box::into_raw(Box::new(Clone {
            luggage: [0xdead_beef_dead_beef; LUGGAGE / 8],
            user: user.clone(),
            table: &raw const *table,
            owner: Owner::Mapping,
            flush_number: number,
            accepted: &accepted,
            bio: bio {
                bi_next: 0xdead_0000 as *mut bio,
                bi_bdev: std::ptr::null_mut(),
                bi_opf: opf,
                bi_flags: odd,
                bi_status: c::BLK_STS_OK,
                bi_iter: bvec_iter {
                    bi_sector: sector,
                    bi_size: sectors << 9,
                    bi_idx: 0,
                    bi_offset: done << 9,
                },
                bi_private: std::ptr::null_mut(),
                bi_end_io: None,
                bi_io_vec: std::ptr::null_mut(),
                bi_vcnt: 0,
                bi_max_vecs: 0,
            },
        }));
        // SAFETY: The clone is there until it has ended, which only happens below or later.
        unsafe {
            let result = (*self.target_type).map.expect("map")(table.target, &raw mut (*clone).bio);
            let result = u32::try_from(result).unwrap_or(u32::MAX);
            match result {
                // It may have ended by now.
                c::DM_MAPIO_SUBMITTED => {}
                c::DM_MAPIO_REMAPPED => submit_below(clone),
                c::DM_MAPIO_KILL => end(clone, c::BLK_STS_IOERR),
                other => fail!("map returns {other}"),
            }
        }
        accepted.get()
    }

    fn part_ended(&self, user: &Rc<UserBio>, status: blk_status_t) {
        if status != c::BLK_STS_OK {
            user.status.set(status);
        }
        let pending = user.pending.get() - 1;
        user.pending.set(pending);
        if pending > 0 {
            return;
        }
        let with_data = user.opf & c::REQ_PREFLUSH != 0 && user.sectors > 0 && !user.flushed.get();
        if with_data && user.status.get() == c::BLK_STS_OK {
            user.flushed.set(true);
            let (device, user): (*const Self, _) = (self, user.clone());
            // As device-mapper's work queue does.
            scheduler::spawn("dm_wq".to_owned(), false, move || {
                // SAFETY: The device stays while it has bios in flight.
                let device = unsafe { &*device };
                let table = device.table.borrow().clone().expect("a table");
                device.split(&user, &table);
            });
            return;
        }
        if user.ended.replace(true) {
            fail!("bio {} has ended twice", user.number);
        }
        if user.opf & 1 == 1 {
            let changed = &self.openers.changed;
            changed.set(changed.get() + u64::from(user.sectors));
        }
        self.in_flight.set(self.in_flight.get() - 1);
        scheduler::wake(self.channel());
        self.ended(user);
    }

    /// Tells its submitter that a bio has ended.
    fn ended(&self, user: &UserBio) {
        user.ended.set(true);
        trace!(
            "bio {} ends with {}",
            user.number,
            c::status_name(user.status.get())
        );
        scheduler::wake(std::ptr::from_ref(user) as usize);
        if !user.kernel.is_null() {
            // SAFETY: It was submitted once, and has ended once.
            unsafe { block_io::end(self, user, user.kernel) };
        }
    }
}

fn wait_for_users(table: &Rc<Table>) {
    while table.users.get() > 0 {
        scheduler::block(Rc::as_ptr(table) as usize, "the users of a table", None);
    }
}

/// The clone that a bio is part of.
///
/// # Safety
///
/// The bio is part of a clone that has not ended.
pub(crate) unsafe fn clone_of(bio: *mut bio) -> *mut Clone {
    // SAFETY: As the caller says.
    unsafe { bio.byte_sub(std::mem::offset_of!(Clone, bio)).cast() }
}

/// Where the target's memory of a clone is.
///
/// # Safety
///
/// As for [`clone_of`].
pub(crate) unsafe fn luggage_of(bio: *mut bio) -> *mut u64 {
    // SAFETY: As the caller says.
    unsafe { (&raw mut (*clone_of(bio)).luggage).cast() }
}

/// The memory of the bio that a clone was made of.
///
/// # Safety
///
/// As for [`clone_of`].
pub(crate) unsafe fn memory_of(bio: *mut bio) -> *const u8 {
    // SAFETY: As the caller says.
    unsafe { (*clone_of(bio)).user.data.as_ptr() }
}

/// Only a part of the bio is mapped.
///
/// # Safety
///
/// As for [`clone_of`].
pub(crate) unsafe fn accept_partially(bio: *mut bio, sectors: u32) {
    // SAFETY: As the caller says.
    unsafe {
        let clone = clone_of(bio);
        if (*clone).owner != Owner::Mapping || sectors == 0 || sectors > (*bio).bi_iter.bi_size >> 9
        {
            fail!(
                "a part of {sectors} sectors is accepted of a bio that is {:?}",
                (*clone).owner
            );
        }
        (*(*clone).accepted).set(sectors);
        (*bio).bi_iter.bi_size = sectors << 9;
    }
}

/// Sends a clone to its device.
///
/// # Safety
///
/// It belongs to whoever calls.
unsafe fn submit_below(clone: *mut Clone) {
    // SAFETY: As the caller says.
    unsafe {
        let bio = &raw mut (*clone).bio;
        (*clone).owner = Owner::Below;
        let request = request_of(bio, (*clone).user.data.as_ptr());
        let sectors = request.sectors;
        let disk = (*(*bio).bi_bdev).disk;
        (*disk).submit(request, move |status| {
            // As the block layer leaves it.
            (*bio).bi_iter.bi_sector += sectors;
            (*bio).bi_iter.bi_offset += (sectors << 9) as u32;
            (*bio).bi_iter.bi_size = 0;
            (*bio).bi_next = std::ptr::null_mut();
            (*bio).bi_status = status;
            come_back(clone);
        });
    }
}

/// The request that a bio is, with the memory at `data`.
///
/// # Safety
///
/// The bio is valid.
pub(crate) unsafe fn request_of(bio: *const bio, data: *const u8) -> Request {
    // SAFETY: As the caller says.
    let (opf, iter) = unsafe { ((*bio).bi_opf, (*bio).bi_iter) };
    let operation = match opf & c::REQ_OP_MASK {
        c::REQ_OP_READ => Operation::Read,
        c::REQ_OP_WRITE if iter.bi_size == 0 => Operation::Flush,
        c::REQ_OP_WRITE => Operation::Write,
        c::REQ_OP_WRITE_ZEROES => Operation::Zero,
        _ => Operation::Discard,
    };
    Request {
        operation,
        sector: iter.bi_sector,
        sectors: u64::from(iter.bi_size >> 9),
        // Past the end where there is none, which nobody looks at.
        data: data.cast_mut().wrapping_add(iter.bi_offset as usize),
        preflush: opf & c::REQ_PREFLUSH != 0 && iter.bi_size > 0,
        fua: opf & c::REQ_FUA != 0,
    }
}

/// The target submits a clone that it kept.
///
/// # Safety
///
/// As for [`clone_of`].
pub(crate) unsafe fn submit_kept(bio: *mut bio) {
    // SAFETY: As the caller says.
    unsafe {
        let clone = clone_of(bio);
        if !matches!((*clone).owner, Owner::Mapping | Owner::Target) {
            fail!("a bio is submitted that is {:?}", (*clone).owner);
        }
        submit_below(clone);
    }
}

/// The target ends a clone that it kept.
///
/// # Safety
///
/// As for [`clone_of`].
pub(crate) unsafe fn end_kept(bio: *mut bio) {
    // SAFETY: As the caller says.
    unsafe {
        let clone = clone_of(bio);
        if !matches!((*clone).owner, Owner::Mapping | Owner::Target) {
            fail!("a bio is ended that is {:?}", (*clone).owner);
        }
        come_back(clone);
    }
}

/// A clone passes the target on its way back.
unsafe fn come_back(clone: *mut Clone) {
    // SAFETY: Whoever calls owns it.
    unsafe {
        if (*clone).owner == Owner::Ended {
            fail!("a bio ends twice");
        }
        let target = (*(*clone).table).target;
        let end_io = (*(*(*(*clone).table).device).target_type)
            .end_io
            .expect("end_io");
        let mut status = (*clone).bio.bi_status;
        (*clone).owner = Owner::Target;
        match u32::try_from(end_io(target, &raw mut (*clone).bio, &mut status)) {
            Ok(c::DM_ENDIO_DONE) => end(clone, status),
            // It may be anywhere by now.
            Ok(c::DM_ENDIO_INCOMPLETE) => {}
            other => fail!("end_io returns {other:?}"),
        }
    }
}

/// A clone has ended.
unsafe fn end(clone: *mut Clone, status: blk_status_t) {
    // SAFETY: Whoever calls owns it, and it is not used any more.
    unsafe {
        (*clone).owner = Owner::Ended;
        let device = (*(*clone).table).device;
        let clone = Box::from_raw(clone);
        (*device).clones.set((*device).clones.get() - 1);
        (*device).part_ended(&clone.user, status);
    }
}

impl Table {
    /// The device that it is of.
    pub(crate) fn device(&self) -> *mut MappedDevice {
        self.device.cast_mut()
    }

    /// Opens a disk.
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

    /// Closes it.
    pub(crate) fn close(&self, device: *mut dm_dev) {
        let mut devices = self.devices.borrow_mut();
        let before = devices.len();
        devices.retain(|open| &raw const **open != device.cast_const());
        if devices.len() + 1 != before {
            fail!("a device is closed that is not open");
        }
    }
}
