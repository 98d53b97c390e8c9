// SPDX-License-Identifier: GPL-2.0

//! Block devices.
//!
//! C headers: [`include/linux/blkdev.h`](srctree/include/linux/blkdev.h),
//! [`include/linux/blk_types.h`](srctree/include/linux/blk_types.h).

use core::ptr::NonNull;

use kernel::{
    error::to_result,
    prelude::*,
    str::CStr,
    sync::aref::AlwaysRefCounted,
    types::Opaque, //
};
use remap_core::table::geometry::SectorRange;

use super::{
    bindings,
    mapped_device::MappedDevice, //
};

/// Block device: a whole disk or a partition (`struct block_device`).
///
/// A reference keeps the structure and its request queue in memory. It does not keep the device open. I/O
/// to a device that is gone fails.
///
/// # Invariants
///
/// The embedded `struct device` has a reference for every [`ARef`](kernel::sync::aref::ARef).
#[repr(transparent)]
pub(crate) struct BlockDevice(Opaque<bindings::block_device>);

// SAFETY: A block device may be used and released from any thread.
unsafe impl Send for BlockDevice {}
// SAFETY: The methods read values that are constant while the device is open, or read them once.
unsafe impl Sync for BlockDevice {}

// SAFETY: `bd_device` is embedded in the block device, whose memory goes when its last reference
// does (`disk_release()` in block/genhd.c, `part_release()` in block/partitions/core.c).
unsafe impl AlwaysRefCounted for BlockDevice {
    fn inc_ref(&self) {
        // SAFETY: A shared reference means that the reference count is not zero.
        unsafe { bindings::get_device(&raw mut (*self.as_ptr()).bd_device) };
    }

    unsafe fn dec_ref(this: NonNull<Self>) {
        // SAFETY: The caller owns a reference.
        unsafe {
            bindings::put_device(
                &raw mut (*this.cast::<bindings::block_device>().as_ptr()).bd_device,
            )
        };
    }
}

impl BlockDevice {
    /// Borrows a block device of C.
    ///
    /// # Safety
    ///
    /// `ptr` points to a block device that has a reference as long as the result is used.
    pub(crate) unsafe fn from_raw<'a>(ptr: *mut bindings::block_device) -> &'a Self {
        // SAFETY: `BlockDevice` is a transparent wrapper, and the caller promises the rest.
        unsafe { &*ptr.cast::<Self>() }
    }

    /// Returns the device of C.
    #[inline]
    pub(crate) fn as_ptr(&self) -> *mut bindings::block_device {
        self.0.get()
    }

    /// Returns the size of the device in sectors.
    pub(crate) fn sectors(&self) -> u64 {
        // SAFETY: The device is valid.
        unsafe { bindings::bdev_nr_sectors(self.as_ptr()) }
    }

    /// Returns `range` counted on the whole disk instead of a partition; `None` beyond 2^64 sectors.
    pub(crate) fn on_disk(&self, range: SectorRange) -> Option<SectorRange> {
        // SAFETY: The device is valid.
        range.shifted(unsafe { bindings::bdev_start_sector(self.as_ptr()) })
    }

    /// Returns whether the device takes write-zeroes.
    pub(crate) fn takes_write_zeroes(&self) -> bool {
        // SAFETY: The device is open.
        unsafe { bindings::bdev_write_zeroes_sectors(self.as_ptr()) > 0 }
    }

    /// Returns whether both are the same disk or partitions of it.
    pub(crate) fn same_disk(&self, other: &BlockDevice) -> bool {
        // SAFETY: Both devices are valid, and their disks never change.
        unsafe { (*self.as_ptr()).bd_disk == (*other.as_ptr()).bd_disk }
    }

    /// Calls `with` with the identity of the device, which does not depend on where the device is connected:
    /// the UUID of a partition or a mapped device, or the unique identifier of a disk. The identity is empty
    /// for a device that has none. May sleep.
    pub(crate) fn with_identity<R>(&self, with: impl FnOnce(&[u8]) -> R) -> R {
        // SAFETY: The device is valid, and its name stays as long as it is.
        let partition = unsafe { bindings::bdev_partition_uuid(self.as_ptr()) };
        if let Some(uuid) = NonNull::new(partition.cast_mut()) {
            // SAFETY: The text is terminated.
            return with(unsafe { CStr::from_char_ptr(uuid.as_ptr()) }.to_bytes());
        }
        // SAFETY: The number of a device never changes.
        let number = unsafe { (*self.as_ptr()).bd_dev };
        let mut uuid = [0_u8; bindings::DM_UUID_LEN as usize];
        if MappedDevice::uuid(number, &mut uuid) {
            let len = uuid.iter().position(|&byte| byte == 0).unwrap_or(0);
            return with(uuid.get(..len).unwrap_or(&[]));
        }
        let mut id = [0_u8; 16];
        // SAFETY: There are 16 bytes to write.
        let len = unsafe { bindings::bdev_unique_id(self.as_ptr(), id.as_mut_ptr()) };
        with(id.get(..len as usize).unwrap_or(&[]))
    }

