// SPDX-License-Identifier: GPL-2.0

//! Clones that device-mapper makes of a bio for its targets, and their ownership.

use core::{
    marker::PhantomData,
    mem::{
        align_of,
        size_of,
        ManuallyDrop, //
    },
    ops::Deref,
    ptr::NonNull, //
};

use kernel::{
    error::to_result,
    ffi,
    prelude::*,
    types::Opaque, //
};

use super::word::{
    self,
    Start, //
};
use crate::linux::{
    bindings,
    bio_pool::BioPool,
    block_device::BlockDevice,
    gate::{
        Direction,
        Exits,
        GateCounters,
        Ticket, //
    }, //
};

/// Cause of the failure of a bio.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blame {
    /// The medium, at the sectors of the bio.
    Medium,
    /// Unknown. A retry may tell.
    Unknown,
    /// The transport, resources, or the submitter.
    Other,
}

/// Status that a bio ended with (`blk_status_t`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BlockStatus(u8);

impl BlockStatus {
    /// Success.
    pub(crate) const OK: Self = Self(bindings::BLK_STS_OK);
    /// Unspecified error.
    pub(crate) const IO_ERROR: Self = Self(bindings::BLK_STS_IOERR);

    #[inline(always)]
    pub(super) fn from_raw(status: bindings::blk_status_t) -> Self {
        Self(status)
    }

    /// Returns the status as a result, with the errno of an error.
    pub(crate) fn to_result(self) -> Result {
        // SAFETY: Any status is valid.
        to_result(unsafe { bindings::blk_status_to_errno(self.0) })
    }

    /// Returns whether this is an error of a device: neither a request to try again, nor the refusal of
    /// an optional operation. `moves_data` says that the bio was a read, a write or a flush, which are not
    /// optional.
    pub(crate) fn is_device_error(self, moves_data: bool) -> bool {
        match self.0 {
            bindings::BLK_STS_OK | bindings::BLK_STS_AGAIN => false,
            bindings::BLK_STS_NOTSUPP | bindings::BLK_STS_TARGET => moves_data,
            _ => true,
        }
    }

    /// Returns whether this is success.
    #[inline(always)]
    pub(crate) fn is_ok(self) -> bool {
        self.0 == Self::OK.0
    }

    /// Returns the cause of an error, as far as the block layer tells (`blk_errors` in block/blk-core.c).
    /// `moves_data` says that the bio was a read, a write or a flush.
    ///
    /// Disks report bad sectors as `BLK_STS_TARGET`, too: ATA disks a device fault and an ID that is not found
    /// (ata_to_sense_error() in drivers/ata/libata-scsi.c, scsi_check_sense() in drivers/scsi/scsi_error.c). Of an
    /// optional operation the status says that the device does not have it.
    pub(crate) fn blame(self, moves_data: bool) -> Blame {
        match self.0 {
            bindings::BLK_STS_MEDIUM | bindings::BLK_STS_PROTECTION => Blame::Medium,
            bindings::BLK_STS_IOERR => Blame::Unknown,
            bindings::BLK_STS_TARGET if moves_data => Blame::Unknown,
            _ => Blame::Other,
        }
    }
}

/// Context of a bio that was redirected, for the way back.
pub(crate) struct BioContext<N> {
    /// Ticket of a gate, if the bio has entered one.
    pub(crate) ticket: Option<Ticket>,
    /// Mark that the bio was redirected with.
    pub(crate) mark: bool,
    /// Start of the bio when it was mapped.
    pub(crate) start: Start,
    /// Note that the bio was redirected with.
    pub(crate) note: Option<N>,
}

/// Per-bio data of a bio for whose context a word is not enough.
pub(super) struct PerBioData<N> {
    pub(super) ticket: Option<Ticket>,
    pub(super) start: Start,
    pub(super) note: Option<N>,
}

/// Returns the exits for the bios of a target that ends at sector `end` of its mapped device. If `end` does
/// not fit into a word, there are none, and all bios have per-bio data.
pub(super) fn exits(counters: &GateCounters, end: u64) -> Exits {
    if end <= word::MAX_SECTORS {
        counters.exits()
    } else {
        Exits::NONE
    }
}

