// SPDX-License-Identifier: GPL-2.0

//! Clones of bios: the bios that the target gets.

use std::{
    cell::Cell,
    rc::Rc, //
};

use super::{
    table::Table,
    user_bio::UserBio, //
};
use crate::{
    c::{self, bio},
    disk::{Operation, Request},
    fail, //
};

/// Owner of a clone: the only one that may change it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// Call of the target's `map` that has not returned.
    Mapping,
    /// Device below.
    Below,
    /// Target, which has kept the clone.
    Target,
    /// None: the clone has ended.
    Ended,
}

/// Size of the target's memory in each clone, in bytes.
pub(crate) const PER_BIO_DATA: usize = 192;

/// Clone: per-bio data of the target, the state that device-mapper keeps, and the bio.
#[repr(C)]
pub(crate) struct Clone {
    pub(super) per_bio_data: [u64; PER_BIO_DATA / 8],
    pub(super) user: Rc<UserBio>,
    pub(super) table: *const Table,
    pub(super) owner: Owner,
    /// Number of the clone among those of a flush.
    pub(crate) flush_number: u32,
    /// Number of sectors that the target has accepted. Valid while the owner is [`Owner::Mapping`].
    pub(super) accepted: *const Cell<u32>,
    pub(super) bio: bio,
}

/// Returns the clone that a bio is part of.
///
/// # Safety
///
/// The bio is part of a clone that has not ended.
pub(crate) unsafe fn clone_of(bio: *mut bio) -> *mut Clone {
    // SAFETY: As the caller says.
    unsafe { bio.byte_sub(std::mem::offset_of!(Clone, bio)).cast() }
}

/// Returns the per-bio data of a clone.
///
/// # Safety
///
/// As for [`clone_of`].
pub(crate) unsafe fn per_bio_data_of(bio: *mut bio) -> *mut u64 {
    // SAFETY: As the caller says.
    unsafe { (&raw mut (*clone_of(bio)).per_bio_data).cast() }
}

/// Returns the memory of the user's bio that a clone was made of.
///
/// # Safety
///
/// As for [`clone_of`].
pub(crate) unsafe fn memory_of(bio: *mut bio) -> *const u8 {
    // SAFETY: As the caller says.
    let user = unsafe { &(*clone_of(bio)).user };
    user.data.as_ptr()
}

/// Shortens a clone to `sectors`, as `dm_accept_partial_bio()` does. The rest becomes another clone.
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

/// Returns the request to a disk that a bio stands for, with the memory at `data`.
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
        // Beyond the memory of a request without data, which does not use it.
        data: data.cast_mut().wrapping_add(iter.bi_offset as usize),
        preflush: opf & c::REQ_PREFLUSH != 0 && iter.bi_size > 0,
        fua: opf & c::REQ_FUA != 0,
        readahead: opf & c::REQ_RAHEAD != 0,
    }
}