    /// Returns the smallest unit that can be read or written, in sectors.
    pub(crate) fn logical_block_sectors(&self) -> u32 {
        // SAFETY: The device is valid.
        (unsafe { bindings::bdev_logical_block_size(self.as_ptr()) }) >> 9
    }

    /// Returns the unit that the medium is written in, in sectors.
    pub(crate) fn physical_block_sectors(&self) -> u32 {
        // SAFETY: The device is valid.
        (unsafe { bindings::bdev_physical_block_size(self.as_ptr()) }) >> 9
    }

    /// Returns whether the device was removed, or has no sectors any more, while it was in use.
    pub(crate) fn is_gone(&self) -> bool {
        // SAFETY: The device is valid.
        unsafe { bindings::bdev_is_gone(self.as_ptr()) }
    }

    /// Returns whether the device is read-only. Any context.
    #[inline]
    pub(crate) fn is_read_only(&self) -> bool {
        // SAFETY: The device is valid.
        unsafe { bindings::bdev_is_read_only(self.as_ptr()) }
    }

    /// Returns how many times the disk is open, its partitions included. Any context.
    #[inline]
    pub(crate) fn openers(&self) -> u32 {
        // SAFETY: The device is valid.
        unsafe { bindings::bdev_openers(self.as_ptr()) }
    }

    /// Returns the number of sectors that completed bios have written or discarded since the device was made.
    /// Meaningless if `iostats` of the queue is off.
    pub(crate) fn changed_sectors(&self) -> u64 {
        // SAFETY: The device is valid.
        unsafe { bindings::bdev_changed_sectors(self.as_ptr()) }
    }

    /// Writes the dirty pages of the device's page cache out. Sleeps.
    pub(crate) fn write_out(&self) -> Result {
        // SAFETY: The device is valid.
        to_result(unsafe { bindings::sync_blockdev(self.as_ptr()) })
    }

    /// Returns whether the device is zoned.
    pub(crate) fn is_zoned(&self) -> bool {
        // SAFETY: The device is valid.
        unsafe { bindings::bdev_is_zoned(self.as_ptr()) }
    }

    /// Reads the sectors from `sector` on that `data` has room for, in one bio.
    ///
    /// Sleeps. The error is more exact than that of dm-io: `ENODATA` for the medium, `EILSEQ` for its
    /// protection, `EIO` if unspecified, others for transport, time-outs and resources
    /// (`blk_errors` in block/blk-core.c).
    pub(crate) fn read(&self, sector: u64, data: &mut KVec<u8>) -> Result {
        self.transfer(bindings::REQ_OP_READ, sector, data)
    }

    /// Writes `data` from `sector` on, in one bio.
    ///
    /// Sleeps. Errors as for [`BlockDevice::read`].
    pub(crate) fn write(&self, sector: u64, data: &mut KVec<u8>) -> Result {
        self.transfer(bindings::REQ_OP_WRITE | bindings::REQ_SYNC, sector, data)
    }

    fn transfer(&self, operation: u32, sector: u64, data: &mut KVec<u8>) -> Result {
        // SAFETY: The device is valid, and a `KVec` is in the kernel's direct mapping, as
        // bdev_rw_virt() wants it.
        to_result(unsafe {
            bindings::bdev_rw_virt(
                self.as_ptr(),
                sector,
                data.as_mut_ptr().cast(),
                data.len(),
                operation,
            )
        })
    }

    /// Makes all completed writes durable.
    ///
    /// Sleeps. Must not be called in a context that I/O of the device waits for.
    pub(crate) fn flush(&self) -> Result {
        // SAFETY: The device is valid.
        to_result(unsafe { bindings::blkdev_issue_flush(self.as_ptr()) })
    }
}