/// Returns the size of the per-bio data of a target whose notes are of type `N`, in bytes.
pub(super) const fn per_bio_data_bytes<N>() -> usize {
    // Per-bio data lie directly before structures of device-mapper that contain pointers.
    assert!(align_of::<PerBioData<N>>() <= align_of::<usize>());
    size_of::<PerBioData<N>>()
}

/// Clone that device-mapper made for a target whose notes are of type `N`.
#[repr(transparent)]
pub(crate) struct TargetBio<N> {
    bio: Opaque<bindings::bio>,
    _target: PhantomData<N>,
}

impl<N> TargetBio<N> {
    #[inline(always)]
    pub(super) fn as_ptr(&self) -> *mut bindings::bio {
        self.bio.get()
    }

    #[inline(always)]
    fn raw(&self) -> &bindings::bio {
        // SAFETY: The bio is valid, and borrowed from its owner.
        unsafe { &*self.bio.get() }
    }

    /// Returns the first sector, counted on the mapped device, or on the other device after a redirection.
    #[inline(always)]
    pub(crate) fn sector(&self) -> u64 {
        self.raw().bi_iter.bi_sector
    }

    /// Returns the number of sectors.
    #[inline(always)]
    pub(crate) fn sectors(&self) -> u32 {
        self.raw().bi_iter.bi_size >> 9
    }

    /// Returns whether the bio reads or changes the medium.
    #[inline(always)]
    pub(crate) fn direction(&self) -> Direction {
        // As op_is_write() in include/linux/blk_types.h does.
        if self.raw().bi_opf & 1 == 0 {
            Direction::Read
        } else {
            Direction::Write
        }
    }

    /// Returns whether the bio gives its sectors new contents: a write or write-zeroes, not a discard.
    #[inline]
    pub(crate) fn fills_sectors(&self) -> bool {
        let op = self.raw().bi_opf & bindings::REQ_OP_MASK;
        op == bindings::REQ_OP_WRITE || op == bindings::REQ_OP_WRITE_ZEROES
    }

    /// Returns whether the bio is an ordinary read or write, or a flush.
    #[inline]
    pub(crate) fn moves_data(&self) -> bool {
        self.raw().bi_opf & bindings::REQ_OP_MASK <= bindings::REQ_OP_WRITE
    }

    /// Returns whether the bio may fail where another one would be tried again or would wait: readahead, and
    /// bios of submitters that have another place for their data (`REQ_RAHEAD`, `REQ_FAILFAST_*`).
    ///
    /// A suspended device-mapper device ends readahead with an I/O error. What a device declines with `REQ_NOWAIT`
    /// has a status of its own.
    pub(crate) fn fails_early(&self) -> bool {
        self.raw().bi_opf & (bindings::REQ_RAHEAD | bindings::REQ_FAILFAST_MASK) != 0
    }

    /// Returns the number of this clone of an empty flush.
    pub(crate) fn flush_number(&self) -> u32 {
        // SAFETY: The bio is a clone that device-mapper made.
        unsafe { bindings::dm_bio_get_target_bio_nr(self.as_ptr()) }
    }

    /// Returns the bio's iterator.
    #[inline(always)]
    pub(super) fn iter(&self) -> &bindings::bvec_iter {
        &self.raw().bi_iter
    }

    #[inline(always)]
    pub(super) fn word(&self) -> usize {
        self.raw().bi_private as usize
    }

    #[inline(always)]
    pub(super) fn set_word(&self, word: usize) {
        // SAFETY: The bio is owned by the caller and not in flight.
        unsafe { (*self.as_ptr()).bi_private = word as *mut ffi::c_void };
    }

    pub(super) fn per_bio_data(&self) -> *mut PerBioData<N> {
        // SAFETY: The bio is a clone that device-mapper made, with this size of per-bio data.
        unsafe { bindings::dm_per_bio_data(self.as_ptr(), per_bio_data_bytes::<N>()).cast() }
    }

