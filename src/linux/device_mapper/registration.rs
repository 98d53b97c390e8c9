// SPDX-License-Identifier: GPL-2.0

//! Registration of a target with device-mapper, and its callbacks from C.

use core::marker::PhantomData;

use kernel::{
    error::{
        from_result,
        to_result, //
    },
    ffi,
    prelude::*,
    str::{
        CStr,
        CStrExt, //
    },
    types::{
        ForeignOwnable,
        Opaque, //
    }, //
};

use super::{
    bio::{
        exits,
        per_bio_data_bytes,
        BlockStatus, //
    },
    setup::{
        Events,
        Setup, //
    },
    target::{
        EndedBio,
        MapBio,
        Private,
        Target,
        TargetRef, //
    }, //
};
use crate::linux::{
    bindings,
    gate::GateCounters,
    text::Text, //
};

/// Registered target type.
///
/// # Invariants
///
/// `target_type` is registered with device-mapper as long as this object lives.
#[pin_data(PinnedDrop)]
pub(crate) struct Registration<T: Target> {
    #[pin]
    target_type: Opaque<bindings::target_type>,
    _target: PhantomData<T>,
}

// SAFETY: A registration can only be dropped, which any thread may do.
unsafe impl<T: Target> Send for Registration<T> {}
// SAFETY: As above.
unsafe impl<T: Target> Sync for Registration<T> {}

impl<T: Target> Registration<T> {
    /// Registers the target. Tables can be loaded from then on.
    pub(crate) fn new(module: &'static ThisModule) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            target_type <- Opaque::try_ffi_init(|slot: *mut bindings::target_type| {
                // SAFETY: The slot is valid for writes; all zero is "no callback" for each.
                unsafe {
                    slot.write_bytes(0, 1);
                    // Not DM_TARGET_PASSES_CRYPTO: a driver below that splits a bio advances its data unit
                    // numbers. A bio that is submitted twice would be encrypted as other sectors.
                    (*slot).features = u64::from(bindings::DM_TARGET_NOWAIT);
                    (*slot).name = T::NAME.as_char_ptr();
                    (*slot).module = module.as_ptr();
                    (*slot).version = T::VERSION;
                    (*slot).ctr = Some(Callbacks::<T>::ctr);
                    (*slot).dtr = Some(Callbacks::<T>::dtr);
                    (*slot).map = Some(Callbacks::<T>::map);
                    (*slot).end_io = Some(Callbacks::<T>::end_io);
                    (*slot).presuspend = Some(Callbacks::<T>::presuspend);
                    (*slot).presuspend_undo = Some(Callbacks::<T>::presuspend_undo);
                    (*slot).postsuspend = Some(Callbacks::<T>::postsuspend);
                    (*slot).preresume = Some(Callbacks::<T>::preresume);
                    (*slot).resume = Some(Callbacks::<T>::resume);
                    (*slot).status = Some(Callbacks::<T>::status);
                    (*slot).message = Some(Callbacks::<T>::message);
                    (*slot).prepare_ioctl = Some(Callbacks::<T>::prepare_ioctl);
                    (*slot).iterate_devices = Some(Callbacks::<T>::iterate_devices);
                    to_result(bindings::dm_register_target(slot))
                }
            }),
            _target: PhantomData,
        })
    }
}

#[pinned_drop]
impl<T: Target> PinnedDrop for Registration<T> {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: By the type invariant. The module cannot go while a table exists.
        unsafe { bindings::dm_unregister_target(self.target_type.get()) };
    }
}

/// Callbacks from C. Device-mapper calls them with a `ti` that `ctr` has set up.
struct Callbacks<T: Target>(PhantomData<T>);

/// Returns the words of an argument vector.
///
/// # Safety
///
/// `argv` has `argc` terminated strings that live as long as the result.
unsafe fn words<'a>(argc: u32, argv: *mut *mut ffi::c_char) -> Result<KVec<&'a CStr>> {
    let mut words = KVec::with_capacity(argc as usize, GFP_KERNEL)?;
    for n in 0..argc as usize {
        // SAFETY: The caller promises `argc` strings.
        let word = unsafe { CStr::from_char_ptr((*argv.add(n)).cast_const()) };
        words.push(word, GFP_KERNEL)?;
    }
    Ok(words)
}

