// SPDX-License-Identifier: GPL-2.0

//! The path of a bio: from a user through the target to a disk, and back.

use std::{
    cell::Cell,
    rc::Rc, //
};

use super::{
    clone::{clone_of, memory_of, request_of, Clone, Owner, PER_BIO_DATA},
    device::MappedDevice,
    table::Table,
    user_bio::UserBio, //
};
use crate::{
    block_io,
    c::{self, bio, blk_status_t, bvec_iter},
    fail,
    scheduler::{self, world},
    trace, //
};

impl MappedDevice {
    /// Submits a bio. It waits for the next resume if the device is suspended.
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
            // The device was resumed meanwhile.
            self.submit(user);
        }
    }

    /// Splits a bio into clones: the copies of its flush, or the parts that the target accepts.
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
            let end = table.end();
            while done < user.sectors {
                let left = end.saturating_sub(user.sector + u64::from(done));
                let left = left.min(u64::from(user.sectors - done)) as u32;
                if left == 0 {
                    // The bio was submitted when the table was longer.
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

    /// Makes a clone and calls the target's `map`. Returns the number of sectors that the target has accepted.
    ///
    /// `done` sectors of the user's bio come before the clone; `number` is that of a flush.
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
            per_bio_data: [0xdead_beef_dead_beef; PER_BIO_DATA / 8],
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
        // SAFETY: The clone exists until it has ended, which only happens below or later.
        unsafe {
            let result = (*self.target_type).map.expect("map")(table.target, &raw mut (*clone).bio);
            let result = u32::try_from(result).unwrap_or(u32::MAX);
            match result {
                // The clone may have ended by now.
                c::DM_MAPIO_SUBMITTED => {}
                c::DM_MAPIO_REMAPPED => submit_below(clone),
                c::DM_MAPIO_KILL => end(clone, c::BLK_STS_IOERR),
                other => fail!("map returns {other}"),
            }
        }
        accepted.get()
    }

    /// Counts a part of a bio as ended. With the last one the bio completes, or goes on after its flush.
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

    /// Completes a bio of a user.
    fn ended(&self, user: &UserBio) {
        user.ended.set(true);
        trace!(
            "bio {} ends with {}",
            user.number,
            c::status_name(user.status.get())
        );
        scheduler::wake(std::ptr::from_ref(user) as usize);
        if !user.kernel.is_null() {
            // SAFETY: The bio was submitted once, and has ended once.
            unsafe { block_io::end(self, user, user.kernel) };
        }
    }
}

/// Submits a clone to its disk.
///
/// # Safety
///
/// The caller owns the clone.
unsafe fn submit_below(clone: *mut Clone) {
    // SAFETY: As the caller says.
    unsafe {
        let bio = &raw mut (*clone).bio;
        (*clone).owner = Owner::Below;
        let request = request_of(bio, memory_of(bio));
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

/// Submits a clone that the target has kept, as `dm_submit_bio_remap()` does.
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

/// Ends a clone that the target has kept, as `bio_endio()` does.
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

/// Calls the target's `end_io` for a clone that has completed.
///
/// # Safety
///
/// The caller owns the clone.
unsafe fn come_back(clone: *mut Clone) {
    // SAFETY: As the caller says.
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
            // The clone may be anywhere by now.
            Ok(c::DM_ENDIO_INCOMPLETE) => {}
            other => fail!("end_io returns {other:?}"),
        }
    }
}

/// Ends a clone, and frees it.
///
/// # Safety
///
/// The caller owns the clone, and does not use it again.
unsafe fn end(clone: *mut Clone, status: blk_status_t) {
    // SAFETY: As the caller says.
    unsafe {
        (*clone).owner = Owner::Ended;
        let device = (*(*clone).table).device;
        let clone = Box::from_raw(clone);
        (*device).clones.set((*device).clones.get() - 1);
        (*device).part_ended(&clone.user, status);
    }
}
