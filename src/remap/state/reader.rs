// SPDX-License-Identifier: GPL-2.0

//! Means to read blocks without the mover.

use kernel::prelude::*;
use remap_core::table::lost::LostBlock;

use super::devices::Pieces;
use crate::linux::{
    block_device::BlockDevice,
    dm_io::{
        IoBuffer,
        IoClient, //
    }, //
};

/// Sectors that are read together where that suits nothing else: a suspect is to be read by one request or a few.
pub(in crate::remap) const SECTORS_TOGETHER: u32 = 128;

/// Client, buffer and pieces that blocks are read with while nobody holds the mover.
pub(in crate::remap) struct Reader {
    pub(in crate::remap) io: IoClient,
    pub(in crate::remap) buffer: IoBuffer,
    pub(in crate::remap) pieces: Pieces,
    /// State of a block that is salvaged.
    pub(in crate::remap) known: KBox<LostBlock>,
    /// Room for its next state.
    pub(in crate::remap) next: KBox<LostBlock>,
}

impl Reader {
    /// Makes one that reads so many sectors together. May sleep. `ENOMEM`.
    pub(in crate::remap) fn new(
        main: &BlockDevice,
        spare: &BlockDevice,
        sectors: u32,
    ) -> Result<Self> {
        Ok(Self {
            io: IoClient::new()?,
            buffer: IoBuffer::new(sectors as usize)?,
            pieces: Pieces::new(main, spare)?,
            known: KBox::new(LostBlock::WHOLE, GFP_KERNEL)?,
            next: KBox::new(LostBlock::WHOLE, GFP_KERNEL)?,
        })
    }
}
