// SPDX-License-Identifier: GPL-2.0

//! Device-mapper targets.
//!
//! A target implements [`Target`] and is registered by a [`Registration`]. What the kernel wants
//! of it:
//!
//! * [`Target::construct`] turns a table line into an object, which device-mapper owns until the
//!   table is destroyed. The old table of the device may still be in use meanwhile.
//! * [`Target::map`] decides for every bio where it goes. It gets the clone that device-mapper
//!   made as a [`MapBio`] and has to turn it into a [`Mapping`]: redirected, refused, or taken
//!   over as a [`HeldBio`].
//! * A clone that was redirected belongs to the block layer until it ends, and passes
//!   [`Target::end_io`] on the way back, which may keep it as a [`HeldBio`] once more. A
//!   [`HeldBio`] belongs to the target, which must submit it or end it; it is ended with an error
//!   when dropped.
//!
//! Suspending: `presuspend` (bios still flow), then device-mapper waits for every clone. Resuming: `preresume`, which may fail, then `resume`. At the swap of tables the
//! order is: new `preresume` and `resume`, old destroyed.
//!
//! C header: [`include/linux/device-mapper.h`](srctree/include/linux/device-mapper.h).

use core::{
    marker::PhantomData,
    ops::Deref,
    ptr::NonNull, //
};

use kernel::{
    error::{
        from_result,
        to_result, //
    },
    ffi,
    new_mutex,
    prelude::*,
    str::{
        CStr,
        CStrExt, //
    },
    sync::{
        Arc,
        Mutex, //
    },
    types::{
        ForeignOwnable,
        Opaque, //
    }, //
};
use remap_core::{
    device_number::DeviceNumber,
    geometry::SectorRange, //
};

use super::{
    bindings,
    block_device::BlockDevice,
    gate::{
        Exits,
        GateCounters, //
    },
    text::Text, //
};

mod bio;
pub(crate) use bio::{
    Blame,
    BlockStatus,
    EndedBio,
    Ending,
    HeldBio,
    HeldBios,
    Journey,
    MapBio,
    Mapping,
    OpenBio,
    TargetBio, //
};

