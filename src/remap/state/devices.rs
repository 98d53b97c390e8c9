// SPDX-License-Identifier: GPL-2.0

//! The two devices of a table.

use kernel::sync::aref::ARef;

use crate::linux::block_device::BlockDevice;

/// Devices of a table. They are open as long as the target is there, which the table may outlive.
pub(in crate::remap) struct Devices {
    /// The device with bad blocks.
    pub(in crate::remap) main: ARef<BlockDevice>,
    /// The device with the spare area.
    pub(in crate::remap) spare: ARef<BlockDevice>,
}

impl Devices {
    /// Returns the spare device or the main one.
    pub(in crate::remap) fn of(&self, spare: bool) -> &BlockDevice {
        if spare {
            &self.spare
        } else {
            &self.main
        }
    }
}
