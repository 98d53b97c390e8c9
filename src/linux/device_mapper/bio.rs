// SPDX-License-Identifier: GPL-2.0

//! The clones that device-mapper makes of a bio for its targets, and who owns them when.

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

use super::{
    Private,
    Target,
    TargetRef, //
};
use crate::linux::{
    bindings,
    bio_pool::BioPool,
    block_device::BlockDevice,
    gate::{
        Direction,
        Exits,
        GateCounters,
        Inside,
        Ticket, //
    }, //
};

/// Whose fault a failed bio is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blame {
    /// The medium says that it cannot, there.
    Medium,
    /// Nobody says what it was. Another try may tell.
    Unknown,
    /// The way to the medium, somebody's resources, or whoever asked for it.
    Other,
}

/// How a bio ended (`blk_status_t`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BlockStatus(u8);

impl BlockStatus {
    /// Success.
    pub(crate) const OK: Self = Self(bindings::BLK_STS_OK);
    /// An error of no special kind.
    pub(crate) const IO_ERROR: Self = Self(bindings::BLK_STS_IOERR);

    #[inline(always)]
    pub(super) fn from_raw(status: bindings::blk_status_t) -> Self {
        Self(status)
    }

    /// The errno of an error.
    pub(crate) fn to_result(self) -> Result {
        // SAFETY: Any status may be asked for.
        to_result(unsafe { bindings::blk_status_to_errno(self.0) })
    }

    /// Whether this is an error that a device has had: not the wish to be asked again, and not
    /// the refusal of an operation that a device need not know. `moves_data` tells whether the bio
    /// read or wrote, which every device can.
    pub(crate) fn is_device_error(self, moves_data: bool) -> bool {
        match self.0 {
            bindings::BLK_STS_OK | bindings::BLK_STS_AGAIN => false,
            bindings::BLK_STS_NOTSUPP | bindings::BLK_STS_TARGET => moves_data,
            _ => true,
        }
    }

    /// Whether this is success.
    #[inline(always)]
    pub(crate) fn is_ok(self) -> bool {
        self.0 == Self::OK.0
    }

    /// Whose fault an error is, as far as the block layer tells (`blk_errors` in block/blk-core.c).
    pub(crate) fn blame(self) -> Blame {
        match self.0 {
            bindings::BLK_STS_MEDIUM | bindings::BLK_STS_PROTECTION => Blame::Medium,
            bindings::BLK_STS_IOERR => Blame::Unknown,
            _ => Blame::Other,
        }
    }
}

/// Where a bio begins, and what it has of its memory: all that changes while it is on its way.
#[derive(Clone, Copy)]
pub(crate) struct Start(bindings::bvec_iter);

impl Start {
    /// Number of sectors.
    pub(crate) fn sectors(&self) -> u32 {
        self.0.bi_size >> 9
    }
}

/// How a bio was sent out.
pub(crate) struct Journey<N> {
    /// Its ticket, where it has entered a gate of the target's.
    pub(crate) ticket: Option<Ticket>,
    /// Its mark.
    pub(crate) mark: bool,
    /// What it was as it came.
    pub(crate) start: Start,
    /// Its note.
    pub(crate) note: Option<N>,
}

/// The same in a bio's per-bio data.
struct Luggage<N> {
    ticket: Option<Ticket>,
    start: Start,
    note: Option<N>,
}

/// The exits that the bios of a target stay with that ends at sector `end` of its mapped device. Where
/// that is too far for a word, all of them have luggage.
pub(super) fn exits(counters: &GateCounters, end: u64) -> Exits {
    if end <= word::MOST_SECTORS {
        counters.exits()
    } else {
        Exits::NONE
    }
}

/// Bytes of per-bio data that a target with notes of that type wants.
pub(super) const fn luggage<N>() -> usize {
    // Per-bio data lie directly before structures of device-mapper's with pointers in them.
    assert!(align_of::<Luggage<N>>() <= align_of::<usize>());
    size_of::<Luggage<N>>()
}

