// SPDX-License-Identifier: GPL-2.0

//! Entries of the table from slot to block.

use crate::table::{
    geometry::{
        BlockSize,
        MAX_BLOCK_SECTORS, //
    },
    index::MAX_BLOCKS,
    lost::LostSectors, //
};

use super::{
    page::PAYLOAD_BYTES,
    turn::Turn, //
};

/// Number of bytes of an entry's name, which says what the slot holds.
const NAME_BYTES: usize = 8;

/// Largest number of units in which the lost sectors of a block are recorded.
const MAX_UNITS: usize = MAX_BLOCK_SECTORS as usize;

/// Number of bytes of the largest entry.
pub const MAX_BYTES: usize = NAME_BYTES + MAX_UNITS / 8;

/// Shape of the entries of an area.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Number of units of a block in which lost sectors are recorded.
    units: u32,
}

impl Shape {
    /// Returns the shape for blocks of size `block` with lost sectors recorded in units of `lost_unit`
    /// sectors. `None` if a block is not a whole number of units.
    pub fn new(block: BlockSize, lost_unit: u32) -> Option<Self> {
        let units = block.sectors().checked_div(lost_unit)?;
        (units > 0 && block.sectors() % lost_unit == 0).then_some(Self { units })
    }

    /// Returns the number of units of a block.
    pub const fn units(&self) -> u32 {
        self.units
    }

    /// Returns the size of an entry in bytes.
    pub const fn bytes(&self) -> usize {
        NAME_BYTES + (self.units as usize).div_ceil(8)
    }

    /// Returns the number of entries in a page.
    pub const fn per_page(&self) -> u32 {
        (PAYLOAD_BYTES / self.bytes()) as u32
    }
}

/// Set of lost units of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LostUnits {
    bits: [u8; MAX_UNITS / 8],
}

/// Number of units that are checked together.
const GROUP: u32 = 64;

impl LostUnits {
    /// Empty set.
    pub const NONE: Self = Self {
        bits: [0; MAX_UNITS / 8],
    };

    /// Returns the units of `unit` sectors that have any lost sector.
    pub fn of(lost: &LostSectors, unit: u32) -> Self {
        let mut units = Self::NONE;
        let is_lost = |number: u32, count: u32| {
            let first = number.saturating_mul(unit);
            first < MAX_BLOCK_SECTORS && lost.any_in(first, count.saturating_mul(unit))
        };
        // Most blocks have few lost sectors.
        for group in (0..MAX_UNITS as u32).step_by(GROUP as usize) {
            if is_lost(group, GROUP) {
                let numbers = group..group.saturating_add(GROUP);
                numbers
                    .filter(|number| is_lost(*number, 1))
                    .for_each(|number| units.mark(number));
            }
        }
        units
    }

    /// Calls `visit` with the first sector and the length of each lost unit of `unit` sectors.
    pub fn each(&self, unit: u32, mut visit: impl FnMut(u32, u32)) {
        for number in (0..MAX_UNITS as u32).filter(|number| self.contains(*number)) {
            visit(number.saturating_mul(unit), unit);
        }
    }

    /// Marks a unit as lost. Does nothing for a unit that no block has.
    pub fn mark(&mut self, unit: u32) {
        if let Some(byte) = self.bits.get_mut(unit as usize / 8) {
            *byte |= 1 << (unit % 8);
        }
    }

    /// Returns whether a unit is lost.
    pub fn contains(&self, unit: u32) -> bool {
        let byte = self.bits.get(unit as usize / 8);
        byte.is_some_and(|byte| byte >> (unit % 8) & 1 == 1)
    }

    /// Returns whether no unit is lost.
    pub fn is_empty(&self) -> bool {
        // Called for every remap that is loaded: a comparison of words, not of bytes.
        *self == Self::NONE
    }
}

/// Entry of a slot.
// Entries are made and read one at a time.
#[allow(clippy::large_enum_variant)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// The slot is free.
    Free,
    /// The slot has failed and is never used again.
    Bad,
    /// The slot has a block.
    Block {
        /// Number of the block, counted from the start of the target.
        block: u64,
        /// Turn, which decides between two slots with the same block.
        turn: Turn,
        /// Lost units of the block.
        lost: LostUnits,
    },
}

/// Reason why some bytes are not a valid entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The number of the block is too large.
    Block,
    /// A slot without a block has a turn.
    Turn,
    /// Units are lost that the block does not have, or units of a slot without a block.
    Units,
    /// The page has no such entry.
    Range,
}