    /// Fills the per-bio data. The bio's iterator has to be that of the bio as it was mapped.
    pub(super) fn pack(&self, ticket: Option<Ticket>, mark: bool, note: Option<N>) {
        let start = Start(*self.iter());
        let data = PerBioData {
            ticket,
            start,
            note,
        };
        // SAFETY: The bio is owned by the caller and not in flight, and has room.
        unsafe { self.per_bio_data().write(data) };
        self.set_word(word::PER_BIO_DATA | if mark { word::MARKED } else { 0 });
    }

    #[inline(always)]
    pub(super) fn redirect_to(&self, device: &BlockDevice, sector: u64) {
        // SAFETY: The bio is owned by the caller and not in flight.
        unsafe {
            let bio = self.as_ptr();
            (*bio).bi_iter.bi_sector = sector;
            // As bio_set_dev() does for a change of the device; this is always one, since no table maps
            // to itself. Only the association with a control group is left out: every redirected bio
            // goes through dm_submit_bio_remap(), which takes that of the original bio.
            (*bio).bi_flags &= !(1 << bindings::BIO_REMAPPED | 1 << bindings::BIO_BPS_THROTTLED);
            (*bio).bi_bdev = device.as_ptr();
        }
    }
}

/// Bio that the target has taken over. If dropped, it ends with an I/O error.
///
/// # Invariants
///
/// The bio is valid, not in flight, and owned by this object. It has the iterator that it was mapped with,
/// and per-bio data without a ticket.
pub(crate) struct HeldBio<N> {
    bio: NonNull<TargetBio<N>>,
}

// SAFETY: A bio may be submitted and ended by any thread.
unsafe impl<N: Send> Send for HeldBio<N> {}

impl<N> Deref for HeldBio<N> {
    type Target = TargetBio<N>;

    fn deref(&self) -> &TargetBio<N> {
        // SAFETY: By the type invariant.
        unsafe { self.bio.as_ref() }
    }
}

impl<N> HeldBio<N> {
    /// Takes over a bio.
    ///
    /// # Safety
    ///
    /// The bio is valid, not in flight, and the caller's to give away. It has the iterator that it was mapped
    /// with, and per-bio data without a ticket.
    pub(super) unsafe fn new(bio: &TargetBio<N>) -> Self {
        // INVARIANT: By the safety requirement.
        Self {
            bio: NonNull::from(bio),
        }
    }

    /// Submits the bio, which was not submitted before, to `sector` of `device`.
    ///
    /// Process context. Must not be called in a context that the end of the bio depends on.
    pub(crate) fn submit(
        self,
        device: &BlockDevice,
        sector: u64,
        ticket: Ticket,
        mark: bool,
        note: Option<N>,
    ) {
        self.pack(Some(ticket), mark, note);
        self.redirect_to(device, sector);
        let bio = ManuallyDrop::new(self).as_ptr();
        // SAFETY: By the type invariant the bio is ours to give away.
        unsafe { bindings::dm_submit_bio_remap(bio, core::ptr::null_mut()) };
    }

    /// Writes `sectors` sectors of this bio from `first` on to `sector` of `device`, and waits. Returns the
    /// status of the write.
    ///
    /// The write is charged to the control group of the bio's submitter. The mapped device counts the bio as in
    /// flight from the first such write on, unless it was submitted before.
    ///
    /// Sleeps. Allocates from `pool` only. Returns a status of [`Blame::Other`] if the bio has no such
    /// sectors.
    pub(crate) fn write_part(
        &self,
        pool: &BioPool,
        first: u32,
        sectors: u32,
        device: &BlockDevice,
        sector: u64,
    ) -> BlockStatus {
        match self.fills_sectors() {
            true => self.transfer_part(pool, (first, sectors), device, sector),
            false => BlockStatus(bindings::BLK_STS_INVAL),
        }
    }

    /// Reads `sectors` sectors of this bio from `first` on from `sector` of `device`, and waits. Returns the status of
    /// the read.
    ///
    /// As [`HeldBio::write_part`] otherwise.
    pub(crate) fn read_part(
        &self,
        pool: &BioPool,
        first: u32,
        sectors: u32,
        device: &BlockDevice,
        sector: u64,
    ) -> BlockStatus {
        match self.direction() {
            Direction::Read => self.transfer_part(pool, (first, sectors), device, sector),
            Direction::Write => BlockStatus(bindings::BLK_STS_INVAL),
        }
    }

