// SPDX-License-Identifier: GPL-2.0

//! Places of the sectors and blocks of a target.
//!
//! Sectors are counted in four ways:
//!
//! | counted | from |
//! |---|---|
//! | on the mapped device | its start, as in bios and for users |
//! | in the target | the target's start, as blocks are counted |
//! | on main | the start of the main device |
//! | on the spare | the start of the spare device |

use crate::table::geometry::{
    BlockSize,
    SectorRange, //
};

/// Places of a target's blocks on its two devices.
///
/// The table line is checked before, so that no sector of the target or of a slot overflows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Places {
    /// First sector of the target on the mapped device.
    pub begin: u64,
    /// First sector of the target on main.
    pub main_start: u64,
    /// First sector of the first slot on the spare.
    pub slots_start: u64,
    /// Size of the target in sectors.
    pub sectors: u64,
    /// Number of slots.
    pub slots: u32,
    /// Size of a block.
    pub block: BlockSize,
}

impl Places {
    /// Returns the number of blocks, including a last one that is cut short.
    pub const fn blocks(&self) -> u64 {
        self.block.blocks_in(self.sectors)
    }

    /// Returns the sector in the target of a sector on the mapped device.
    #[inline(always)]
    pub const fn in_target(&self, sector: u64) -> u64 {
        sector.wrapping_sub(self.begin)
    }

    /// Returns the sector on the mapped device of a sector in the target.
    pub const fn on_mapped_device(&self, sector: u64) -> u64 {
        self.begin.wrapping_add(sector)
    }

    /// Returns the first sector of `block` on the mapped device, which users see.
    pub const fn shown_sector(&self, block: u64) -> u64 {
        self.on_mapped_device(self.block.first_sector(block))
    }

    /// Returns the sector on main of a sector in the target.
    #[inline(always)]
    pub const fn on_main(&self, sector: u64) -> u64 {
        self.main_start.wrapping_add(sector)
    }

    /// Returns the first sector of `slot` on the spare.
    #[inline]
    pub const fn slot_sector(&self, slot: u32) -> u64 {
        self.slots_start.wrapping_add(self.block.sectors_of(slot))
    }

    /// Returns the range on main of `count` blocks from `first` on, cut short at the end of the target.
    /// `None` if the end of the range exceeds 64 bits.
    pub fn main_range(&self, first: u64, count: u64) -> Option<SectorRange> {
        let start = self.block.first_sector(first);
        let len = self
            .block
            .first_sector(count)
            .min(self.sectors.saturating_sub(start));
        SectorRange::new(self.main_start.saturating_add(start), len)
    }

    /// Returns the range of `len` sectors on the spare from sector `first` of `slot` on, which may reach into
    /// the slots behind it. `None` if the end of the range exceeds 64 bits.
    pub const fn slot_range(&self, slot: u32, first: u32, len: u64) -> Option<SectorRange> {
        let start = self.slot_sector(slot).saturating_add(first as u64);
        SectorRange::new(start, len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Target of 21 sectors in blocks of 8.
    fn example() -> Places {
        Places {
            begin: 1000,
            main_start: 64,
            slots_start: 500,
            sectors: 21,
            slots: 4,
            block: BlockSize::from_sectors(8).unwrap(),
        }
    }

    fn range(start: u64, len: u64) -> Option<SectorRange> {
        SectorRange::new(start, len)
    }

    #[test]
    fn a_block_has_a_place_on_each_device() {
        let places = example();
        assert_eq!(places.blocks(), 3);
        assert_eq!(places.in_target(1009), 9);
        assert_eq!(places.on_mapped_device(9), 1009);
        assert_eq!(places.shown_sector(2), 1016);
        assert_eq!(places.on_main(9), 73);
        assert_eq!(places.slot_sector(3), 524);
    }

    #[test]
    fn a_last_block_is_cut_short_on_main_and_whole_in_its_slot() {
        let places = example();
        assert_eq!(places.main_range(0, 1), range(64, 8));
        assert_eq!(places.main_range(2, 1), range(80, 5));
        assert_eq!(places.main_range(1, 8), range(72, 13));
        assert_eq!(places.main_range(9, 1), range(136, 0));
        assert_eq!(places.slot_range(2, 0, 8), range(516, 8));
        assert_eq!(places.slot_range(2, 3, 5), range(519, 5));
    }

    #[test]
    fn no_sector_is_beyond_the_last_number() {
        let places = Places {
            slots_start: u64::MAX - 8,
            main_start: u64::MAX - 8,
            ..example()
        };
        assert_eq!(places.main_range(1, 1), None);
        assert_eq!(places.slot_range(0, 1, 8), None);
    }

    proptest! {
        #[test]
        fn blocks_of_main_lie_behind_each_other(first in 0..5_u64, count in 0..5_u64) {
            let places = example();
            let together = places.main_range(first, count).unwrap();
            let alone: u64 = (first..first + count)
                .map(|block| places.main_range(block, 1).unwrap().len())
                .sum();
            prop_assert_eq!(together.len(), alone);
            prop_assert_eq!(together.start(), places.on_main(places.block.first_sector(first)));
        }
    }
}