/// Name of a free slot.
const FREE: u64 = 0;
/// Name of a slot that has failed.
const BAD: u64 = u64::MAX;
/// Position of the turn in the name of a block.
const TURN_SHIFT: u32 = 62;
const _: () = assert!(MAX_BLOCKS < 1 << TURN_SHIFT);

/// Returns the name of a block: its number plus one, and its turn. `None` if the number is too large.
fn name_of(block: u64, turn: Turn) -> Option<u64> {
    let name = block.checked_add(1).filter(|name| *name <= MAX_BLOCKS)?;
    Some(u64::from(turn.number()) << TURN_SHIFT | name)
}

impl Entry {
    /// Writes the entry to a page, at the index `number`. `None` if the page has no such entry, or the number of
    /// the block is too large.
    pub fn write(
        &self,
        shape: &Shape,
        payload: &mut [u8; PAYLOAD_BYTES],
        number: usize,
    ) -> Option<()> {
        let bytes = slice_mut(payload, shape, number)?;
        let (name, units) = bytes.split_at_mut_checked(NAME_BYTES)?;
        let (value, lost) = match self {
            Entry::Free => (FREE, &LostUnits::NONE),
            Entry::Bad => (BAD, &LostUnits::NONE),
            Entry::Block { block, turn, lost } => (name_of(*block, *turn)?, lost),
        };
        name.copy_from_slice(&value.to_le_bytes());
        units.copy_from_slice(lost.bits.get(..units.len())?);
        Some(())
    }

    /// Reads the entry at the index `number` of a page. The target has `blocks` blocks.
    pub fn read(
        shape: &Shape,
        payload: &[u8; PAYLOAD_BYTES],
        number: usize,
        blocks: u64,
    ) -> Result<Self, Error> {
        let start = number.checked_mul(shape.bytes()).ok_or(Error::Range)?;
        let bytes = payload
            .get(start..)
            .and_then(|rest| rest.get(..shape.bytes()))
            .ok_or(Error::Range)?;
        let (name, units) = bytes
            .split_first_chunk::<NAME_BYTES>()
            .ok_or(Error::Range)?;
        let mut lost = LostUnits::NONE;
        for (to, from) in lost.bits.iter_mut().zip(units) {
            *to = *from;
        }
        let beyond = (shape.units..shape.units.next_multiple_of(8)).any(|unit| lost.contains(unit));
        let value = u64::from_le_bytes(*name);
        let turn = Turn::new((value >> TURN_SHIFT) as u8).ok_or(Error::Turn)?;
        let name = value & ((1 << TURN_SHIFT) - 1);
        // The name of a failed slot has all bits set, those of the turn included.
        match value {
            FREE | BAD if !lost.is_empty() => Err(Error::Units),
            FREE => Ok(Entry::Free),
            BAD => Ok(Entry::Bad),
            _ if beyond => Err(Error::Units),
            _ if name > blocks.min(MAX_BLOCKS) => Err(Error::Block),
            _ => match name.checked_sub(1) {
                Some(block) => Ok(Entry::Block { block, turn, lost }),
                None => Err(Error::Turn),
            },
        }
    }
}

