// SPDX-License-Identifier: GPL-2.0

//! Sectors, blocks, and ranges of them.
//!
//! A *sector* is 512 bytes. A *block* is the unit of remapping, a power of two of sectors. Blocks
//! are counted from the start of the target: block `n` covers the target's sectors from
//! `n * block_size` on. A last block that the target's end cuts short is a block like any other.

use core::fmt;

use super::index::MAX_BLOCKS;

/// Largest number of sectors of a block (1 MiB).
pub const MAX_BLOCK_SECTORS: u32 = 2048;

/// Size of a block: a power of two of sectors, 1 to [`MAX_BLOCK_SECTORS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockSize {
    shift: u32,
}

impl BlockSize {
    /// Returns the block size of `sectors` sectors; `None` if `sectors` is not a power of two from 1 to
    /// [`MAX_BLOCK_SECTORS`].
    pub const fn from_sectors(sectors: u64) -> Option<Self> {
        if sectors.is_power_of_two() && sectors <= MAX_BLOCK_SECTORS as u64 {
            Some(Self {
                shift: sectors.trailing_zeros(),
            })
        } else {
            None
        }
    }

    /// Returns the base-two logarithm of the number of sectors.
    #[inline]
    pub const fn shift(self) -> u32 {
        self.shift
    }

    /// Returns the number of sectors in a block.
    #[inline]
    pub const fn sectors(self) -> u32 {
        1 << self.shift
    }

    /// Returns the number of bytes in a block.
    #[inline]
    pub const fn bytes(self) -> usize {
        512 << self.shift
    }

    /// Returns the block that contains `sector` of the target.
    #[inline]
    pub const fn block_of(self, sector: u64) -> u64 {
        // As `>>`, but without an overflow check: the shift is 11 at most.
        sector.wrapping_shr(self.shift)
    }

    /// Returns the first sector of `block`, saturating at 2^64 - 1.
    #[inline]
    pub const fn first_sector(self, block: u64) -> u64 {
        block.saturating_mul(1 << self.shift)
    }

    /// Returns the number of blocks in `sectors` sectors, including a last one that is cut short.
    pub const fn blocks_in(self, sectors: u64) -> u64 {
        let whole = self.block_of(sectors);
        if self.offset_of(sectors) == 0 {
            whole
        } else {
            whole.saturating_add(1)
        }
    }

    /// Returns the number of blocks in `sectors` sectors as above; `None` if there are more than
    /// [`MAX_BLOCKS`].
    pub fn named_blocks_in(self, sectors: u64) -> Option<u64> {
        Some(self.blocks_in(sectors)).filter(|blocks| *blocks <= MAX_BLOCKS)
    }

    /// Returns the last block of `sectors` sectors if it is cut short.
    pub const fn cut_block(self, sectors: u64) -> Option<u64> {
        match self.offset_of(sectors) {
            0 => None,
            _ => Some(self.block_of(sectors)),
        }
    }

    /// Returns the number of sectors in `blocks` blocks.
    #[inline]
    pub const fn sectors_of(self, blocks: u32) -> u64 {
        // As `<<`, but without an overflow check: the number has 32 bits, and the shift is 11 at most.
        (blocks as u64).wrapping_shl(self.shift)
    }

    /// Returns the offset of `sector` within its block, in sectors.
    #[inline]
    pub const fn offset_of(self, sector: u64) -> u32 {
        (sector & !u64::MAX.wrapping_shl(self.shift)) as u32
    }
}

impl fmt::Display for BlockSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.sectors())
    }
}

/// Range of sectors on a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SectorRange {
    start: u64,
    len: u64,
}

impl SectorRange {
    /// Returns the range of `len` sectors from `start` on; `None` if its end exceeds 64 bits.
    pub const fn new(start: u64, len: u64) -> Option<Self> {
        match start.checked_add(len) {
            Some(_) => Some(Self { start, len }),
            None => None,
        }
    }

    /// Returns the first sector.
    pub const fn start(&self) -> u64 {
        self.start
    }

    /// Returns the number of sectors.
    pub const fn len(&self) -> u64 {
        self.len
    }

    /// Returns whether the range has no sectors.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns the sector behind the last one.
    pub const fn end(&self) -> u64 {
        self.start.saturating_add(self.len)
    }

