// SPDX-License-Identifier: GPL-2.0

//! Mapped devices, apart from their tables.
//!
//! C header: [`include/linux/device-mapper.h`](srctree/include/linux/device-mapper.h).

use remap_core::interface::device_number::DeviceNumber;

use super::bindings;

/// Identity of a mapped device. Two tables of one device have the same.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct MappedDevice(pub(super) *mut bindings::mapped_device);

// SAFETY: Only compared, except by unsafe code whose callers promise that the device exists.
unsafe impl Send for MappedDevice {}
// SAFETY: As above.
unsafe impl Sync for MappedDevice {}

impl MappedDevice {
    /// Calls `with` with the name of the mapped device with that number. `None` if there is none. May
    /// sleep.
    pub(crate) fn name<R>(number: DeviceNumber, with: impl FnOnce(&[u8]) -> R) -> Option<R> {
        let mut name = [0_u8; bindings::DM_NAME_LEN as usize];
        let mut uuid = [0_u8; bindings::DM_UUID_LEN as usize];
        if !Self::names(number.major << 20 | number.minor, &mut name, &mut uuid) {
            return None;
        }
        let len = name.iter().position(|&byte| byte == 0)?;
        Some(with(name.get(..len)?))
    }

    /// Writes the UUID of the mapped device with the `dev_t` `number` to `uuid`, padded with zeros. Returns
    /// `false` if there is no such mapped device. May sleep.
    pub(super) fn uuid(number: u32, uuid: &mut [u8; bindings::DM_UUID_LEN as usize]) -> bool {
        Self::names(number, &mut [0_u8; bindings::DM_NAME_LEN as usize], uuid)
    }

    /// Writes name and UUID of the mapped device with the `dev_t` `number`. Returns `false` if there is none.
    /// May sleep.
    fn names(
        number: u32,
        name: &mut [u8; bindings::DM_NAME_LEN as usize],
        uuid: &mut [u8; bindings::DM_UUID_LEN as usize],
    ) -> bool {
        // SAFETY: Any number is valid.
        let md = unsafe { bindings::dm_get_md(number) };
        if md.is_null() {
            return false;
        }
        // SAFETY: `md` is referenced, and the buffers have the largest sizes of a name and a UUID.
        let error = unsafe {
            bindings::dm_copy_name_and_uuid(md, name.as_mut_ptr().cast(), uuid.as_mut_ptr().cast())
        };
        // SAFETY: dm_get_md() took this reference.
        unsafe { bindings::dm_put(md) };
        error == 0
    }
}