/// A device-mapper target. All methods are called by device-mapper; the table says where.
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
    /// What the target sends along with some bios.
    type Note: Copy + Send;

    /// Makes the target of a table line. On an error nothing else is called.
    fn construct(setup: &mut Setup<'_>, arguments: &[&CStr]) -> Result<Self>;

    /// Decides where a bio goes.
    fn map(&self, bio: MapBio<'_, Self>) -> Mapping;

    /// A bio that was redirected, or held and then ended, comes back with `status`.
    fn end_io(bio: EndedBio<'_, Self>, status: BlockStatus) -> Ending;

    /// The device is about to be suspended; held bios must end in bounded time from now on.
    fn presuspend(&self);

    /// The suspension was called off.
    fn presuspend_undo(&self);

    /// The table is about to become the active one.
    fn preresume(&self) -> Result;

    /// The table is active; bios may come.
    fn resume(&self);

    /// Prints what `dmsetup status` shows behind the target's name.
    fn status(&self, text: &mut Text<'_>) -> core::fmt::Result;

    /// Prints the arguments that recreate the table.
    fn arguments(&self, text: &mut Text<'_>) -> core::fmt::Result;

    /// Carries out a message. `true` where `reply` has something for the user.
    fn message(&self, words: &[&CStr], reply: &mut Text<'_>) -> Result<bool>;

    /// The device and range behind every data sector, for limits and checks of device-mapper.
    /// Stops when `visit` returns something else than 0, and returns that.
    fn data_ranges(&self, visit: &mut dyn FnMut(&Device, SectorRange) -> i32) -> i32;

    /// The device that ioctls other than the block layer's go to, and whether the target is all
    /// of that device unchanged.
    fn ioctl_device(&self) -> (&BlockDevice, bool);
}

/// A target that is there; to look at it costs a few loads, which not every bio's end has to do.
///
/// # Invariants
///
/// `ti` was set up by `construct` and outlives `'a`.
pub(crate) struct TargetRef<'a, T: Target> {
    ti: *mut bindings::dm_target,
    _target: PhantomData<&'a T>,
}

impl<'a, T: Target> TargetRef<'a, T> {
    fn get(&self) -> &'a T {
        // SAFETY: By the type invariant.
        unsafe { Callbacks::<T>::target(self.ti) }
    }

    /// The way out of the gate that the target's bios are in.
    #[inline(always)]
    fn exits(&self) -> Exits {
        // SAFETY: By the type invariant.
        unsafe { Callbacks::<T>::private(self.ti) }.exits
    }
}

/// What device-mapper keeps for us with a target.
struct Private<T> {
    exits: Exits,
    target: T,
    events: Arc<Events>,
    /// Has to be there as long as `exits`.
    _counters: GateCounters,
}

impl<T> Drop for Private<T> {
    fn drop(&mut self) {
        self.events.close();
    }
}

/// Who waits for something to happen to a mapped device (`dmsetup wait`), and how to wake him.
pub(crate) struct Events(Pin<KBox<Mutex<Source>>>);

/// The table whose device it is.
///
/// # Invariants
///
/// Null, or a table with a target that is set up.
struct Source(*mut bindings::dm_table);

// SAFETY: The events of a table may be raised by any thread.
unsafe impl Send for Source {}

impl Events {
    fn new(table: *mut bindings::dm_table) -> Result<Arc<Self>> {
        // INVARIANT: `close` is called before the target goes.
        let source = new_mutex!(Source(table), "dm_remap::events");
        Ok(Arc::new(
            Self(KBox::pin_init(source, GFP_KERNEL)?),
            GFP_KERNEL,
        )?)
    }

    /// Tells that something has happened. Nobody hears it where the table is not in use. May sleep.
    pub(crate) fn raise(&self) {
        let source = self.0.lock();
        if !source.0.is_null() {
            // SAFETY: By the type invariant, and it stays so while we have the lock.
            unsafe { bindings::dm_table_event(source.0) };
        }
    }

    fn close(&self) {
        self.0.lock().0 = core::ptr::null_mut();
    }
}

/// What `construct` may ask and set.
pub(crate) struct Setup<'a> {
    ti: *mut bindings::dm_target,
    events: &'a Arc<Events>,
    counters: &'a GateCounters,
    _lifetime: PhantomData<&'a mut bindings::dm_target>,
}

impl Setup<'_> {
    fn target(&self) -> &bindings::dm_target {
        // SAFETY: `ti` is valid while `construct` runs.
        unsafe { &*self.ti }
    }

    /// First sector of the target on the mapped device, as bios have it.
    pub(crate) fn begin(&self) -> u64 {
        self.target().begin
    }

    /// Number of sectors of the target.
    pub(crate) fn sectors(&self) -> u64 {
        self.target().len
    }

    /// Whether the table is loaded read-only.
    pub(crate) fn read_only(&self) -> bool {
        // SAFETY: The table is valid while `construct` runs.
        (unsafe { bindings::dm_table_get_mode(self.target().table) }) & bindings::BLK_OPEN_WRITE
            == 0
    }

    /// The mapped device that the table is for.
    pub(crate) fn mapped_device(&self) -> MappedDevice {
        // SAFETY: The table is valid while `construct` runs.
        let md = unsafe { bindings::dm_table_get_md(self.target().table) };
        MappedDevice(md)
    }

    /// The table that the target is part of.
    pub(crate) fn table(&self) -> Table {
        Table(self.target().table)
    }

    /// Number of the mapped device, which it has before it is there for user space.
    pub(crate) fn mapped_device_number(&self) -> DeviceNumber {
        // SAFETY: The mapped device of a table exists and has a disk, whose numbers stay as they
        // are.
        let (major, minor) = unsafe {
            let disk = bindings::dm_disk(self.mapped_device().0);
            ((*disk).major, (*disk).first_minor)
        };
        DeviceNumber {
            major: major as u32,
            minor: minor as u32,
        }
    }

    /// The events of the mapped device.
    pub(crate) fn events(&self) -> Arc<Events> {
        self.events.clone()
    }

    /// The counters for the gate of the target's bios. With those of others, every bio costs more.
    pub(crate) fn gate_counters(&self) -> GateCounters {
        self.counters.clone()
    }

    /// Opens a device by path or `major:minor`, in the table's mode. It is closed when the result
    /// is dropped, which must be with the target.
    pub(crate) fn device(&mut self, path: &CStr) -> Result<Device> {
        let mut dev = core::ptr::null_mut();
        // SAFETY: `ti` and its table are valid while `construct` runs, the path is terminated.
        to_result(unsafe {
            bindings::dm_get_device(
                self.ti,
                path.as_char_ptr(),
                bindings::dm_table_get_mode(self.target().table),
                &mut dev,
            )
        })?;
        Ok(Device {
            ti: self.ti,
            dev: NonNull::new(dev).ok_or(ENODEV)?,
        })
    }

    /// How many empty flush bios the target wants for each flush; [`TargetBio::flush_number`]
    /// tells them apart.
    pub(crate) fn set_flush_bios(&mut self, count: u32) {
        // SAFETY: `ti` is valid and ours while `construct` runs.
        unsafe { (*self.ti).num_flush_bios = count };
    }

    /// The target takes discard and write-zeroes bios.
    pub(crate) fn take_discard_and_write_zeroes(&mut self) {
        // SAFETY: As above.
        unsafe {
            (*self.ti).num_discard_bios = 1;
            (*self.ti).num_write_zeroes_bios = 1;
        }
    }

    /// What `dmsetup` shows when `construct` fails.
    pub(crate) fn set_error(&mut self, text: &'static CStr) {
        // SAFETY: As above; device-mapper only reads the text.
        unsafe { (*self.ti).error = text.as_char_ptr().cast_mut() };
    }
}

/// Identity of a mapped device. Two tables of one device have the same.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct MappedDevice(*mut bindings::mapped_device);

// SAFETY: Only compared, except by those who promise that the device exists.
unsafe impl Send for MappedDevice {}
// SAFETY: As above.
unsafe impl Sync for MappedDevice {}

/// Identity of a table. Two targets of one table have the same.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Table(*mut bindings::dm_table);

// SAFETY: Only compared.
unsafe impl Send for Table {}
// SAFETY: As above.
unsafe impl Sync for Table {}

impl MappedDevice {
    /// Calls `with` with the name of the mapped device.
    ///
    /// May sleep.
    pub(crate) fn name<R>(number: DeviceNumber, with: impl FnOnce(&[u8]) -> R) -> Option<R> {
        let mut name = [0_u8; bindings::DM_NAME_LEN as usize];
        let mut uuid = [0_u8; bindings::DM_UUID_LEN as usize];
        if !Self::names(number.major << 20 | number.minor, &mut name, &mut uuid) {
            return None;
        }
        let len = name.iter().position(|&byte| byte == 0)?;
        Some(with(name.get(..len)?))
    }

    /// The UUID of the mapped device with that number of the kernel's, with zeros behind it; `false`
    /// where it is no mapped device. May sleep.
    pub(super) fn uuid(number: u32, uuid: &mut [u8; bindings::DM_UUID_LEN as usize]) -> bool {
        Self::names(number, &mut [0_u8; bindings::DM_NAME_LEN as usize], uuid)
    }

    fn names(
        number: u32,
        name: &mut [u8; bindings::DM_NAME_LEN as usize],
        uuid: &mut [u8; bindings::DM_UUID_LEN as usize],
    ) -> bool {
        // SAFETY: Any number may be asked for.
        let md = unsafe { bindings::dm_get_md(number) };
        if md.is_null() {
            return false;
        }
        // SAFETY: `md` is referenced, and name and UUID have room for what they may have.
        let error = unsafe {
            bindings::dm_copy_name_and_uuid(md, name.as_mut_ptr().cast(), uuid.as_mut_ptr().cast())
        };
        // SAFETY: We have the reference that dm_get_md() took.
        unsafe { bindings::dm_put(md) };
        error == 0
    }
}

/// A device that a table has open (`struct dm_dev`).
///
/// # Invariants
///
/// `dev` is open by `dm_get_device(ti)`, and `ti` outlives this object: it belongs to the
/// target's own object, which device-mapper destroys first.
pub(crate) struct Device {
    ti: *mut bindings::dm_target,
    dev: NonNull<bindings::dm_dev>,
}

// SAFETY: The device may be used and closed by any thread.
unsafe impl Send for Device {}
// SAFETY: All methods only read.
unsafe impl Sync for Device {}

impl Device {
    /// The name that device-mapper shows in tables, `major:minor`.
    pub(crate) fn name(&self) -> &CStr {
        // SAFETY: By the type invariant; the name is terminated and constant.
        unsafe { CStr::from_char_ptr((*self.dev.as_ptr()).name.as_ptr()) }
    }
}

impl Deref for Device {
    type Target = BlockDevice;

    fn deref(&self) -> &BlockDevice {
        // SAFETY: By the type invariant the device is open.
        unsafe { BlockDevice::from_raw((*self.dev.as_ptr()).bdev) }
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        // SAFETY: By the type invariant.
        unsafe { bindings::dm_put_device(self.ti, self.dev.as_ptr()) };
    }
}

/// A registered target type.
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

// SAFETY: There is nothing to do with a registration but to drop it.
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
                    // Not DM_TARGET_PASSES_CRYPTO: what encrypts below counts on in a bio that is split
                    // there, and a bio that is sent out twice would be encrypted as another place.
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

/// The callbacks of C, which device-mapper calls with a `ti` that `ctr` has set up.
struct Callbacks<T: Target>(PhantomData<T>);

/// The words of an argument vector.
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
    /// # Safety
    ///
    /// `ti` was set up by [`Self::ctr`] and is not yet destroyed.
    #[inline(always)]
    unsafe fn private<'a>(ti: *mut bindings::dm_target) -> &'a Private<T> {
        // SAFETY: `private` is what `ctr` put there, and stays until `dtr`.
        unsafe { <KBox<Private<T>> as ForeignOwnable>::borrow((*ti).private) }
    }

    /// # Safety
    ///
    /// As for [`Self::private`].
    #[inline(always)]
    unsafe fn target<'a>(ti: *mut bindings::dm_target) -> &'a T {
        // SAFETY: By the safety requirement.
        &unsafe { Self::private(ti) }.target
    }

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
            let mut setup = Setup {
                ti,
                events: &events,
                counters: &counters,
                _lifetime: PhantomData,
            };
            let target = T::construct(&mut setup, &words).inspect_err(|_| events.close())?;
            // SAFETY: As above.
            let end = unsafe { (*ti).begin.saturating_add((*ti).len) };
            let private = Private {
                exits: bio::exits(&counters, end),
                target,
                events,
                _counters: counters,
            };
            let private = KBox::new(private, GFP_KERNEL)?;
            // SAFETY: `ti` is valid and ours during ctr.
            unsafe {
                (*ti).private = private.into_foreign();
                (*ti).per_io_data_size = const { bio::luggage::<T::Note>() } as u32;
                bindings::dm_target_set_accounts_remapped_io(ti);
            }
            Ok(0)
        })
    }

    /// Ends the target.
    ///
    /// # Safety
    ///
    /// Called by device-mapper, once, when nothing else of the target is called any more.
    unsafe extern "C" fn dtr(ti: *mut bindings::dm_target) {
        // SAFETY: `private` is what `ctr` put there, and nobody uses it any more.
        drop(unsafe { <KBox<Private<T>> as ForeignOwnable>::from_foreign((*ti).private) });
    }

    /// Maps a clone.
    ///
    /// # Safety
    ///
    /// Called by device-mapper with a clone of its own, which is ours until the call returns.
    unsafe extern "C" fn map(ti: *mut bindings::dm_target, bio: *mut bindings::bio) -> ffi::c_int {
        // SAFETY: A table that maps is set up.
        let private = unsafe { Self::private(ti) };
        // SAFETY: The bio is a clone that device-mapper lends us for the call.
        let bio = unsafe { MapBio::from_raw(bio, private) };
        private.target.map(bio).into_raw()
    }

    /// A clone comes back.
    ///
    /// # Safety
    ///
    /// Called by device-mapper, once, for a clone that was mapped, with its status.
    unsafe extern "C" fn end_io(
        ti: *mut bindings::dm_target,
        bio: *mut bindings::bio,
        error: *mut bindings::blk_status_t,
    ) -> ffi::c_int {
        // SAFETY: A bio of a table that is set up; `error` is its status.
        unsafe {
            // INVARIANT: The target is set up as long as one of its bios is on its way.
            let target = TargetRef {
                ti,
                _target: PhantomData,
            };
            T::end_io(
                EndedBio::from_raw(bio, target),
                BlockStatus::from_raw(*error),
            )
            .into_raw()
        }
    }

    /// Suspends.
    ///
    /// # Safety
    ///
    /// Called by device-mapper with a target that is set up.
    unsafe extern "C" fn presuspend(ti: *mut bindings::dm_target) {
        // SAFETY: The table is set up.
        unsafe { Self::target(ti) }.presuspend();
    }

    /// Suspends after all not.
    ///
    /// # Safety
    ///
    /// Called by device-mapper with a target that is set up.
    unsafe extern "C" fn presuspend_undo(ti: *mut bindings::dm_target) {
        // SAFETY: The table is set up.
        unsafe { Self::target(ti) }.presuspend_undo();
    }

    /// Resumes, if it can.
    ///
    /// # Safety
    ///
    /// Called by device-mapper with a target that is set up.
    unsafe extern "C" fn preresume(ti: *mut bindings::dm_target) -> ffi::c_int {
        // SAFETY: The table is set up.
        from_result(|| unsafe { Self::target(ti) }.preresume().map(|()| 0))
    }

    /// Is resumed.
    ///
    /// # Safety
    ///
    /// Called by device-mapper with a target that is set up.
    unsafe extern "C" fn resume(ti: *mut bindings::dm_target) {
        // SAFETY: The table is set up.
        unsafe { Self::target(ti) }.resume();
    }

    /// Prints.
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
        let target = unsafe { Self::target(ti) };
        // A text that does not fit is cut short; device-mapper sees the full buffer, gets a
        // larger one from user space and asks again.
        let _ = match kind {
            bindings::status_type_t_STATUSTYPE_INFO => target.status(&mut text),
            bindings::status_type_t_STATUSTYPE_TABLE => target.arguments(&mut text),
            _ => Ok(()),
        };
    }

    /// Takes a message.
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
            let replied = unsafe { Self::target(ti) }.message(&words, &mut reply)?;
            Ok(ffi::c_int::from(replied))
        })
    }

    /// Tells where ioctls go.
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
        let (device, identical) = unsafe { Self::target(ti) }.ioctl_device();
        // SAFETY: Device-mapper passes a place for the answer.
        unsafe { *bdev = device.as_ptr() };
        ffi::c_int::from(!identical)
    }

    /// Goes through the devices.
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
        unsafe { Self::target(ti) }.data_ranges(&mut |device, range| {
            // SAFETY: The device is open, and `data` is what the callout wants.
            unsafe { visit(ti, device.dev.as_ptr(), range.start(), range.len(), data) }
        })
    }
}