impl<T: Target> Callbacks<T> {
    /// Makes the target.
    ///
    /// # Safety
    ///
    /// Called by device-mapper with a `ti` that is being set up and `argc` arguments.
    unsafe extern "C" fn ctr(
        ti: *mut bindings::dm_target,
        argc: ffi::c_uint,
        argv: *mut *mut ffi::c_char,
    ) -> ffi::c_int {
        from_result(|| {
            // SAFETY: Device-mapper passes `argc` strings.
            let words = unsafe { words(argc, argv) }?;
            let counters = GateCounters::new()?;
            // SAFETY: `ti` is valid during ctr.
            let events = Events::new(unsafe { (*ti).table })?;
            // SAFETY: `ti` is being set up during ctr.
            let mut setup = unsafe { Setup::from_raw(ti, &events, &counters) };
            let target = T::construct(&mut setup, &words).inspect_err(|_| events.close())?;
            // SAFETY: As above.
            let end = unsafe { (*ti).begin.saturating_add((*ti).len) };
            let private = Private {
                exits: exits(&counters, end),
                target,
                events,
                _counters: counters,
            };
            let private = KBox::new(private, GFP_KERNEL)?;
            // SAFETY: `ti` is valid and ours during ctr.
            unsafe {
                (*ti).private = private.into_foreign();
                (*ti).per_io_data_size = const { per_bio_data_bytes::<T::Note>() } as u32;
                bindings::dm_target_set_accounts_remapped_io(ti);
            }
            Ok(0)
        })
    }

    /// Ends the target.
    ///
    /// # Safety
    ///
    /// Called by device-mapper, once, after all other calls for the target have returned.
    unsafe extern "C" fn dtr(ti: *mut bindings::dm_target) {
        // SAFETY: `ctr` has set `private`, which is not used any more.
        drop(unsafe { <KBox<Private<T>> as ForeignOwnable>::from_foreign((*ti).private) });
    }

    /// Maps a clone.
    ///
    /// # Safety
    ///
    /// Called by device-mapper with a clone that it made and lends for the call.
    unsafe extern "C" fn map(ti: *mut bindings::dm_target, bio: *mut bindings::bio) -> ffi::c_int {
        // SAFETY: A table that maps is set up.
        let private = unsafe { Private::<T>::of(ti) };
        // SAFETY: The bio is a clone that device-mapper lends for the call.
        let bio = unsafe { MapBio::from_raw(bio, private) };
        private.target.map(bio).into_raw()
    }

    /// Takes a clone back.
    ///
    /// # Safety
    ///
    /// Called by device-mapper, once, for a clone that was mapped, with its status.
    unsafe extern "C" fn end_io(
        ti: *mut bindings::dm_target,
        bio: *mut bindings::bio,
        error: *mut bindings::blk_status_t,
    ) -> ffi::c_int {
        // SAFETY: A target stays set up while one of its bios is in flight; `error` is the bio's status.
        unsafe {
            let target = TargetRef::from_raw(ti);
            T::end_io(
                EndedBio::from_raw(bio, target),
                BlockStatus::from_raw(*error),
            )
            .into_raw()
        }
    }

    /// Prepares for a suspend.
    ///
    /// # Safety
    ///
    /// Called by device-mapper with a target that is set up.
    unsafe extern "C" fn presuspend(ti: *mut bindings::dm_target) {
        // SAFETY: The table is set up.
        unsafe { Private::<T>::of(ti) }.target.presuspend();
    }

    /// Undoes `presuspend` when the suspend was cancelled.
    ///
    /// # Safety
    ///
    /// Called by device-mapper with a target that is set up.
    unsafe extern "C" fn presuspend_undo(ti: *mut bindings::dm_target) {
        // SAFETY: The table is set up.
        unsafe { Private::<T>::of(ti) }.target.presuspend_undo();
    }

    /// Ends a suspend.
    ///
    /// # Safety
    ///
    /// Called by device-mapper with a target that is set up, and of which no bio is in flight.
    unsafe extern "C" fn postsuspend(ti: *mut bindings::dm_target) {
        // SAFETY: The table is set up.
        unsafe { Private::<T>::of(ti) }.target.postsuspend();
    }