/// One word goes along with every bio; it is kept in `bi_private`, which belongs to whoever set
/// `bi_end_io`: device-mapper for its clones. It leaves the word alone, and unlike per-bio data that
/// costs no call. As most bios are, all that is to know of them has room there: the epoch, their
/// sectors, and where they begin on the mapped device. They begin at the start of their memory.
mod word {
    use super::{
        bindings,
        Exits,
        Start, //
    };

    /// Bit: what else there is to know is in the per-bio data.
    pub(super) const LUGGAGE: usize = 1;
    /// Bit: the mark.
    pub(super) const MARKED: usize = 4;
    /// Bits: the epoch.
    const EPOCH: usize = Exits::EPOCH_BITS;
    /// Where the number of sectors is.
    const SECTORS_SHIFT: u32 = 3;
    /// Where the first sector is.
    const SECTOR_SHIFT: u32 = 26;

    /// Sectors of the largest mapped device whose sectors have room.
    pub(super) const MOST_SECTORS: u64 = 1 << (u64::BITS - SECTOR_SHIFT);

    const _: () = assert!(EPOCH & (LUGGAGE | MARKED) == 0 && EPOCH >> SECTORS_SHIFT == 0);
    /// Bytes of a bio are 32 bits.
    const _: () = assert!(32 - 9 + SECTORS_SHIFT <= SECTOR_SHIFT);

    /// Whether a bio's beginning has room in a word, on a mapped device of [`MOST_SECTORS`] or less.
    #[inline(always)]
    pub(super) fn has_room(iter: &bindings::bvec_iter) -> bool {
        // One comparison for both: they are neighbours.
        [iter.bi_idx, iter.bi_offset] == [0; 2]
    }

    /// The word of a bio that [`has_room`].
    #[inline(always)]
    pub(super) fn pack(iter: &bindings::bvec_iter, epoch: usize) -> usize {
        // Bytes are a multiple of 512, so the bits below are clear.
        (iter.bi_sector as usize) << SECTOR_SHIFT
            | iter.bi_size as usize >> (9 - SECTORS_SHIFT)
            | epoch
    }

    #[inline(always)]
    pub(super) fn epoch(word: usize) -> usize {
        word & EPOCH
    }

    pub(super) fn start(word: usize) -> Start {
        let sectors = word >> SECTORS_SHIFT & ((1 << (SECTOR_SHIFT - SECTORS_SHIFT)) - 1);
        Start(bindings::bvec_iter {
            bi_sector: (word >> SECTOR_SHIFT) as u64,
            bi_size: (sectors << 9) as u32,
            bi_idx: 0,
            bi_offset: 0,
        })
    }
}

/// A clone that device-mapper made for a target of type `T`.
#[repr(transparent)]
pub(crate) struct TargetBio<T: Target> {
    bio: Opaque<bindings::bio>,
    _target: PhantomData<T>,
}

impl<T: Target> TargetBio<T> {
    #[inline(always)]
    fn as_ptr(&self) -> *mut bindings::bio {
        self.bio.get()
    }

    #[inline(always)]
    fn raw(&self) -> &bindings::bio {
        // SAFETY: The bio is valid and its owner lends it to us.
        unsafe { &*self.bio.get() }
    }

    /// First sector: of the mapped device before the bio is redirected, of the device that it was
    /// redirected to afterwards.
    #[inline(always)]
    pub(crate) fn sector(&self) -> u64 {
        self.raw().bi_iter.bi_sector
    }

    /// Number of sectors that are left.
    #[inline(always)]
    pub(crate) fn sectors(&self) -> u32 {
        self.raw().bi_iter.bi_size >> 9
    }

    /// Whether it reads or changes the medium.
    #[inline(always)]
    pub(crate) fn direction(&self) -> Direction {
        // As op_is_write() of include/linux/blk_types.h has it.
        if self.raw().bi_opf & 1 == 0 {
            Direction::Read
        } else {
            Direction::Write
        }
    }

    /// Whether it gives its sectors contents: a write or write-zeroes, not a discard.
    #[inline]
    pub(crate) fn fills_sectors(&self) -> bool {
        let op = self.raw().bi_opf & bindings::REQ_OP_MASK;
        op == bindings::REQ_OP_WRITE || op == bindings::REQ_OP_WRITE_ZEROES
    }

