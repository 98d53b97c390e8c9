// SPDX-License-Identifier: GPL-2.0

//! Table lines.

use remap_core::{
    interface::{
        arguments::ErrorPolicy,
        device_number::DeviceNumber, //
    },
    table::{
        geometry::{
            BlockSize,
            SectorRange, //
        },
        settings::Settings, //
    }, //
};

/// Table line, checked against its devices.
pub(in crate::remap) struct TableLine {
    /// First sector of the target, as bios have it.
    pub(in crate::remap) begin: u64,
    pub(in crate::remap) sectors: u64,
    pub(in crate::remap) read_only: bool,
    /// Number of the mapped device.
    pub(in crate::remap) number: DeviceNumber,
    pub(in crate::remap) main_start: u64,
    /// Identity of the main device.
    pub(in crate::remap) main_identity: [u8; 16],
    pub(in crate::remap) spare_area: SectorRange,
    /// Block size that is asked for.
    pub(in crate::remap) block_size: Option<BlockSize>,
    /// Block size where none is asked for and no metadata says another.
    pub(in crate::remap) usual_block: BlockSize,
    /// Sectors of the largest logical block of the devices.
    pub(in crate::remap) logical: u32,
    pub(in crate::remap) volatile: bool,
    pub(in crate::remap) format: bool,
    pub(in crate::remap) error_policy: ErrorPolicy,
    pub(in crate::remap) settings: Settings,
}