/// Returns the bytes of the entry at the index `number`.
fn slice_mut<'a>(
    payload: &'a mut [u8; PAYLOAD_BYTES],
    shape: &Shape,
    number: usize,
) -> Option<&'a mut [u8]> {
    let start = number.checked_mul(shape.bytes())?;
    payload.get_mut(start..)?.get_mut(..shape.bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shape(block: u64, unit: u32) -> Shape {
        Shape::new(BlockSize::from_sectors(block).unwrap(), unit).unwrap()
    }

    #[test]
    fn shapes_have_room_for_every_unit() {
        assert_eq!(shape(8, 1).bytes(), 9);
        assert_eq!(shape(8, 8).bytes(), 9);
        assert_eq!(shape(2048, 1).bytes(), MAX_BYTES);
        assert_eq!(shape(8, 1).per_page(), 451);
        let block = BlockSize::from_sectors(8).unwrap();
        assert_eq!(Shape::new(block, 0), None);
        assert_eq!(Shape::new(block, 16), None);
        assert_eq!(Shape::new(block, 3), None);
    }

    #[test]
    fn what_no_target_has_is_no_entry() {
        let shape = shape(8, 1);
        let mut payload = [0; PAYLOAD_BYTES];
        assert_eq!(Entry::read(&shape, &payload, 0, 10), Ok(Entry::Free));
        payload[0] = 10;
        assert!(Entry::read(&shape, &payload, 0, 10).is_ok());
        payload[0] = 11;
        assert_eq!(Entry::read(&shape, &payload, 0, 10), Err(Error::Block));
        payload[0] = 0;
        payload[7] = 0x40;
        assert_eq!(Entry::read(&shape, &payload, 0, 10), Err(Error::Turn));
        payload[7] = 0;
        payload[8] = 1;
        assert_eq!(Entry::read(&shape, &payload, 0, 10), Err(Error::Units));
        assert_eq!(Entry::read(&shape, &payload, 451, 10), Err(Error::Range));
        assert_eq!(
            Entry::read(&shape, &payload, usize::MAX, 10),
            Err(Error::Range)
        );
        // Four units of two sectors: the other bits of the byte are unused.
        let coarse = super::tests::shape(8, 2);
        payload[0] = 1;
        payload[8] = 0x10;
        assert_eq!(Entry::read(&coarse, &payload, 0, 10), Err(Error::Units));
    }

    #[test]
    fn the_turn_is_in_the_two_highest_bits() {
        let shape = shape(8, 1);
        let lost = LostUnits::NONE;
        for (number, high) in [(0, 0), (1, 0x40), (2, 0x80), (3, 0xc0)] {
            let turn = Turn::new(number).unwrap();
            let mut payload = [0; PAYLOAD_BYTES];
            let entry = |block| Entry::Block { block, turn, lost };
            assert_eq!(entry(0x1ff).write(&shape, &mut payload, 0), Some(()));
            assert_eq!(payload[..9], [0, 2, 0, 0, 0, 0, 0, high, 0]);
            assert_eq!(Entry::read(&shape, &payload, 0, 0x200), Ok(entry(0x1ff)));
            // A block number that would reach into the turn.
            for block in [MAX_BLOCKS, u64::MAX - 1, u64::MAX] {
                assert_eq!(entry(block).write(&shape, &mut payload, 0), None);
            }
        }
        let mut payload = [0xff; PAYLOAD_BYTES];
        payload[8] = 0;
        let failed = Entry::read(&shape, &payload, 0, u64::MAX);
        assert_eq!(failed, Ok(Entry::Bad));
    }

    proptest! {
        #[test]
        fn lost_sectors_come_back_with_their_units(
            shift in 0..=11_u32,
            ranges in prop::collection::vec((0..2048_u32, 1..20_u32), 0..6),
        ) {
            let unit = 1 << shift;
            let mut lost = LostSectors::NONE;
            ranges.iter().for_each(|(first, len)| lost.mark(*first, *len));
            let mut back = LostSectors::NONE;
            LostUnits::of(&lost, unit).each(unit, |first, len| back.mark(first, len));
            for sector in 0..2048 {
                let first = sector / unit * unit;
                prop_assert_eq!(back.any_in(sector, 1), lost.any_in(first, unit));
            }
        }
    }

    fn entry(units: u32) -> impl Strategy<Value = Entry> {
        let block = (
            0..MAX_BLOCKS,
            0..4_u8,
            prop::collection::vec(0..units, 0..9),
        )
            .prop_map(|(block, turn, units)| {
                let mut lost = LostUnits::NONE;
                units.into_iter().for_each(|unit| lost.mark(unit));
                let turn = Turn::new(turn).unwrap();
                Entry::Block { block, turn, lost }
            });
        prop_oneof![Just(Entry::Free), Just(Entry::Bad), block]
    }

    proptest! {
        #[test]
        fn entries_are_read_as_they_were_written(
            (shift, entries) in (0..=11_u32).prop_flat_map(|shift| {
                (Just(shift), prop::collection::vec(entry(1 << shift), 1..=15))
            }),
        ) {
            let shape = shape(1 << shift, 1);
            let mut payload = [0; PAYLOAD_BYTES];
            for (number, entry) in entries.iter().enumerate() {
                prop_assert!(entry.write(&shape, &mut payload, number).is_some());
            }
            for (number, entry) in entries.iter().enumerate() {
                prop_assert_eq!(Entry::read(&shape, &payload, number, u64::MAX), Ok(*entry));
            }
        }

        #[test]
        fn any_bytes_are_an_entry_or_none(bytes in prop::collection::vec(any::<u8>(), 9), blocks: u64) {
            let mut payload = [0; PAYLOAD_BYTES];
            payload[..9].copy_from_slice(&bytes);
            if let Ok(Entry::Block { block, .. }) = Entry::read(&shape(8, 1), &payload, 0, blocks) {
                prop_assert!(block < blocks);
            }
        }
    }
}