    /// Whether it is an ordinary read or write, or a flush.
    #[inline]
    pub(crate) fn moves_data(&self) -> bool {
        self.raw().bi_opf & bindings::REQ_OP_MASK <= bindings::REQ_OP_WRITE
    }

    /// Which of the copies of an empty flush it is.
    pub(crate) fn flush_number(&self) -> u32 {
        // SAFETY: The bio is a clone of device-mapper's.
        unsafe { bindings::dm_bio_get_target_bio_nr(self.as_ptr()) }
    }

    /// Where it begins now.
    #[inline(always)]
    fn iter(&self) -> &bindings::bvec_iter {
        &self.raw().bi_iter
    }

    #[inline(always)]
    fn word(&self) -> usize {
        self.raw().bi_private as usize
    }

    #[inline(always)]
    fn set_word(&self, word: usize) {
        // SAFETY: The bio is owned by the caller and not in flight.
        unsafe { (*self.as_ptr()).bi_private = word as *mut ffi::c_void };
    }

    fn luggage_ptr(&self) -> *mut Luggage<T::Note> {
        // SAFETY: The bio is a clone of device-mapper's, which has so much room.
        unsafe { bindings::dm_per_bio_data(self.as_ptr(), luggage::<T::Note>()).cast() }
    }

    /// Keeps what is to be known of the bio in its per-bio data. It is where it begins.
    fn pack(&self, ticket: Option<Ticket>, mark: bool, note: Option<T::Note>) {
        let start = Start(*self.iter());
        let luggage = Luggage {
            ticket,
            start,
            note,
        };
        // SAFETY: The bio is owned by the caller and not in flight, and has room.
        unsafe { self.luggage_ptr().write(luggage) };
        self.set_word(word::LUGGAGE | if mark { word::MARKED } else { 0 });
    }

    #[inline(always)]
    fn redirect_to(&self, device: &BlockDevice, sector: u64) {
        // SAFETY: The bio is owned by the caller and not in flight.
        unsafe {
            let bio = self.as_ptr();
            (*bio).bi_iter.bi_sector = sector;
            // What bio_set_dev() does for a device that is another one, as ours always is: no table
            // maps to itself. But dm_submit_bio_remap(), which all that is redirected goes through, will
            // associate the bio with its original's control group, so that is not done here.
            (*bio).bi_flags &= !(1 << bindings::BIO_REMAPPED | 1 << bindings::BIO_BPS_THROTTLED);
            (*bio).bi_bdev = device.as_ptr();
        }
    }
}

/// A bio that is on its way back.
pub(crate) struct EndedBio<'a, T: Target> {
    bio: &'a TargetBio<T>,
    target: TargetRef<'a, T>,
}

impl<'a, T: Target> EndedBio<'a, T> {
    /// Takes a bio of C.
    ///
    /// # Safety
    ///
    /// It is a clone for `target` that was mapped and has ended; this is called once for it, and it is
    /// there as long as the result.
    #[inline(always)]
    pub(super) unsafe fn from_raw(bio: *mut bindings::bio, target: TargetRef<'a, T>) -> Self {
        Self {
            // SAFETY: `TargetBio` is a transparent wrapper, and the caller promises the rest.
            bio: unsafe { &*bio.cast::<TargetBio<T>>() },
            target,
        }
    }

    /// Whether it has nothing with it but its ticket.
    #[inline(always)]
    pub(crate) fn is_plain(&self) -> bool {
        self.bio.word() & word::LUGGAGE == 0
    }

    /// Lets it leave the gate, and end.
    #[inline(always)]
    pub(crate) fn finish(self) -> Ending {
        if self.is_plain() {
            let epoch = word::epoch(self.bio.word());
            // SAFETY: A plain bio stayed with these exits (see `MapBio::redirect`), whose counters the
            // target keeps. It comes back once: `self` is consumed.
            unsafe { self.target.exits().leave(epoch) };
        } else if let Some(ticket) = self.open().1.ticket {
            ticket.leave();
        }
        Ending::DONE
    }

