// SPDX-License-Identifier: GPL-2.0

//! Device-mapper targets, and their bios while they are mapped and when they come back.

use core::{
    marker::PhantomData,
    ops::Deref, //
};

use kernel::{
    prelude::*,
    str::CStr,
    sync::Arc,
    types::ForeignOwnable, //
};
use remap_core::table::geometry::SectorRange;

use super::{
    bio::{
        BioContext,
        BlockStatus,
        HeldBio,
        TargetBio, //
    },
    setup::{
        Device,
        Events,
        Setup, //
    },
    word::{
        self,
        Start, //
    }, //
};
use crate::linux::{
    bindings,
    block_device::BlockDevice,
    gate::{
        Direction,
        Exits,
        GateCounters,
        GateGuard,
        Ticket, //
    },
    text::Text, //
};

/// Device-mapper target. Device-mapper calls all methods, in these contexts:
///
/// | method | context | may sleep |
/// |---|---|---|
/// | `construct`, drop | ioctl | yes |
/// | `map` | submitter or kworker | without I/O; not for `REQ_NOWAIT` |
/// | `end_io` | any, interrupts included | no |
/// | `message`, `status` | ioctl, concurrent with each other | yes; long waits stall suspend |
/// | `presuspend` to `resume` | ioctl, one at a time | yes |
pub(crate) trait Target: Sized + Send + Sync + 'static {
    /// Name in table lines.
    const NAME: &'static CStr;
    /// Version of the table and message interface.
    const VERSION: [u32; 3];
    /// Note that the target sends along with some bios.
    type Note: Copy + Send;

    /// Makes the target of a table line. On error no other method is called.
    fn construct(setup: &mut Setup<'_>, arguments: &[&CStr]) -> Result<Self>;

    /// Decides the destination of a bio.
    fn map(&self, bio: MapBio<'_, Self>) -> Mapping;

    /// Takes a bio back that was redirected, or held and then ended, with its `status`.
    fn end_io(bio: EndedBio<'_, Self>, status: BlockStatus) -> Ending;

    /// Prepares for a suspend. From now on, held bios must end in bounded time.
    fn presuspend(&self);

    /// Undoes `presuspend` when the suspend was cancelled.
    fn presuspend_undo(&self);

    /// Ends a suspend: no bio is in flight, and the devices must not be used when this returns. May sleep.
    fn postsuspend(&self);

    /// Prepares for a resume. An error cancels the resume.
    fn preresume(&self) -> Result;

    /// Resumes. The table is active, and bios may be submitted.
    fn resume(&self);

    /// Prints what `dmsetup status` shows behind the target's name.
    fn status(&self, text: &mut Text<'_>) -> core::fmt::Result;

    /// Prints the arguments that recreate the table.
    fn arguments(&self, text: &mut Text<'_>) -> core::fmt::Result;

    /// Carries out a message. Returns whether `reply` has text for the user.
    fn message(&self, words: &[&CStr], reply: &mut Text<'_>) -> Result<bool>;

    /// Calls `visit` with the devices and ranges that hold data, for limits and checks of device-mapper.
    /// Stops when `visit` returns a value other than 0, and returns that value.
    fn data_ranges(&self, visit: &mut dyn FnMut(&Device, SectorRange) -> i32) -> i32;

    /// Returns the device for ioctls that the block layer does not handle itself, and whether the target is
    /// identical to the whole device.
    fn ioctl_device(&self) -> (&BlockDevice, bool);
}

/// Reference to a target that is looked up on use: the lookup costs a few loads, and not every end of a bio
/// needs the target.
///
/// # Invariants
///
/// `ti` was set up by `construct` and outlives `'a`.
pub(super) struct TargetRef<'a, T: Target> {
    ti: *mut bindings::dm_target,
    _target: PhantomData<&'a T>,
}

impl<'a, T: Target> TargetRef<'a, T> {
    /// Refers to a target of C.
    ///
    /// # Safety
    ///
    /// `ti` was set up by `construct`, and outlives the result.
    #[inline(always)]
    pub(super) unsafe fn from_raw(ti: *mut bindings::dm_target) -> Self {
        // INVARIANT: By the safety requirement.
        Self {
            ti,
            _target: PhantomData,
        }
    }

    fn get(&self) -> &'a T {
        // SAFETY: By the type invariant.
        &unsafe { Private::<T>::of(self.ti) }.target
    }

    /// Returns the exits of the gate that the target's bios are in.
    #[inline(always)]
    fn exits(&self) -> Exits {
        // SAFETY: By the type invariant.
        unsafe { Private::<T>::of(self.ti) }.exits
    }
}

/// Data that device-mapper keeps with a target.
pub(super) struct Private<T> {
    pub(super) exits: Exits,
    pub(super) target: T,
    pub(super) events: Arc<Events>,
    /// Keeps the counters of `exits` allocated.
    pub(super) _counters: GateCounters,
}

impl<T: Target> Private<T> {
    /// Returns the data that device-mapper keeps with `ti`.
    ///
    /// # Safety
    ///
    /// `ti` was set up by `construct` and is not yet destroyed.
    #[inline(always)]
    pub(super) unsafe fn of<'a>(ti: *mut bindings::dm_target) -> &'a Self {
        // SAFETY: `ctr` has set `private`, which stays valid until the target is destroyed.
        unsafe { <KBox<Self> as ForeignOwnable>::borrow((*ti).private) }
    }
}

impl<T> Drop for Private<T> {
    fn drop(&mut self) {
        self.events.close();
    }
}

/// Bio that comes back from its device.
pub(crate) struct EndedBio<'a, T: Target> {
    bio: &'a TargetBio<T::Note>,
    target: TargetRef<'a, T>,
}

impl<'a, T: Target> EndedBio<'a, T> {
    /// Takes a bio of C.
    ///
    /// # Safety
    ///
    /// The bio is a clone for `target` that was mapped and has ended. The function is called once for it, and
    /// it outlives the result.
    #[inline(always)]
    pub(super) unsafe fn from_raw(bio: *mut bindings::bio, target: TargetRef<'a, T>) -> Self {
        Self {
            // SAFETY: `TargetBio` is a transparent wrapper, and the caller promises the rest.
            bio: unsafe { &*bio.cast::<TargetBio<T::Note>>() },
            target,
        }
    }

    /// Returns whether the bio has no per-bio data, only its word.
    #[inline(always)]
    pub(crate) fn is_plain(&self) -> bool {
        self.bio.word() & word::PER_BIO_DATA == 0
    }

    /// Returns whether the bio has no per-bio data and no mark.
    #[inline(always)]
    pub(crate) fn is_plain_and_unmarked(&self) -> bool {
        self.bio.word() & (word::PER_BIO_DATA | word::MARKED) == 0
    }

    /// Returns whether the bio read or changed the medium.
    #[inline(always)]
    pub(crate) fn direction(&self) -> Direction {
        self.bio.direction()
    }

    /// Returns the target of the bio.
    #[inline(always)]
    pub(crate) fn target(&self) -> &'a T {
        self.target.get()
    }

    /// Makes the bio leave the gate, and lets it end.
    #[inline(always)]
    pub(crate) fn finish(self) -> Ending {
        if self.is_plain() {
            let epoch = word::epoch(self.bio.word());
            // SAFETY: `MapBio::redirect` has counted a plain bio with these exits, whose counters the
            // target keeps. The bio leaves once: `self` is consumed.
            unsafe { self.target.exits().leave(epoch) };
        } else if let Some(ticket) = self.open().1.ticket {
            ticket.leave();
        }
        Ending::DONE
    }

    /// Takes the context from the bio.
    pub(crate) fn open(self) -> (OpenBio<'a, T>, BioContext<T::Note>) {
        let word = self.bio.word();
        let mark = word & word::MARKED != 0;
        let context = if self.is_plain() {
            BioContext {
                // SAFETY: As in `finish`.
                ticket: Some(unsafe { self.target.exits().ticket(word::epoch(word)) }),
                mark,
                start: word::start(word),
                note: None,
            }
        } else {
            // SAFETY: By the bit the per-bio data were written, and they are taken once.
            let data = unsafe { self.bio.per_bio_data().read() };
            BioContext {
                ticket: data.ticket,
                mark,
                start: data.start,
                note: data.note,
            }
        };
        let open = OpenBio {
            bio: self.bio,
            target: self.target,
        };
        (open, context)
    }
}

/// Bio that comes back, without its context.
pub(crate) struct OpenBio<'a, T: Target> {
    bio: &'a TargetBio<T::Note>,
    target: TargetRef<'a, T>,
}

