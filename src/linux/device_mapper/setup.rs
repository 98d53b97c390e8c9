// SPDX-License-Identifier: GPL-2.0

//! Parts that a target is made of: its table line, its devices and its events.

use core::{
    marker::PhantomData,
    ops::Deref,
    ptr::NonNull, //
};

use kernel::{
    error::to_result,
    new_mutex,
    prelude::*,
    str::{
        CStr,
        CStrExt, //
    },
    sync::{
        Arc,
        Mutex, //
    }, //
};
use remap_core::interface::device_number::DeviceNumber;

use crate::linux::{
    bindings,
    block_device::BlockDevice,
    gate::GateCounters,
    mapped_device::MappedDevice, //
};

/// Events of a mapped device, which `dmsetup wait` waits for.
pub(crate) struct Events(Pin<KBox<Mutex<Source>>>);

/// Table of the mapped device that events are raised for.
///
/// # Invariants
///
/// Null, or a table with a target that is set up.
struct Source(*mut bindings::dm_table);

// SAFETY: The events of a table may be raised by any thread.
unsafe impl Send for Source {}

impl Events {
    /// Makes the events of a target in `table`. May sleep. `ENOMEM`.
    pub(super) fn new(table: *mut bindings::dm_table) -> Result<Arc<Self>> {
        // INVARIANT: `close` is called before the target goes.
        let source = new_mutex!(Source(table), "dm_remap::events");
        Ok(Arc::new(
            Self(KBox::pin_init(source, GFP_KERNEL)?),
            GFP_KERNEL,
        )?)
    }

    /// Raises an event. Has no effect while the table is not in use. May sleep.
    pub(crate) fn raise(&self) {
        let source = self.0.lock();
        if !source.0.is_null() {
            // SAFETY: By the type invariant, which the lock keeps true.
            unsafe { bindings::dm_table_event(source.0) };
        }
    }

    /// Forgets the table, which is about to be destroyed. May sleep.
    pub(super) fn close(&self) {
        self.0.lock().0 = core::ptr::null_mut();
    }
}

/// Target under construction: the properties of its table, and the settings that it may make.
pub(crate) struct Setup<'a> {
    ti: *mut bindings::dm_target,
    events: &'a Arc<Events>,
    counters: &'a GateCounters,
    _lifetime: PhantomData<&'a mut bindings::dm_target>,
}

impl<'a> Setup<'a> {
    /// Makes the setup of a target of C.
    ///
    /// # Safety
    ///
    /// `ti` is being set up, and is valid and the caller's as long as the result lives.
    pub(super) unsafe fn from_raw(
        ti: *mut bindings::dm_target,
        events: &'a Arc<Events>,
        counters: &'a GateCounters,
    ) -> Self {
        Self {
            ti,
            events,
            counters,
            _lifetime: PhantomData,
        }
    }

    fn target(&self) -> &bindings::dm_target {
        // SAFETY: `ti` is valid while `construct` runs.
        unsafe { &*self.ti }
    }

    /// Returns the first sector of the target, counted on the mapped device as the sectors of bios are.
    pub(crate) fn begin(&self) -> u64 {
        self.target().begin
    }

    /// Returns the number of sectors of the target.
    pub(crate) fn sectors(&self) -> u64 {
        self.target().len
    }

    /// Returns whether the table is loaded read-only.
    pub(crate) fn read_only(&self) -> bool {
        // SAFETY: The table is valid while `construct` runs.
        (unsafe { bindings::dm_table_get_mode(self.target().table) }) & bindings::BLK_OPEN_WRITE
            == 0
    }

    /// Returns the mapped device that the table is for.
    pub(crate) fn mapped_device(&self) -> MappedDevice {
        // SAFETY: The table is valid while `construct` runs.
        let md = unsafe { bindings::dm_table_get_md(self.target().table) };
        MappedDevice(md)
    }

    /// Returns the table that the target is part of.
    pub(crate) fn table(&self) -> Table {
        Table(self.target().table)
    }

    /// Returns the number of the mapped device, which it has before user space sees it.
    pub(crate) fn mapped_device_number(&self) -> DeviceNumber {
        // SAFETY: The mapped device of a table exists and has a disk, whose numbers never change.
        let (major, minor) = unsafe {
            let disk = bindings::dm_disk(self.mapped_device().0);
            ((*disk).major, (*disk).first_minor)
        };
        DeviceNumber {
            major: major as u32,
            minor: minor as u32,
        }
    }

    /// Returns the events of the mapped device.
    pub(crate) fn events(&self) -> Arc<Events> {
        self.events.clone()
    }

    /// Returns the counters for the gate of the target. A gate with other counters makes every bio more
    /// expensive.
    pub(crate) fn gate_counters(&self) -> GateCounters {
        self.counters.clone()
    }

    /// Opens a device by path or `major:minor`, in the table's mode. Dropping the result closes the device. The
    /// target must own the result, so that both are dropped together.
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

    /// Sets the number of empty flush bios that the target gets for each flush;
    /// [`flush_number`](super::TargetBio::flush_number) tells them apart.
    pub(crate) fn set_flush_bios(&mut self, count: u32) {
        // SAFETY: `ti` is valid and ours while `construct` runs.
        unsafe { (*self.ti).num_flush_bios = count };
    }

    /// Lets device-mapper send discard and write-zeroes bios to the target.
    pub(crate) fn take_discard_and_write_zeroes(&mut self) {
        // SAFETY: As above.
        unsafe {
            (*self.ti).num_discard_bios = 1;
            (*self.ti).num_write_zeroes_bios = 1;
        }
    }

    /// Sets the text that `dmsetup` shows when `construct` fails.
    pub(crate) fn set_error(&mut self, text: &'static CStr) {
        // SAFETY: As above; device-mapper only reads the text.
        unsafe { (*self.ti).error = text.as_char_ptr().cast_mut() };
    }
}

/// Identity of a table. Two targets of one table have the same.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Table(*mut bindings::dm_table);

// SAFETY: Only compared.
unsafe impl Send for Table {}
// SAFETY: As above.
unsafe impl Sync for Table {}

/// Device that a table has open (`struct dm_dev`).
///
/// # Invariants
///
/// `dm_get_device(ti)` has opened `dev`. `ti` outlives this object, which belongs to the target's own object:
/// device-mapper destroys that first.
pub(crate) struct Device {
    ti: *mut bindings::dm_target,
    dev: NonNull<bindings::dm_dev>,
}

// SAFETY: The device may be used and closed by any thread.
unsafe impl Send for Device {}
// SAFETY: All methods only read.
unsafe impl Sync for Device {}

impl Device {
    /// Returns the device for C.
    pub(super) fn as_ptr(&self) -> *mut bindings::dm_dev {
        self.dev.as_ptr()
    }

    /// Returns the name that device-mapper shows in tables, `major:minor`.
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