    /// Opens what it has with it.
    pub(crate) fn open(self) -> (OpenBio<'a, T>, Journey<T::Note>) {
        let word = self.bio.word();
        let mark = word & word::MARKED != 0;
        let journey = if self.is_plain() {
            Journey {
                // SAFETY: As in `finish`.
                ticket: Some(unsafe { self.target.exits().ticket(word::epoch(word)) }),
                mark,
                start: word::start(word),
                note: None,
            }
        } else {
            // SAFETY: The bit says that the luggage was written, and it is taken once.
            let luggage = unsafe { self.bio.luggage_ptr().read() };
            Journey {
                ticket: luggage.ticket,
                mark,
                start: luggage.start,
                note: luggage.note,
            }
        };
        let open = OpenBio {
            bio: self.bio,
            target: self.target,
        };
        (open, journey)
    }
}

/// A bio that is on its way back, without what it had with it.
pub(crate) struct OpenBio<'a, T: Target> {
    bio: &'a TargetBio<T>,
    target: TargetRef<'a, T>,
}

impl<'a, T: Target> OpenBio<'a, T> {
    /// Its target.
    pub(crate) fn target(&self) -> &'a T {
        self.target.get()
    }

    /// Whether it read or changed the medium.
    pub(crate) fn direction(&self) -> Direction {
        self.bio.direction()
    }

    /// Whether it gave its sectors contents.
    pub(crate) fn fills_sectors(&self) -> bool {
        self.bio.fills_sectors()
    }

    /// Whether it was an ordinary read or write, or a flush.
    pub(crate) fn moves_data(&self) -> bool {
        self.bio.moves_data()
    }

    /// Keeps the bio, which has not ended for whoever submitted it before [`HeldBio::end`]. It is as
    /// it was when it came, save its status.
    pub(crate) fn hold(self, start: &Start, note: Option<T::Note>) -> (HeldBio<T>, Ending) {
        // SAFETY: DM_ENDIO_INCOMPLETE makes the bio ours, and its memory is there until it ends.
        unsafe { (*self.bio.as_ptr()).bi_iter = start.0 };
        self.bio.pack(None, false, note);
        // INVARIANT: It is ours, is as it came, and has luggage without a ticket.
        let held = HeldBio {
            bio: NonNull::from(self.bio),
        };
        (held, Ending(bindings::DM_ENDIO_INCOMPLETE as i32))
    }
}

/// What becomes of a bio that came back.
pub(crate) struct Ending(i32);

impl Ending {
    /// It has ended for whoever submitted it, too.
    pub(crate) const DONE: Self = Self(bindings::DM_ENDIO_DONE as i32);

    /// What device-mapper wants to hear.
    #[inline(always)]
    pub(super) fn into_raw(self) -> i32 {
        self.0
    }
}

/// What becomes of a bio. Only a [`MapBio`] can be turned into one.
pub(crate) struct Mapping(i32);

impl Mapping {
    /// What device-mapper wants to hear.
    #[inline(always)]
    pub(super) fn into_raw(self) -> i32 {
        self.0
    }
}

/// A bio that is being mapped.
pub(crate) struct MapBio<'a, T: Target> {
    bio: &'a TargetBio<T>,
    private: &'a Private<T>,
}

impl<T: Target> Deref for MapBio<'_, T> {
    type Target = TargetBio<T>;

    #[inline(always)]
    fn deref(&self) -> &TargetBio<T> {
        self.bio
    }
}

impl<'a, T: Target> MapBio<'a, T> {
    /// Takes a bio of C.
    ///
    /// # Safety
    ///
    /// It is a clone for the target of `private` that device-mapper wants to have mapped, and what
    /// becomes of the result is told to device-mapper.
    #[inline(always)]
    pub(super) unsafe fn from_raw(bio: *mut bindings::bio, private: &'a Private<T>) -> Self {
        Self {
            // SAFETY: `TargetBio` is a transparent wrapper, and the caller promises the rest.
            bio: unsafe { &*bio.cast::<TargetBio<T>>() },
            private,
        }
    }