impl<'a, T: Target> OpenBio<'a, T> {
    /// Returns the target of the bio.
    pub(crate) fn target(&self) -> &'a T {
        self.target.get()
    }

    /// Returns whether the bio read or changed the medium.
    pub(crate) fn direction(&self) -> Direction {
        self.bio.direction()
    }

    /// Returns whether the bio gave its sectors new contents.
    pub(crate) fn fills_sectors(&self) -> bool {
        self.bio.fills_sectors()
    }

    /// Returns whether the bio was an ordinary read or write, or a flush.
    pub(crate) fn moves_data(&self) -> bool {
        self.bio.moves_data()
    }

    /// Returns whether the bio might fail where another one would be tried again or would wait.
    pub(crate) fn fails_early(&self) -> bool {
        self.bio.fails_early()
    }

    /// Takes the bio over. For its submitter it ends when the [`HeldBio`] is ended or dropped. It is as it was
    /// when it was mapped, save its status.
    pub(crate) fn hold(self, start: &Start, note: Option<T::Note>) -> (HeldBio<T::Note>, Ending) {
        // SAFETY: DM_ENDIO_INCOMPLETE makes the bio ours, and its memory stays valid until it ends.
        unsafe { (*self.bio.as_ptr()).bi_iter = start.0 };
        self.bio.pack(None, false, note);
        // SAFETY: The bio is ours, has its first iterator again, and has per-bio data without a ticket.
        let held = unsafe { HeldBio::new(self.bio) };
        (held, Ending(bindings::DM_ENDIO_INCOMPLETE as i32))
    }
}