    /// Prepares for a resume.
    ///
    /// # Safety
    ///
    /// Called by device-mapper with a target that is set up.
    unsafe extern "C" fn preresume(ti: *mut bindings::dm_target) -> ffi::c_int {
        // SAFETY: The table is set up.
        let target = &unsafe { Private::<T>::of(ti) }.target;
        from_result(|| target.preresume().map(|()| 0))
    }

    /// Resumes.
    ///
    /// # Safety
    ///
    /// Called by device-mapper with a target that is set up.
    unsafe extern "C" fn resume(ti: *mut bindings::dm_target) {
        // SAFETY: The table is set up.
        unsafe { Private::<T>::of(ti) }.target.resume();
    }

    /// Prints the status or the table line.
    ///
    /// # Safety
    ///
    /// Called by device-mapper with a target that is set up and a buffer of `maxlen` bytes.
    unsafe extern "C" fn status(
        ti: *mut bindings::dm_target,
        kind: bindings::status_type_t,
        _flags: ffi::c_uint,
        result: *mut ffi::c_char,
        maxlen: ffi::c_uint,
    ) {
        // SAFETY: Device-mapper passes a buffer of `maxlen` bytes.
        let mut text = unsafe { Text::from_raw(result.cast(), maxlen as usize) };
        // SAFETY: The table is set up.
        let target = &unsafe { Private::<T>::of(ti) }.target;
        // A text that does not fit is truncated; device-mapper sees the full buffer, gets a
        // larger one from user space and calls again.
        let _ = match kind {
            bindings::status_type_t_STATUSTYPE_INFO => target.status(&mut text),
            bindings::status_type_t_STATUSTYPE_TABLE => target.arguments(&mut text),
            _ => Ok(()),
        };
    }

    /// Carries out a message.
    ///
    /// # Safety
    ///
    /// Called by device-mapper with a target that is set up, `argc` words and a buffer of `maxlen`
    /// bytes.
    unsafe extern "C" fn message(
        ti: *mut bindings::dm_target,
        argc: ffi::c_uint,
        argv: *mut *mut ffi::c_char,
        result: *mut ffi::c_char,
        maxlen: ffi::c_uint,
    ) -> ffi::c_int {
        from_result(|| {
            // SAFETY: Device-mapper passes `argc` strings.
            let words = unsafe { words(argc, argv) }?;
            // SAFETY: Device-mapper passes a buffer of `maxlen` bytes.
            let mut reply = unsafe { Text::from_raw(result.cast(), maxlen as usize) };
            // SAFETY: The table is set up.
            let replied = unsafe { Private::<T>::of(ti) }
                .target
                .message(&words, &mut reply)?;
            Ok(ffi::c_int::from(replied))
        })
    }

    /// Returns the device that ioctls go to.
    ///
    /// # Safety
    ///
    /// Called by device-mapper with a target that is set up and a place for the answer.
    unsafe extern "C" fn prepare_ioctl(
        ti: *mut bindings::dm_target,
        bdev: *mut *mut bindings::block_device,
        _cmd: ffi::c_uint,
        _arg: ffi::c_ulong,
        _forward: *mut bool,
    ) -> ffi::c_int {
        // SAFETY: The table is set up.
        let (device, identical) = unsafe { Private::<T>::of(ti) }.target.ioctl_device();
        // SAFETY: Device-mapper passes a place for the answer.
        unsafe { *bdev = device.as_ptr() };
        ffi::c_int::from(!identical)
    }

    /// Visits the devices of the target.
    ///
    /// # Safety
    ///
    /// Called by device-mapper with a target that is set up, and `data` for `visit`.
    unsafe extern "C" fn iterate_devices(
        ti: *mut bindings::dm_target,
        visit: bindings::iterate_devices_callout_fn,
        data: *mut ffi::c_void,
    ) -> ffi::c_int {
        let Some(visit) = visit else { return 0 };
        // SAFETY: The table is set up.
        unsafe { Private::<T>::of(ti) }
            .target
            .data_ranges(&mut |device, range| {
                // SAFETY: The device is open, and device-mapper passed `data` for this callout.
                unsafe { visit(ti, device.as_ptr(), range.start(), range.len(), data) }
            })
    }
}