    /// Its target.
    #[inline(always)]
    pub(crate) fn target(&self) -> &'a T {
        &self.private.target
    }

    /// Lets device-mapper send everything behind the first `sectors` sectors in another bio.
    /// Nothing happens where the bio has no more than that.
    #[inline(always)]
    pub(crate) fn accept(&mut self, sectors: u32) {
        if sectors > 0 && sectors < self.sectors() {
            // SAFETY: We are in `map`, the bio has more sectors, it is no duplicate (only empty
            // flushes have those), and a target without DM_TARGET_ATOMIC_WRITES gets no atomic
            // writes, one without DM_TARGET_ZONED_HM no zoned devices.
            unsafe { bindings::dm_accept_partial_bio(self.as_ptr(), sectors) };
        }
    }

    /// Sends the bio, which stays inside the gate meanwhile, to `sector` of `device`, and marks it or
    /// not.
    #[inline(always)]
    pub(crate) fn redirect<G>(
        self,
        device: &BlockDevice,
        sector: u64,
        inside: Inside<'_, G>,
        mark: bool,
    ) -> Mapping {
        if !word::has_room(self.iter()) {
            return self.redirect_with_luggage(device, sector, inside.stay(), mark);
        }
        match inside.stay_with(self.private.exits) {
            Ok(epoch) => {
                let mark = if mark { word::MARKED } else { 0 };
                self.set_word(word::pack(self.iter(), epoch) | mark);
                self.redirect_to(device, sector);
                Mapping(bindings::DM_MAPIO_REMAPPED as i32)
            }
            Err(inside) => self.redirect_with_luggage(device, sector, inside.stay(), mark),
        }
    }

    #[cold]
    #[inline(never)]
    fn redirect_with_luggage(
        self,
        device: &BlockDevice,
        sector: u64,
        ticket: Ticket,
        mark: bool,
    ) -> Mapping {
        self.redirect_noted(device, sector, Some(ticket), mark, None)
    }

    /// The same with a note for its way back, or without a ticket.
    #[inline(never)]
    pub(crate) fn redirect_noted(
        self,
        device: &BlockDevice,
        sector: u64,
        ticket: Option<Ticket>,
        mark: bool,
        note: Option<T::Note>,
    ) -> Mapping {
        self.pack(ticket, mark, note);
        self.redirect_to(device, sector);
        Mapping(bindings::DM_MAPIO_REMAPPED as i32)
    }

    /// Ends the bio with an I/O error. [`Target::end_io`] does not see it.
    pub(crate) fn refuse(self) -> Mapping {
        Mapping(bindings::DM_MAPIO_KILL as i32)
    }

    /// Takes the bio over, to be submitted later. Where it is ended instead it comes back without
    /// a ticket.
    pub(crate) fn hold(self) -> (HeldBio<T>, Mapping) {
        // SAFETY: The bio is valid; nobody polls for it while it is held.
        unsafe {
            (*self.as_ptr()).bi_opf &= !bindings::REQ_POLLED;
        }
        self.pack(None, false, None);
        // INVARIANT: DM_MAPIO_SUBMITTED makes the bio ours; it is as it came.
        let held = HeldBio {
            bio: NonNull::from(self.bio),
        };
        (held, Mapping(bindings::DM_MAPIO_SUBMITTED as i32))
    }
}

/// A bio that the target has taken over. Dropped, it ends with an I/O error.
///
/// # Invariants
///
/// The bio is valid, not in flight, and owned by this object. It begins where it did when it came, and
/// has luggage without a ticket.
pub(crate) struct HeldBio<T: Target> {
    bio: NonNull<TargetBio<T>>,
}

// SAFETY: A bio may be submitted and ended by any thread.
unsafe impl<T: Target> Send for HeldBio<T> {}

impl<T: Target> Deref for HeldBio<T> {
    type Target = TargetBio<T>;

    fn deref(&self) -> &TargetBio<T> {
        // SAFETY: By the type invariant.
        unsafe { self.bio.as_ref() }
    }
}