    fn transfer_part(
        &self,
        pool: &BioPool,
        (first, sectors): (u32, u32),
        device: &BlockDevice,
        sector: u64,
    ) -> BlockStatus {
        let end = first.checked_add(sectors);
        let fits = sectors > 0 && end.is_some_and(|end| end <= self.sectors());
        if !fits {
            return BlockStatus(bindings::BLK_STS_INVAL);
        }
        // SAFETY: By the type invariant the bio is ours and has its first iterator, and these sectors are in
        // it. It is a clone of device-mapper's, and outlives its own clone, which has ended when the call returns.
        BlockStatus(unsafe {
            bindings::bio_transfer_part(
                self.as_ptr(),
                pool.as_ptr(),
                first,
                sectors,
                device.as_ptr(),
                sector,
            )
        })
    }

    /// Returns the status that the bio came back with; success if it was never submitted.
    pub(crate) fn status(&self) -> BlockStatus {
        BlockStatus(self.raw().bi_status)
    }

    /// Returns the note that the bio was taken over with.
    pub(crate) fn note(&self) -> Option<N>
    where
        N: Copy,
    {
        // SAFETY: By the type invariant there are per-bio data; a note may be copied.
        unsafe { (*self.per_bio_data()).note }
    }

    /// Ends the bio with success. It comes back once more, without a ticket and a note.
    pub(crate) fn end(self) {
        self.end_with(BlockStatus::OK);
    }

    /// Ends the bio with `status`. It comes back once more, without a ticket and a note.
    pub(crate) fn end_with(self, status: BlockStatus) {
        ManuallyDrop::new(self).end_as(status);
    }

    fn end_as(&mut self, status: BlockStatus) {
        self.pack(None, false, None);
        // SAFETY: By the type invariant the bio is ours to end. The caller forgets it.
        unsafe {
            (*self.as_ptr()).bi_status = status.0;
            bindings::bio_endio(self.as_ptr());
        }
    }
}

impl<N> Drop for HeldBio<N> {
    fn drop(&mut self) {
        self.end_as(BlockStatus::IO_ERROR);
    }
}

/// List of held bios, in the order of their arrival, linked through `bi_next`.
pub(crate) struct HeldBios<N> {
    first: *mut TargetBio<N>,
    last: *mut TargetBio<N>,
}

// SAFETY: The list owns its bios, which may go to any thread.
unsafe impl<N: Send> Send for HeldBios<N> {}

impl<N> HeldBios<N> {
    /// Makes an empty list.
    pub(crate) const fn new() -> Self {
        Self {
            first: core::ptr::null_mut(),
            last: core::ptr::null_mut(),
        }
    }

    /// Adds a bio at the end.
    pub(crate) fn push(&mut self, bio: HeldBio<N>) {
        let bio = ManuallyDrop::new(bio).bio.as_ptr();
        // SAFETY: The list owns its bios, now this one as well, and so their links.
        unsafe {
            (*(*bio).as_ptr()).bi_next = core::ptr::null_mut();
            if self.last.is_null() {
                self.first = bio;
            } else {
                (*(*self.last).as_ptr()).bi_next = bio.cast();
            }
        }
        self.last = bio;
    }

    /// Takes the first bio.
    pub(crate) fn pop(&mut self) -> Option<HeldBio<N>> {
        let bio = NonNull::new(self.first)?;
        // SAFETY: The list owns its bios.
        unsafe {
            let raw = bio.as_ref().as_ptr();
            self.first = (*raw).bi_next.cast();
            (*raw).bi_next = core::ptr::null_mut();
        }
        if self.first.is_null() {
            self.last = core::ptr::null_mut();
        }
        // INVARIANT: The list owned the bio and has given it up.
        Some(HeldBio { bio })
    }

    /// Takes all bios.
    pub(crate) fn take(&mut self) -> Self {
        core::mem::replace(self, Self::new())
    }
}

impl<N> Drop for HeldBios<N> {
    fn drop(&mut self) {
        while let Some(bio) = self.pop() {
            drop(bio);
        }
    }
}
