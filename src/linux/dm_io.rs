// SPDX-License-Identifier: GPL-2.0

//! Synchronous I/O of a target's own, by dm-io.
//!
//! C header: [`include/linux/dm-io.h`](srctree/include/linux/dm-io.h).

use core::ptr::NonNull;

use kernel::{
    alloc::flags::__GFP_NOWARN,
    error::{
        from_err_ptr,
        to_result, //
    },
    prelude::*, //
};
use remap_core::table::geometry::SectorRange;

use super::{
    bindings,
    block_device::BlockDevice, //
};

/// Memory for I/O, in sectors.
pub(crate) struct IoBuffer(VVec<u8>);

impl IoBuffer {
    /// Makes a zeroed buffer of `sectors` sectors. May sleep. `ENOMEM`.
    pub(crate) fn new(sectors: usize) -> Result<Self> {
        let bytes = sectors.checked_mul(512).ok_or(EINVAL)?;
        // The caller reports the failure; a backtrace by vmalloc would add nothing.
        Ok(Self(VVec::from_elem(0, bytes, GFP_KERNEL | __GFP_NOWARN)?))
    }

    /// Returns the size in sectors.
    pub(crate) fn sectors(&self) -> usize {
        self.0.len() >> 9
    }

    /// Copies `data` into the buffer from its sector `at` on. Does nothing if `data` does not fit.
    pub(crate) fn put(&mut self, at: usize, data: &[u8]) {
        let first = at.saturating_mul(512).min(self.0.len());
        let end = first.saturating_add(data.len());
        if let Some(room) = self.0.get_mut(first..end) {
            room.copy_from_slice(data);
        }
    }

    /// Fills `data` from the buffer's sector `at` on. Does nothing if the buffer has too few bytes.
    pub(crate) fn get(&self, at: usize, data: &mut [u8]) {
        let first = at.saturating_mul(512).min(self.0.len());
        let end = first.saturating_add(data.len());
        if let Some(part) = self.0.get(first..end) {
            data.copy_from_slice(part);
        }
    }

    /// Zeroes `sectors` sectors from `at` on, as far as the buffer goes.
    pub(crate) fn zero(&mut self, at: usize, sectors: usize) {
        let first = at.saturating_mul(512).min(self.0.len());
        let end = at
            .saturating_add(sectors)
            .saturating_mul(512)
            .min(self.0.len());
        if let Some(part) = self.0.get_mut(first..end) {
            part.fill(0);
        }
    }
}

/// Client of dm-io. It has mempools of its own, so that its I/O goes on under memory pressure.
///
/// # Invariants
///
/// The pointer is that of a client that this object owns.
pub(crate) struct IoClient(NonNull<bindings::dm_io_client>);

// SAFETY: A client may be used by any number of threads.
unsafe impl Send for IoClient {}
// SAFETY: As above.
unsafe impl Sync for IoClient {}

impl IoClient {
    /// Makes a client. May sleep.
    pub(crate) fn new() -> Result<Self> {
        // SAFETY: No requirements.
        let client = from_err_ptr(unsafe { bindings::dm_io_client_create() })?;
        // INVARIANT: Just created.
        Ok(Self(NonNull::new(client).ok_or(ENOMEM)?))
    }

    /// Reads `range` of `device` into the buffer, from its sector `at` on.
    ///
    /// Sleeps. `EIO` if any sector could not be read, `EINVAL` if the buffer is too small.
    pub(crate) fn read(
        &self,
        device: &BlockDevice,
        range: SectorRange,
        buffer: &mut IoBuffer,
        at: usize,
    ) -> Result {
        let priority = Priority::Usual;
        self.transfer(bindings::REQ_OP_READ, device, range, (buffer, at), priority)
    }

    /// Reads `range` of `device` into the buffer, from its start on, with idle I/O priority. An I/O scheduler
    /// that knows priorities serves other requests first.
    ///
    /// Sleeps. Errors as for [`IoClient::read`].
    pub(crate) fn read_idly(
        &self,
        device: &BlockDevice,
        range: SectorRange,
        buffer: &mut IoBuffer,
    ) -> Result {
        let priority = Priority::Idle;
        self.transfer(bindings::REQ_OP_READ, device, range, (buffer, 0), priority)
    }

    /// Writes `range` of `device` from the buffer's sector `at` on. Durable only after
    /// [`BlockDevice::flush`].
    ///
    /// Sleeps. `EIO` if any sector could not be written, `EINVAL` if the buffer is too small.
    pub(crate) fn write(
        &self,
        device: &BlockDevice,
        range: SectorRange,
        buffer: &mut IoBuffer,
        at: usize,
    ) -> Result {
        let priority = Priority::Usual;
        self.transfer(
            bindings::REQ_OP_WRITE,
            device,
            range,
            (buffer, at),
            priority,
        )
    }

    /// Writes `range` of `device` from the buffer's sector `at` on, with PREFLUSH and FUA: on return this
    /// write and all earlier completed writes to the device are durable.
    ///
    /// Sleeps. Errors as for [`IoClient::write`].
    pub(crate) fn write_durably(
        &self,
        device: &BlockDevice,
        range: SectorRange,
        buffer: &mut IoBuffer,
        at: usize,
    ) -> Result {
        let durable = bindings::REQ_PREFLUSH | bindings::REQ_FUA;
        let operation = bindings::REQ_OP_WRITE | durable;
        self.transfer(operation, device, range, (buffer, at), Priority::Usual)
    }

    fn transfer(
        &self,
        operation: u32,
        device: &BlockDevice,
        range: SectorRange,
        (buffer, at): (&mut IoBuffer, usize),
        priority: Priority,
    ) -> Result {
        let sectors = usize::try_from(range.len())?;
        let first = at.checked_mul(512).ok_or(EINVAL)?;
        let end = at
            .checked_add(sectors)
            .and_then(|end| end.checked_mul(512))
            .ok_or(EINVAL)?;
        let memory = buffer.0.get_mut(first..end).ok_or(EINVAL)?;
        let mut request = bindings::dm_io_request {
            bi_opf: operation | bindings::REQ_SYNC,
            mem: bindings::dm_io_memory {
                type_: bindings::dm_io_mem_type_DM_IO_VMA,
                offset: 0,
                ptr: bindings::dm_io_memory__bindgen_ty_1 {
                    vma: memory.as_mut_ptr().cast(),
                },
            },
            notify: bindings::dm_io_notify {
                fn_: None,
                context: core::ptr::null_mut(),
            },
            client: self.0.as_ptr(),
        };
        let mut region = bindings::dm_io_region {
            bdev: device.as_ptr(),
            sector: range.start(),
            count: range.len(),
        };
        // SAFETY: The memory is vmalloc'ed, has the region's size, and is borrowed until the call
        // returns: without a notification dm_io() waits for the I/O to complete.
        to_result(unsafe {
            bindings::dm_io(
                &mut request,
                1,
                &mut region,
                core::ptr::null_mut(),
                core::ptr::null_mut(),
                match priority {
                    Priority::Usual => 0,
                    Priority::Idle => bindings::IOPRIO_IDLE,
                },
            )
        })
    }
}

/// I/O priority of a request.
#[derive(Clone, Copy)]
enum Priority {
    Usual,
    Idle,
}

impl Drop for IoClient {
    fn drop(&mut self) {
        // SAFETY: By the type invariant, and no I/O is in flight: it would borrow the client.
        unsafe { bindings::dm_io_client_destroy(self.0.as_ptr()) };
    }
}