impl<T: Target> HeldBio<T> {
    /// Sends the bio, which has not been anywhere so far, to `sector` of `device`, with a note for its
    /// way back perhaps.
    ///
    /// Process context; must not be called where the bio's end would have to be waited for.
    pub(crate) fn submit(
        self,
        device: &BlockDevice,
        sector: u64,
        ticket: Ticket,
        mark: bool,
        note: Option<T::Note>,
    ) {
        self.pack(Some(ticket), mark, note);
        self.redirect_to(device, sector);
        let bio = ManuallyDrop::new(self).as_ptr();
        // SAFETY: By the type invariant the bio is ours to give away.
        unsafe { bindings::dm_submit_bio_remap(bio, core::ptr::null_mut()) };
    }

    /// Writes the `sectors` sectors of this bio from `first` on, which writes or zeroes, to `sector` of
    /// `device`, and tells how that ended.
    ///
    /// Sleeps until it has. Nothing is allocated but from `pool`. `Blame::Other` where the bio has no
    /// such sectors.
    pub(crate) fn write_part(
        &self,
        pool: &BioPool,
        first: u32,
        sectors: u32,
        device: &BlockDevice,
        sector: u64,
    ) -> BlockStatus {
        let fits = first
            .checked_add(sectors)
            .is_some_and(|end| end <= self.sectors());
        if sectors == 0 || !fits || !self.fills_sectors() {
            return BlockStatus(bindings::BLK_STS_INVAL);
        }
        // SAFETY: By the type invariant the bio is ours and begins as it did, and it has these sectors.
        // It outlives its clone, which has ended when the call returns.
        BlockStatus(unsafe {
            bindings::bio_write_part(
                self.as_ptr(),
                pool.as_ptr(),
                first,
                sectors,
                device.as_ptr(),
                sector,
            )
        })
    }

    /// How it ended when it was sent out, if it was.
    pub(crate) fn status(&self) -> BlockStatus {
        BlockStatus(self.raw().bi_status)
    }

    /// The note that it came back with, if there was one.
    pub(crate) fn note(&self) -> Option<T::Note> {
        // SAFETY: By the type invariant there is luggage; a note may be copied.
        unsafe { (*self.luggage_ptr()).note }
    }

    /// Ends the bio. It comes back once more, without a ticket and a note.
    pub(crate) fn end(self) {
        self.end_with(BlockStatus::OK);
    }

    /// The same with an error.
    pub(crate) fn end_with(self, status: BlockStatus) {
        ManuallyDrop::new(self).end_as(status);
    }

    fn end_as(&mut self, status: BlockStatus) {
        self.pack(None, false, None);
        // SAFETY: By the type invariant the bio is ours to end. Whoever calls this forgets it.
        unsafe {
            (*self.as_ptr()).bi_status = status.0;
            bindings::bio_endio(self.as_ptr());
        }
    }
}

impl<T: Target> Drop for HeldBio<T> {
    fn drop(&mut self) {
        self.end_as(BlockStatus::IO_ERROR);
    }
}

/// Held bios in the order in which they came, linked through `bi_next`.
pub(crate) struct HeldBios<T: Target> {
    first: *mut TargetBio<T>,
    last: *mut TargetBio<T>,
}

// SAFETY: The list owns its bios, which may go to any thread.
unsafe impl<T: Target> Send for HeldBios<T> {}

impl<T: Target> HeldBios<T> {
    /// No bios.
    pub(crate) const fn new() -> Self {
        Self {
            first: core::ptr::null_mut(),
            last: core::ptr::null_mut(),
        }
    }

    /// Adds one at the end.
    pub(crate) fn push(&mut self, bio: HeldBio<T>) {
        let bio = ManuallyDrop::new(bio).bio.as_ptr();
        // SAFETY: The list owns its bios, and now this one; their links are its own.
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

    /// Takes the first one.
    pub(crate) fn pop(&mut self) -> Option<HeldBio<T>> {
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

    /// Takes all of them.
    pub(crate) fn take(&mut self) -> Self {
        core::mem::replace(self, Self::new())
    }
}

impl<T: Target> Drop for HeldBios<T> {
    fn drop(&mut self) {
        while let Some(bio) = self.pop() {
            drop(bio);
        }
    }
}
