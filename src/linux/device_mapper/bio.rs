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
    ffi,
    types::Opaque, //
};

use super::Target;
use crate::linux::{
    bindings,
    block_device::BlockDevice,
    gate::{
        Direction,
        Ticket, //
    }, //
};

/// How a bio ended (`blk_status_t`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BlockStatus(u8);

impl BlockStatus {
    /// Success.
    pub(crate) const OK: Self = Self(bindings::BLK_STS_OK);
    /// An error of no special kind.
    const IO_ERROR: Self = Self(bindings::BLK_STS_IOERR);

    #[inline(always)]
    pub(super) fn from_raw(status: bindings::blk_status_t) -> Self {
        Self(status)
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
}

/// What goes along with every bio of a target: one word.
pub(crate) struct BioTag {
    /// The bio's ticket, where it has entered a gate of the target's.
    pub(crate) ticket: Option<Ticket>,
    /// For the target to use.
    pub(crate) mark: bool,
}

/// Bit of a tag's word: a note goes along, too.
const NOTED: usize = 1;
/// Bit of a tag's word: the mark.
const MARKED: usize = 2;

impl BioTag {
    /// Of a bio that is in no gate.
    pub(crate) const NONE: Self = Self {
        ticket: None,
        mark: false,
    };

    #[inline(always)]
    fn into_word(self, noted: bool) -> usize {
        const { assert!((NOTED | MARKED) & !Ticket::FREE_BITS == 0) };
        let ticket = self.ticket.map_or(0, Ticket::into_word);
        ticket | if self.mark { MARKED } else { 0 } | if noted { NOTED } else { 0 }
    }

    /// # Safety
    ///
    /// The word is what `into_word` returned, and is used for this only once.
    #[inline(always)]
    unsafe fn from_word(word: usize) -> Self {
        Self {
            // SAFETY: The bits of the ticket are its own.
            ticket: unsafe { Ticket::from_word(word & !(NOTED | MARKED)) },
            mark: word & MARKED != 0,
        }
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

    /// Which of the copies of an empty flush it is.
    pub(crate) fn flush_number(&self) -> u32 {
        // SAFETY: The bio is a clone of device-mapper's.
        unsafe { bindings::dm_bio_get_target_bio_nr(self.as_ptr()) }
    }

    fn note_ptr(&self) -> *mut T::Note {
        // Per-bio data lie directly before structures of device-mapper's with pointers in them.
        const { assert!(align_of::<T::Note>() <= align_of::<usize>()) };
        // SAFETY: The bio is a clone of device-mapper's, with room for the note.
        unsafe { bindings::dm_per_bio_data(self.as_ptr(), size_of::<T::Note>()).cast() }
    }

    /// Sends the word of a tag along.
    ///
    /// `bi_private` belongs to whoever set `bi_end_io`, which is device-mapper for its clones. It
    /// leaves the word alone, and unlike [`Self::note_ptr`] that costs no call.
    #[inline(always)]
    fn set_word(&self, word: usize) {
        // SAFETY: The bio is owned by the caller and not in flight.
        unsafe { (*self.as_ptr()).bi_private = word as *mut ffi::c_void };
    }

    /// Sends tag and note along.
    #[inline(always)]
    fn attach(&self, tag: BioTag, note: Option<T::Note>) {
        self.set_word(tag.into_word(note.is_some()));
        if let Some(note) = note {
            // SAFETY: The bio is owned by the caller and not in flight, and has room for the note.
            unsafe { self.note_ptr().write(note) };
        }
    }

    /// Whether there is a note, once a tag was attached.
    #[inline(always)]
    fn has_note(&self) -> bool {
        self.raw().bi_private as usize & NOTED != 0
    }

    /// The note, once a tag was attached.
    fn note(&self) -> Option<T::Note> {
        // SAFETY: The bit says that a note was written.
        self.has_note().then(|| unsafe { self.note_ptr().read() })
    }

    #[inline(always)]
    fn redirect_to(&self, device: &BlockDevice, sector: u64) {
        // SAFETY: The bio is owned by the caller and not in flight.
        unsafe {
            (*self.as_ptr()).bi_iter.bi_sector = sector;
            bindings::bio_set_dev(self.as_ptr(), device.as_ptr());
        }
    }
}

/// A bio that is on its way back.
pub(crate) struct EndedBio<'a, T: Target> {
    bio: &'a TargetBio<T>,
}

impl<T: Target> EndedBio<'_, T> {
    /// Takes a bio of C.
    ///
    /// # Safety
    ///
    /// It is a clone for a target of type `T` that was mapped and has ended; this is called once
    /// for it, and it is there as long as the result.
    #[inline(always)]
    pub(super) unsafe fn from_raw(bio: *mut bindings::bio) -> Self {
        Self {
            // SAFETY: `TargetBio` is a transparent wrapper, and the caller promises the rest.
            bio: unsafe { &*bio.cast::<TargetBio<T>>() },
        }
    }

