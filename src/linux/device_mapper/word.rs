// SPDX-License-Identifier: GPL-2.0

//! The word that goes along with every bio.
//!
//! The word is kept in `bi_private`, which belongs to the owner of `bi_end_io`: device-mapper for its clones.
//! Device-mapper does not use it, and unlike per-bio data it costs no call. The context of most bios has
//! room there: the epoch, the number of sectors, and the first sector on the mapped device. Such bios begin at
//! the start of their memory.

use crate::linux::{
    bindings,
    compat,
    gate::Exits, //
};

/// Iterator of a bio as it was when the bio was mapped: the block layer changes it while the bio is in
/// flight.
#[derive(Clone, Copy)]
pub(crate) struct Start(pub(super) bindings::bvec_iter);

impl Start {
    /// Returns the first sector, counted on the mapped device.
    pub(crate) fn sector(&self) -> u64 {
        self.0.bi_sector
    }

    /// Returns the number of sectors.
    pub(crate) fn sectors(&self) -> u32 {
        self.0.bi_size >> 9
    }
}

/// Bit: the context is in the per-bio data.
pub(super) const PER_BIO_DATA: usize = 1;
/// Bit: the mark.
pub(super) const MARKED: usize = 4;
/// Bits: the epoch.
const EPOCH: usize = Exits::EPOCH_BITS;
/// Position of the number of sectors.
const SECTORS_SHIFT: u32 = 3;
/// Position of the first sector.
const SECTOR_SHIFT: u32 = 26;

/// Largest number of sectors of a mapped device whose sectors fit into a word.
pub(super) const MAX_SECTORS: u64 = 1 << (u64::BITS - SECTOR_SHIFT);

const _: () = assert!(EPOCH & (PER_BIO_DATA | MARKED) == 0 && EPOCH >> SECTORS_SHIFT == 0);
// The size of a bio is 32 bits of bytes.
const _: () = assert!(32 - 9 + SECTORS_SHIFT <= SECTOR_SHIFT);

/// Returns whether the start of a bio fits into a word, on a mapped device of [`MAX_SECTORS`] or less.
#[inline(always)]
pub(super) fn has_room(iter: &bindings::bvec_iter) -> bool {
    // The fields are neighbours, so this is one comparison.
    [iter.bi_idx, compat::bvec_offset(iter)] == [0; 2]
}

/// Returns the word of a bio that [`has_room`].
#[inline(always)]
pub(super) fn pack(iter: &bindings::bvec_iter, epoch: usize) -> usize {
    // Bytes are a multiple of 512, so the bits below are clear.
    (iter.bi_sector as usize) << SECTOR_SHIFT | iter.bi_size as usize >> (9 - SECTORS_SHIFT) | epoch
}

/// Returns the epoch in a word.
#[inline(always)]
pub(super) fn epoch(word: usize) -> usize {
    word & EPOCH
}

/// Returns the start of the bio in a word without [`PER_BIO_DATA`].
pub(super) fn start(word: usize) -> Start {
    let sectors = word >> SECTORS_SHIFT & ((1 << (SECTOR_SHIFT - SECTORS_SHIFT)) - 1);
    Start(compat::bvec_iter(
        (word >> SECTOR_SHIFT) as u64,
        (sectors << 9) as u32,
    ))
}