    /// Returns whether the range lies within a device of `sectors` sectors.
    pub const fn fits(&self, sectors: u64) -> bool {
        self.end() <= sectors
    }

    /// Returns whether both ranges have a sector in common.
    pub const fn overlaps(&self, other: &SectorRange) -> bool {
        self.len > 0 && other.len > 0 && self.start < other.end() && other.start < self.end()
    }

    /// Returns the range moved up by `offset` sectors; `None` if its end exceeds 64 bits.
    pub const fn shifted(&self, offset: u64) -> Option<Self> {
        match self.start.checked_add(offset) {
            Some(start) => Self::new(start, self.len),
            None => None,
        }
    }

    /// Returns the blocks that the range touches: the first one, and the one behind the last. An empty range
    /// touches none.
    pub const fn blocks(&self, size: BlockSize) -> (u64, u64) {
        if self.len == 0 {
            let block = size.block_of(self.start);
            return (block, block);
        }
        (
            size.block_of(self.start),
            size.block_of(self.end() - 1).saturating_add(1),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_powers_of_two_up_to_the_limit_are_block_sizes() {
        for sectors in 0..=5000_u64 {
            let wanted = sectors > 0 && sectors & (sectors - 1) == 0 && sectors <= 2048;
            assert_eq!(BlockSize::from_sectors(sectors).is_some(), wanted);
        }
        assert!(BlockSize::from_sectors(1 << 63).is_none());
    }

    #[test]
    fn a_block_has_512_bytes_a_sector() {
        for shift in 0..12 {
            let size = BlockSize::from_sectors(1 << shift).unwrap();
            assert_eq!(size.bytes(), 512 * size.sectors() as usize);
            assert_eq!(size.sectors_of(3), 3 << shift);
        }
    }

    #[test]
    fn more_blocks_than_have_names_are_none() {
        let size = BlockSize::from_sectors(8).unwrap();
        let most = 8 * MAX_BLOCKS;
        assert_eq!(size.named_blocks_in(1), Some(1));
        assert_eq!(size.named_blocks_in(most), Some(MAX_BLOCKS));
        assert_eq!(size.named_blocks_in(most + 1), None);
        assert_eq!(size.named_blocks_in(u64::MAX), None);
    }

    proptest! {
        #[test]
        fn a_sector_is_its_block_plus_its_offset(sector: u64, shift in 0..12_u32) {
            let size = BlockSize::from_sectors(1 << shift).unwrap();
            let block = size.block_of(sector);
            prop_assert_eq!(
                size.first_sector(block) + u64::from(size.offset_of(sector)),
                sector
            );
        }

        #[test]
        fn blocks_of_a_length_are_those_of_a_range(len: u64, shift in 0..12_u32) {
            let size = BlockSize::from_sectors(1 << shift).unwrap();
            let range = SectorRange::new(0, len).unwrap();
            prop_assert_eq!(size.blocks_in(len), range.blocks(size).1);
        }

        #[test]
        fn a_length_cuts_its_last_block_unless_it_is_whole(len in 0..10_000_u64, shift in 0..12_u32) {
            let size = BlockSize::from_sectors(1 << shift).unwrap();
            let last = size.blocks_in(len).saturating_sub(1);
            let whole = size.first_sector(size.blocks_in(len)) == len;
            prop_assert_eq!(size.cut_block(len), Some(last).filter(|_| !whole));
        }

        #[test]
        fn overlap_is_a_common_sector(a in 0..40_u64, b in 0..40_u64, m in 0..20_u64, n in 0..20_u64) {
            let common = (a..a + m).any(|sector| (b..b + n).contains(&sector));
            let first = SectorRange::new(a, m).unwrap();
            let second = SectorRange::new(b, n).unwrap();
            prop_assert_eq!(first.overlaps(&second), common);
            prop_assert_eq!(second.overlaps(&first), common);
        }

        #[test]
        fn blocks_are_those_that_hold_a_sector(start in 0..100_u64, len in 0..100_u64, shift in 0..5_u32) {
            let size = BlockSize::from_sectors(1 << shift).unwrap();
            let (first, end) = SectorRange::new(start, len).unwrap().blocks(size);
            for block in 0..250 {
                let touched = (start..start + len).any(|sector| size.block_of(sector) == block);
                prop_assert_eq!((first..end).contains(&block), touched);
            }
        }
    }
}
