// SPDX-License-Identifier: GPL-2.0

//! Block devices that are opened by number, as user space opens them.
//!
//! C header: [`include/linux/blkdev.h`](srctree/include/linux/blkdev.h).

use core::ptr::NonNull;

use kernel::{
    error::from_err_ptr,
    prelude::*,
    time::{
        delay::fsleep,
        Delta, //
    }, //
};
use remap_core::interface::device_number::DeviceNumber;

use super::{
    bindings,
    block_device::BlockDevice, //
};

/// Access to an open device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Reads, beside other users of the device.
    SharedRead,
    /// Reads and writes, with the device claimed as a mount or mkfs claims it. Fails with `EBUSY` if the
    /// device is claimed already. A kernel that was built or booted to refuse writers of mounted devices
    /// keeps other writers out as well; for other kernels see [`OpenDevice::become_only_user`].
    ExclusiveWrite,
}

/// Block device that is held open. A mapped device cannot be removed while it is open.
///
/// Dropping closes the device, and returns when it is closed, in a kernel thread as well. May sleep.
///
/// # Invariants
///
/// `file` is an open block device file that this object owns.
pub(crate) struct OpenDevice {
    file: NonNull<bindings::file>,
    /// Identity of the claim: the block layer compares addresses of holders.
    _holder: KBox<u32>,
}

// SAFETY: A file may be used and closed from any thread.
unsafe impl Send for OpenDevice {}
// SAFETY: As above; shared references only read what is constant.
unsafe impl Sync for OpenDevice {}

impl OpenDevice {
    /// Opens the device with that number. May sleep.
    pub(crate) fn open(number: DeviceNumber, access: Access) -> Result<Self> {
        let mut holder = KBox::new(0, GFP_KERNEL)?;
        let (mode, claim) = match access {
            Access::SharedRead => (bindings::BLK_OPEN_READ, core::ptr::null_mut()),
            Access::ExclusiveWrite => (
                bindings::BLK_OPEN_READ
                    | bindings::BLK_OPEN_WRITE
                    | bindings::BLK_OPEN_RESTRICT_WRITES,
                (&raw mut *holder).cast::<c_void>(),
            ),
        };
        // As MKDEV() in include/linux/kdev_t.h does.
        let number = (number.major << 20) | number.minor;
        // SAFETY: The holder lives as long as the file; there are no holder operations.
        let file = from_err_ptr(unsafe {
            bindings::bdev_file_open_by_dev(number, mode, claim, core::ptr::null())
        })?;
        let file = NonNull::new(file).ok_or(ENXIO)?;
        // INVARIANT: The file was just opened.
        Ok(Self {
            file,
            _holder: holder,
        })
    }

    /// Returns whether the device has no other opener. Any context.
    ///
    /// The kernel counts openers, whatever their access.
    #[inline]
    pub(crate) fn is_only_user(&self) -> bool {
        self.device().openers() <= 1
    }

    /// Waits until the device has no other opener and no dirty pages in the page cache, which could be
    /// written later. Returns `false` if it still has another opener after `patience`.
    ///
    /// Sleeps. `EINTR` if a signal is pending.
    pub(crate) fn become_only_user(&self, patience: Delta) -> Result<bool> {
        let step = Delta::from_millis(20);
        let mut left = patience.as_millis() / step.as_millis();
        self.device().write_out()?;
        while !self.is_only_user() {
            if left == 0 {
                return Ok(false);
            }
            if kernel::current!().signal_pending() {
                return Err(EINTR);
            }
            fsleep(step);
            left -= 1;
        }
        // The last close of a device writes its pages out, but this file is still open.
        self.device().write_out()?;
        Ok(self.is_only_user())
    }

    /// Returns the device.
    pub(crate) fn device(&self) -> &BlockDevice {
        // SAFETY: The device is valid as long as its file is open.
        unsafe { BlockDevice::from_raw(bindings::file_bdev(self.file.as_ptr())) }
    }
}

impl Drop for OpenDevice {
    fn drop(&mut self) {
        // SAFETY: By the type invariants the file is ours.
        unsafe { bindings::bdev_fput(self.file.as_ptr()) };
        // In a kernel thread, a work item closes the file later: wait for it.
        // SAFETY: No lock is held that closing a file takes.
        unsafe { bindings::flush_delayed_fput() };
    }
}