    /// Whether it read or changed the medium.
    #[inline(always)]
    pub(crate) fn direction(&self) -> Direction {
        self.bio.direction()
    }

    /// Whether it was an ordinary read or write, or a flush.
    pub(crate) fn moves_data(&self) -> bool {
        self.bio.raw().bi_opf & bindings::REQ_OP_MASK <= bindings::REQ_OP_WRITE
    }

    /// Whether there is a note.
    #[inline(always)]
    pub(crate) fn has_note(&self) -> bool {
        self.bio.has_note()
    }

    /// The tag.
    #[inline(always)]
    pub(crate) fn tag(self) -> BioTag {
        // SAFETY: A bio that comes back was redirected or held, both of which attached a tag, and
        // it comes back once: `self` is consumed.
        unsafe { BioTag::from_word(self.bio.raw().bi_private as usize) }
    }

    /// The note, if there is one.
    pub(crate) fn note(&self) -> Option<T::Note> {
        self.bio.note()
    }

    /// Keeps the bio, which has not ended for whoever submitted it before [`HeldBio::end`]. The
    /// note stays with it.
    pub(crate) fn hold(self) -> (BioTag, HeldBio<T>, Ending) {
        let noted = self.has_note();
        // INVARIANT: DM_ENDIO_INCOMPLETE makes the bio ours.
        let held = HeldBio {
            bio: NonNull::from(self.bio),
        };
        let tag = self.tag();
        held.set_word(BioTag::NONE.into_word(noted));
        (tag, held, Ending(bindings::DM_ENDIO_INCOMPLETE as i32))
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
}

impl<T: Target> Deref for MapBio<'_, T> {
    type Target = TargetBio<T>;

    #[inline(always)]
    fn deref(&self) -> &TargetBio<T> {
        self.bio
    }
}

impl<T: Target> MapBio<'_, T> {
    /// Takes a bio of C.
    ///
    /// # Safety
    ///
    /// It is a clone for a target of type `T` that device-mapper wants to have mapped, and what
    /// becomes of the result is told to device-mapper.
    #[inline(always)]
    pub(super) unsafe fn from_raw(bio: *mut bindings::bio) -> Self {
        Self {
            // SAFETY: `TargetBio` is a transparent wrapper, and the caller promises the rest.
            bio: unsafe { &*bio.cast::<TargetBio<T>>() },
        }
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

    /// Sends the bio to `sector` of `device`, with a tag and perhaps a note for its way back.
    #[inline(always)]
    pub(crate) fn redirect(
        self,
        device: &BlockDevice,
        sector: u64,
        tag: BioTag,
        note: Option<T::Note>,
    ) -> Mapping {
        self.attach(tag, note);
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
        self.attach(BioTag::NONE, None);
        // INVARIANT: DM_MAPIO_SUBMITTED makes the bio ours.
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
/// The bio is valid, not in flight, and owned by this object. It has a tag without a ticket.
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
    /// Sends the bio to `sector` of `device`, with a tag and perhaps a note for its way back.
    ///
    /// Process context; must not be called where the bio's end would have to be waited for.
    pub(crate) fn submit(
        self,
        device: &BlockDevice,
        sector: u64,
        tag: BioTag,
        note: Option<T::Note>,
    ) {
        self.attach(tag, note);
        self.redirect_to(device, sector);
        let bio = ManuallyDrop::new(self).as_ptr();
        // SAFETY: By the type invariant the bio is ours to give away.
        unsafe { bindings::dm_submit_bio_remap(bio, core::ptr::null_mut()) };
    }

    /// The note that it came back with, if there was one.
    pub(crate) fn note(&self) -> Option<T::Note> {
        self.deref().note()
    }

    /// Ends the bio. It comes back once more, without a ticket and a note.
    pub(crate) fn end(self) {
        ManuallyDrop::new(self).end_as(BlockStatus::OK);
    }

    fn end_as(&mut self, status: BlockStatus) {
        self.attach(BioTag::NONE, None);
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
