// SPDX-License-Identifier: GPL-2.0

//! The two devices of a table.

use kernel::{
    prelude::*,
    sync::aref::ARef, //
};

use crate::linux::block_device::BlockDevice;

/// One of the two devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::remap) enum Place {
    /// The device with bad blocks.
    Main,
    /// The device with the spare area.
    Spare,
}

impl Place {
    /// Returns the spare or main.
    pub(in crate::remap) fn spare_if(spare: bool) -> Self {
        match spare {
            true => Place::Spare,
            false => Place::Main,
        }
    }

    /// Returns the name of the device in messages and lines of the log.
    pub(in crate::remap) const fn name(self) -> &'static str {
        match self {
            Place::Main => "main_dev",
            Place::Spare => "spare_dev",
        }
    }
}

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

    /// Returns the device at `place`.
    pub(in crate::remap) fn at(&self, place: Place) -> &BlockDevice {
        self.of(place == Place::Spare)
    }
}

/// A logical block of each device, for single reads and writes whose status matters.
pub(in crate::remap) struct Pieces {
    main: KVec<u8>,
    spare: KVec<u8>,
}

impl Pieces {
    /// Makes them. May sleep. `ENOMEM`.
    pub(in crate::remap) fn new(main: &BlockDevice, spare: &BlockDevice) -> Result<Self> {
        let piece = |device: &BlockDevice| {
            let sectors = device.logical_block_sectors().max(1) as usize;
            KVec::from_elem(0, sectors << 9, GFP_KERNEL)
        };
        Ok(Self {
            main: piece(main)?,
            spare: piece(spare)?,
        })
    }

    /// Returns the one for the device at `place`.
    pub(in crate::remap) fn at(&mut self, place: Place) -> &mut KVec<u8> {
        match place {
            Place::Main => &mut self.main,
            Place::Spare => &mut self.spare,
        }
    }

    /// Returns the sectors of the one for the device at `place`.
    pub(in crate::remap) fn sectors(&self, place: Place) -> u32 {
        let piece = match place {
            Place::Main => &self.main,
            Place::Spare => &self.spare,
        };
        (piece.len() >> 9) as u32
    }
}