/// Answer to device-mapper about a bio that came back.
pub(crate) struct Ending(i32);

impl Ending {
    /// The bio ends for its submitter.
    pub(crate) const DONE: Self = Self(bindings::DM_ENDIO_DONE as i32);

    /// Returns the number for device-mapper.
    #[inline(always)]
    pub(super) fn into_raw(self) -> i32 {
        self.0
    }
}

/// Answer to device-mapper about a bio that was mapped. Only methods of [`MapBio`] make one.
pub(crate) struct Mapping(i32);

impl Mapping {
    /// Returns the number for device-mapper.
    #[inline(always)]
    pub(super) fn into_raw(self) -> i32 {
        self.0
    }
}

/// Bio that is being mapped.
pub(crate) struct MapBio<'a, T: Target> {
    bio: &'a TargetBio<T::Note>,
    private: &'a Private<T>,
}

impl<T: Target> Deref for MapBio<'_, T> {
    type Target = TargetBio<T::Note>;

    #[inline(always)]
    fn deref(&self) -> &TargetBio<T::Note> {
        self.bio
    }
}

impl<'a, T: Target> MapBio<'a, T> {
    /// Takes a bio of C.
    ///
    /// # Safety
    ///
    /// The bio is a clone for the target of `private` that device-mapper wants to have mapped. The caller
    /// returns the [`Mapping`] to device-mapper.
    #[inline(always)]
    pub(super) unsafe fn from_raw(bio: *mut bindings::bio, private: &'a Private<T>) -> Self {
        Self {
            // SAFETY: `TargetBio` is a transparent wrapper, and the caller promises the rest.
            bio: unsafe { &*bio.cast::<TargetBio<T::Note>>() },
            private,
        }
    }

    /// Returns the target of the bio.
    #[inline(always)]
    pub(crate) fn target(&self) -> &'a T {
        &self.private.target
    }

    /// Lets device-mapper send everything behind the first `sectors` sectors in another bio, if the bio has
    /// more than that.
    #[inline(always)]
    pub(crate) fn accept(&mut self, sectors: u32) {
        if sectors > 0 && sectors < self.sectors() {
            // SAFETY: `map` is running, the bio has more sectors, and it is no duplicate (only empty
            // flushes are). A target without DM_TARGET_ATOMIC_WRITES gets no atomic writes, and one
            // without DM_TARGET_ZONED_HM no zoned devices.
            unsafe { bindings::dm_accept_partial_bio(self.as_ptr(), sectors) };
        }
    }

    /// Sends the bio to `sector` of `device`. The bio stays inside the gate until it comes back, with `mark`.
    #[inline(always)]
    pub(crate) fn redirect<G>(
        self,
        device: &BlockDevice,
        sector: u64,
        inside: GateGuard<'_, G>,
        mark: bool,
    ) -> Mapping {
        if !word::has_room(self.iter()) {
            return self.redirect_with_data(device, sector, inside.stay(), mark);
        }
        match inside.stay_with(self.private.exits) {
            Ok(epoch) => {
                let mark = if mark { word::MARKED } else { 0 };
                self.set_word(word::pack(self.iter(), epoch) | mark);
                self.redirect_to(device, sector);
                Mapping(bindings::DM_MAPIO_REMAPPED as i32)
            }
            Err(inside) => self.redirect_with_data(device, sector, inside.stay(), mark),
        }
    }

    #[cold]
    #[inline(never)]
    fn redirect_with_data(
        self,
        device: &BlockDevice,
        sector: u64,
        ticket: Ticket,
        mark: bool,
    ) -> Mapping {
        self.redirect_noted(device, sector, Some(ticket), mark, None)
    }

    /// Sends the bio to `sector` of `device`, with a note for its way back, or without a ticket.
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

    /// Takes the bio over with a note, to be submitted or ended later.
    pub(crate) fn hold(self, note: Option<T::Note>) -> (HeldBio<T::Note>, Mapping) {
        // SAFETY: The bio is valid; its submitter must not poll for it while it is held.
        unsafe {
            (*self.as_ptr()).bi_opf &= !bindings::REQ_POLLED;
        }
        self.pack(None, false, note);
        // SAFETY: DM_MAPIO_SUBMITTED makes the bio ours, and it was never submitted.
        let held = unsafe { HeldBio::new(self.bio) };
        (held, Mapping(bindings::DM_MAPIO_SUBMITTED as i32))
    }
}
