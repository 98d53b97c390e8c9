// SPDX-License-Identifier: GPL-2.0

//! Opening block devices, as any user of them does.
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

/// What an open device is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Reads, beside whoever else uses the device.
    SharedRead,
    /// Reads and writes, with the device claimed as a mount or mkfs claims it: `EBUSY` where
    /// somebody else has claimed it. Where the kernel was built or booted to refuse writers of
    /// mounted devices, other writers are kept out as well; elsewhere see
    /// [`OpenDevice::become_only_user`].
    ExclusiveWrite,
}

/// A block device that is held open. It cannot be removed before it is closed by dropping this.
///
/// Dropping may sleep, and in a kernel thread returns when the device is closed.
///
/// # Invariants
///
/// `file` is an open block device file that this object owns.
pub(crate) struct OpenDevice {
    file: NonNull<bindings::file>,
    /// Its address tells the block layer who has claimed the device.
    _holder: KBox<u32>,
}

// SAFETY: A file may be used and closed from any thread.
unsafe impl Send for OpenDevice {}
// SAFETY: As above; shared references only read what is constant.
unsafe impl Sync for OpenDevice {}

impl OpenDevice {
    /// Opens the device of that number. May sleep.
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
        // As MKDEV() of include/linux/kdev_t.h has it.
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

    /// Whether nobody else has the device open. Any context.
    ///
    /// The kernel counts who has it open, not what for.
    #[inline]
    pub(crate) fn is_only_user(&self) -> bool {
        self.device().openers() <= 1
    }

    /// Waits until nobody else has the device open, and nothing is left in the page cache that could
    /// be written later. `false` where somebody still has it open after `patience`.
    ///
    /// Sleeps. `EINTR` where a signal came.
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
        // The last one to close a device writes it out, but here that is not those who wrote.
        self.device().write_out()?;
        Ok(self.is_only_user())
    }

    /// The device.
    pub(crate) fn device(&self) -> &BlockDevice {
        // SAFETY: The device is there as long as its file is open.
        unsafe { BlockDevice::from_raw(bindings::file_bdev(self.file.as_ptr())) }
    }
}

impl Drop for OpenDevice {
    fn drop(&mut self) {
        // SAFETY: By the type invariants the file is ours.
        unsafe { bindings::bdev_fput(self.file.as_ptr()) };
        // A kernel thread's last references to files are put by a work item later on.
        // SAFETY: No lock is held that closing a file takes.
        unsafe { bindings::flush_delayed_fput() };
    }
}
