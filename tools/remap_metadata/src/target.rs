// SPDX-License-Identifier: GPL-2.0

//! Finds the blocks of a target that a list of bad blocks touches.

use std::ops::Range;

use remap_core::table::geometry::BlockSize;

use crate::{
    block_list::merge,
    failure::Failure,
    image::SECTOR,
    live_target::LiveTarget, //
};

/// Place and block size of a target on main, in sectors.
pub struct Target {
    main_start: u64,
    sectors: u64,
    block: BlockSize,
}

impl From<LiveTarget> for Target {
    fn from(live: LiveTarget) -> Self {
        Self {
            main_start: live.main_start,
            sectors: live.sectors,
            block: live.block,
        }
    }
}

impl Target {
    /// Checks the figures of a target that starts at sector `main_start` of main.
    pub fn new(main_start: u64, sectors: u64, block_size: u64) -> Result<Self, Failure> {
        let block = BlockSize::from_sectors(block_size).ok_or_else(|| {
            Failure::Undone(format!(
                "--block-size: {block_size} is no power of two from 1 to 2048"
            ))
        })?;
        if main_start.checked_add(sectors).is_none() {
            return Err(Failure::Undone(format!(
                "--main-start: no device has {sectors} sectors from sector {main_start} on"
            )));
        }
        Ok(Self {
            main_start,
            sectors,
            block,
        })
    }

    /// Returns the blocks of the target that ranges of bytes of main touch, as sectors of the target.
    /// Bytes outside of the target are an error, or left out with `clip`.
    pub fn touched(&self, bytes: &[Range<u64>], clip: bool) -> Result<Vec<Range<u64>>, Failure> {
        let main_end = self.main_start.saturating_add(self.sectors);
        let size = u64::from(self.block.sectors());
        let mut touched = Vec::new();
        for range in bytes {
            let (start, end) = (range.start / SECTOR, range.end.div_ceil(SECTOR));
            if !clip && (start < self.main_start || end > main_end) {
                return Err(Failure::Undone(format!(
                    "sectors {start} to {} of main are not all within the target, which has \
                     sectors {} to {} of it; --clip leaves out what is not",
                    end.saturating_sub(1),
                    self.main_start,
                    main_end.saturating_sub(1)
                )));
            }
            let (start, end) = (start.max(self.main_start), end.min(main_end));
            if start < end {
                let first = (start - self.main_start) / size * size;
                let end = (end - self.main_start).div_ceil(size).saturating_mul(size);
                touched.push(first..end.min(self.sectors));
            }
        }
        Ok(merge(touched))
    }
}
