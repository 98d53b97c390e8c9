// SPDX-License-Identifier: GPL-2.0

//! Entries of the table from slot to block.

use core::num::NonZeroU32;

use crate::table::{
    geometry::{
        BlockSize,
        MAX_BLOCK_SECTORS, //
    },
    index::MAX_BLOCKS,
    lost::LostBlock, //
};

use super::{
    page::PAYLOAD_BYTES,
    turn::Turn, //
};

/// Number of bytes of an entry's name, which says what the slot holds.
const NAME_BYTES: usize = 8;

/// Largest number of units in which the states of a block are recorded.
const MAX_UNITS: usize = MAX_BLOCK_SECTORS as usize;

/// Number of bytes of the largest bitmap.
const MAX_BITMAP_BYTES: usize = MAX_UNITS / 8;

/// Number of bytes of the largest entry.
pub const MAX_BYTES: usize = NAME_BYTES + 2 * MAX_BITMAP_BYTES;

/// Bitmaps of an area's entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bitmaps {
    /// One, of the lost units: the area is of version 1.
    Lost,
    /// One, of the unread or of the lost units, as the name says: the area was of version 1.
    One,
    /// Two, of the unread units and of the lost ones.
    Two,
}

impl Bitmaps {
    /// Returns the number of bitmaps in an entry.
    pub const fn count(self) -> usize {
        match self {
            Bitmaps::Lost | Bitmaps::One => 1,
            Bitmaps::Two => 2,
        }
    }
}

/// Shape of the entries of an area.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Number of units of a block in which states of sectors are recorded.
    units: u32,
    bitmaps: Bitmaps,
}

impl Shape {
    /// Returns the shape for blocks of size `block` with states recorded in units of `lost_unit` sectors. `None` if
    /// a block is not a whole number of units.
    pub fn new(block: BlockSize, lost_unit: u32, bitmaps: Bitmaps) -> Option<Self> {
        let units = block.sectors().checked_div(lost_unit)?;
        let is_whole = units > 0 && block.sectors() % lost_unit == 0;
        is_whole.then_some(Self { units, bitmaps })
    }

    /// Returns the number of units of a block.
    pub const fn units(&self) -> u32 {
        self.units
    }

    /// Returns the bitmaps of an entry.
    pub const fn bitmaps(&self) -> Bitmaps {
        self.bitmaps
    }

    /// Returns the size of a bitmap in bytes.
    const fn bitmap_bytes(&self) -> usize {
        (self.units as usize).div_ceil(8)
    }

    /// Returns the size of an entry in bytes.
    pub const fn bytes(&self) -> usize {
        NAME_BYTES + self.bitmaps.count() * self.bitmap_bytes()
    }

    /// Returns the number of entries in a page.
    pub const fn per_page(&self) -> NonZeroU32 {
        match NonZeroU32::new((PAYLOAD_BYTES / self.bytes()) as u32) {
            Some(number) => number,
            None => NonZeroU32::MIN,
        }
    }

    /// Returns whether an entry can record these states. One bitmap is of unread or of lost units.
    pub fn can_record(&self, states: &UnitStates) -> bool {
        match self.bitmaps {
            Bitmaps::Lost => states.unread.is_empty(),
            Bitmaps::One => states.unread.is_empty() || states.lost.is_empty(),
            Bitmaps::Two => true,
        }
    }

    /// Returns the flags that the name of a block may have.
    const fn flags(&self) -> u64 {
        match self.bitmaps {
            Bitmaps::Lost => 0,
            Bitmaps::One => UNREAD | UNTRIED,
            Bitmaps::Two => UNTRIED,
        }
    }
}

/// Set of units of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Units {
    bits: [u8; MAX_BITMAP_BYTES],
}

impl Units {
    /// Empty set.
    pub const NONE: Self = Self {
        bits: [0; MAX_BITMAP_BYTES],
    };

    /// Adds a unit. Does nothing for a unit that no block has.
    pub fn insert(&mut self, unit: u32) {
        if let Some(byte) = self.bits.get_mut(unit as usize / 8) {
            *byte |= 1 << (unit % 8);
        }
    }

    /// Returns whether the set has a unit.
    pub fn contains(&self, unit: u32) -> bool {
        let byte = self.bits.get(unit as usize / 8);
        byte.is_some_and(|byte| byte >> (unit % 8) & 1 == 1)
    }

    /// Returns whether the set is empty.
    pub fn is_empty(&self) -> bool {
        *self == Self::NONE
    }

    /// Returns the units in the set, in order.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        (0..MAX_UNITS as u32).filter(|unit| self.contains(*unit))
    }

    /// Sets the units from the bytes of a bitmap.
    fn set(&mut self, bitmap: &[u8]) {
        for (to, from) in self.bits.iter_mut().zip(bitmap) {
            *to = *from;
        }
    }
}

/// Number of units that are checked together.
const GROUP: u32 = 64;

/// States of the units of a block on the spare: the contents of a unit are in the slot, unread or lost.
///
/// # Invariants
///
/// No unit is both unread and lost. Only a block with unread units is untried. `whole` says that no unit is either.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnitStates {
    unread: Units,
    lost: Units,
    untried: bool,
    /// Asked of every block that is loaded, so it is not looked for in the sets.
    whole: bool,
}

impl UnitStates {
    /// States of a block whose contents are all in the slot.
    pub const WHOLE: Self = Self {
        unread: Units::NONE,
        lost: Units::NONE,
        untried: false,
        whole: true,
    };

    /// Makes the states of a block with these unread and these lost units. A unit in both sets is lost. `untried`
    /// says that main was not asked for the unread units since the block moved.
    pub fn new(mut unread: Units, lost: Units, untried: bool) -> Self {
        for (unread, lost) in unread.bits.iter_mut().zip(&lost.bits) {
            *unread &= !lost;
        }
        Self {
            untried: untried && !unread.is_empty(),
            whole: unread.is_empty() && lost.is_empty(),
            unread,
            lost,
        }
    }

    /// Returns the states of a block in units of `unit` sectors. A unit with a lost sector is lost, and so is a
    /// unit of which some sectors are unread and others are not: main does not have all of it.
    pub fn of(block: &LostBlock, unit: u32) -> Self {
        let (mut unread, mut lost) = (Units::NONE, Units::NONE);
        let missing = |number: u32, count: u32| {
            let first = number.saturating_mul(unit);
            let missing = block.missing_in(first, count.saturating_mul(unit));
            (first < MAX_BLOCK_SECTORS && missing.any()).then_some((first, missing))
        };
        // Most blocks have few such sectors.
        for group in (0..MAX_UNITS as u32).step_by(GROUP as usize) {
            if missing(group, GROUP).is_none() {
                continue;
            }
            for number in group..group.saturating_add(GROUP) {
                match missing(number, 1) {
                    None => {}
                    Some((first, missing))
                        if !missing.lost && block.unread().all_in(first, unit) =>
                    {
                        unread.insert(number);
                    }
                    Some(_) => lost.insert(number),
                }
            }
        }
        Self::new(unread, lost, block.is_untried())
    }

    /// Returns the unread units.
    pub const fn unread(&self) -> &Units {
        &self.unread
    }

    /// Returns the lost units.
    pub const fn lost(&self) -> &Units {
        &self.lost
    }

    /// Returns whether there are unread units that main was not asked for since the block moved.
    pub const fn is_untried(&self) -> bool {
        self.untried
    }

    /// Returns whether the contents of all units are in the slot.
    pub const fn is_whole(&self) -> bool {
        self.whole
    }

    /// Marks the sectors of a block, in units of `unit` sectors, and whether its unread ones are untried.
    pub fn mark(&self, block: &mut LostBlock, unit: u32) {
        let first = |number: u32| number.saturating_mul(unit);
        for number in self.unread.iter() {
            block.mark_unread(first(number), unit);
        }
        for number in self.lost.iter() {
            block.mark_lost(first(number), unit);
        }
        block.set_untried(self.untried);
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
        /// States of the block's units.
        states: UnitStates,
    },
}

/// Reason why some bytes are not a valid entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The number of the block is too large.
    Block,
    /// A slot without a block has a turn or a flag.
    Turn,
    /// A flag says something about unread units, and there is none.
    Flag,
    /// Units are unread or lost that the block does not have, or units of a slot without a block; or a unit is
    /// both.
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
/// Flag in the name of a block: the only bitmap is of unread units.
const UNREAD: u64 = 1 << 61;
/// Flag in the name of a block: main was not asked for the unread units since the block moved.
const UNTRIED: u64 = 1 << 60;
const _: () = assert!(MAX_BLOCKS < UNTRIED);

/// Returns the name of a block: its number plus one, its turn and its flags. `None` if the number is too large.
fn name_of(block: u64, turn: Turn, flags: u64) -> Option<u64> {
    let name = block.checked_add(1).filter(|name| *name <= MAX_BLOCKS)?;
    Some(u64::from(turn.number()) << TURN_SHIFT | flags | name)
}

impl Entry {
    /// Writes the entry to a page, at the index `number`. `None` if the page has no such entry, the number of
    /// the block is too large, or the shape cannot record the block's states ([`Shape::can_record`]).
    pub fn write(
        &self,
        shape: &Shape,
        payload: &mut [u8; PAYLOAD_BYTES],
        number: usize,
    ) -> Option<()> {
        let name = match self {
            Entry::Free => FREE,
            Entry::Bad => BAD,
            Entry::Block {
                block,
                turn,
                states,
            } => return states.write(shape, payload, number, (*block, *turn)),
        };
        let (to, bitmaps) =
            slice_mut(payload, shape, number)?.split_first_chunk_mut::<NAME_BYTES>()?;
        *to = name.to_le_bytes();
        bitmaps.fill(0);
        Some(())
    }

    /// Reads the entry at the index `number` of a page. The target has `blocks` blocks.
    pub fn read(
        shape: &Shape,
        payload: &[u8; PAYLOAD_BYTES],
        number: usize,
        blocks: u64,
    ) -> Result<Self, Error> {
        let mut entry = Entry::Free;
        entry.read_again(shape, payload, number, blocks)?;
        Ok(entry)
    }

    /// Becomes the entry at the index `number` of a page, as [`Entry::read`] returns it. After an error it is any
    /// entry.
    ///
    /// Faster than [`Entry::read`] for many entries: nearly all blocks have all their contents, and an entry is large.
    pub fn read_again(
        &mut self,
        shape: &Shape,
        payload: &[u8; PAYLOAD_BYTES],
        number: usize,
        blocks: u64,
    ) -> Result<(), Error> {
        let start = number.checked_mul(shape.bytes()).ok_or(Error::Range)?;
        let bytes = payload
            .get(start..)
            .and_then(|rest| rest.get(..shape.bytes()))
            .ok_or(Error::Range)?;
        let (name, bitmaps) = bytes
            .split_first_chunk::<NAME_BYTES>()
            .ok_or(Error::Range)?;
        let value = u64::from_le_bytes(*name);
        // The name of a failed slot has all bits set, those of the turn and the flags included.
        let is_whole = bitmaps.iter().all(|byte| *byte == 0);
        if value == FREE || value == BAD {
            *self = match value {
                FREE => Entry::Free,
                _ => Entry::Bad,
            };
            return is_whole.then_some(()).ok_or(Error::Units);
        }
        let turn = Turn::new((value >> TURN_SHIFT) as u8).ok_or(Error::Turn)?;
        let flags = value & shape.flags();
        let name = value & ((1 << TURN_SHIFT) - 1) & !flags;
        if name > blocks.min(MAX_BLOCKS) {
            return Err(Error::Block);
        }
        let block = name.checked_sub(1).ok_or(Error::Turn)?;
        match self {
            Entry::Block {
                block: known,
                turn: known_turn,
                states,
            } if is_whole && flags == 0 && states.is_whole() => {
                *known = block;
                *known_turn = turn;
            }
            _ => {
                *self = Entry::Block {
                    block,
                    turn,
                    states: UnitStates::read(shape, bitmaps, flags)?,
                }
            }
        }
        Ok(())
    }
}

impl UnitStates {
    /// Writes the entry of a block with these states to a page, at the index `number`. `None` as for
    /// [`Entry::write`].
    pub(super) fn write(
        &self,
        shape: &Shape,
        payload: &mut [u8; PAYLOAD_BYTES],
        number: usize,
        (block, turn): (u64, Turn),
    ) -> Option<()> {
        if !shape.can_record(self) {
            return None;
        }
        let untried = if self.untried { UNTRIED } else { 0 };
        let (flags, first) = match shape.bitmaps {
            Bitmaps::Two => (untried, &self.unread),
            _ if self.unread.is_empty() => (untried, &self.lost),
            _ => (untried | UNREAD, &self.unread),
        };
        let name = name_of(block, turn, flags)?;
        let (to, bitmaps) =
            slice_mut(payload, shape, number)?.split_first_chunk_mut::<NAME_BYTES>()?;
        *to = name.to_le_bytes();
        let bitmaps = bitmaps.chunks_exact_mut(shape.bitmap_bytes());
        for (bitmap, units) in bitmaps.zip([first, &self.lost]) {
            bitmap.copy_from_slice(units.bits.get(..bitmap.len())?);
        }
        Some(())
    }

    /// Reads the bitmaps of a block whose name has these flags.
    fn read(shape: &Shape, bitmaps: &[u8], flags: u64) -> Result<Self, Error> {
        let mut states = Self::WHOLE;
        let (first, second) = bitmaps
            .split_at_checked(shape.bitmap_bytes())
            .ok_or(Error::Range)?;
        match shape.bitmaps {
            Bitmaps::Two => {
                states.unread.set(first);
                states.lost.set(second);
            }
            _ if flags & UNREAD != 0 => states.unread.set(first),
            _ => states.lost.set(first),
        }
        let mut bits = states.unread.bits.iter().zip(&states.lost.bits);
        let beyond = (shape.units..shape.units.next_multiple_of(8))
            .any(|unit| states.unread.contains(unit) || states.lost.contains(unit));
        if beyond || bits.any(|(unread, lost)| unread & lost != 0) {
            return Err(Error::Units);
        }
        if flags != 0 && states.unread.is_empty() {
            return Err(Error::Flag);
        }
        Ok(Self::new(states.unread, states.lost, flags & UNTRIED != 0))
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
    use std::vec::Vec;

    const ALL: [Bitmaps; 3] = [Bitmaps::Lost, Bitmaps::One, Bitmaps::Two];

    fn shape(block: u64, unit: u32, bitmaps: Bitmaps) -> Shape {
        Shape::new(BlockSize::from_sectors(block).unwrap(), unit, bitmaps).unwrap()
    }

    fn units(units: &[u32]) -> Units {
        let mut set = Units::NONE;
        units.iter().for_each(|unit| set.insert(*unit));
        set
    }

    fn block(block: u64, states: UnitStates) -> Entry {
        Entry::Block {
            block,
            turn: Turn::FIRST,
            states,
        }
    }

    #[test]
    fn shapes_have_room_for_every_unit() {
        for bitmaps in [Bitmaps::Lost, Bitmaps::One] {
            assert_eq!(shape(8, 1, bitmaps).bytes(), 9);
            assert_eq!(shape(8, 8, bitmaps).bytes(), 9);
            assert_eq!(shape(8, 1, bitmaps).per_page().get(), 451);
        }
        assert_eq!(shape(8, 1, Bitmaps::Two).bytes(), 10);
        assert_eq!(shape(8, 1, Bitmaps::Two).per_page().get(), 406);
        assert_eq!(shape(2048, 1, Bitmaps::Two).bytes(), MAX_BYTES);
        let block = BlockSize::from_sectors(8).unwrap();
        for unit in [0, 3, 16] {
            assert_eq!(Shape::new(block, unit, Bitmaps::Two), None);
        }
    }

    #[test]
    fn what_no_target_has_is_no_entry() {
        for bitmaps in ALL {
            let shape = shape(8, 1, bitmaps);
            let mut payload = [0; PAYLOAD_BYTES];
            let read = |payload: &[u8; PAYLOAD_BYTES]| Entry::read(&shape, payload, 0, 10);
            assert_eq!(read(&payload), Ok(Entry::Free));
            payload[0] = 10;
            assert!(read(&payload).is_ok());
            payload[0] = 11;
            assert_eq!(read(&payload), Err(Error::Block));
            payload[0] = 0;
            payload[7] = 0x40;
            assert_eq!(read(&payload), Err(Error::Turn));
            payload[7] = 0;
            for bitmap in 8..shape.bytes() {
                payload[bitmap] = 1;
                assert_eq!(read(&payload), Err(Error::Units));
                payload[bitmap] = 0;
            }
            for number in [shape.per_page().get() as usize, usize::MAX] {
                assert_eq!(Entry::read(&shape, &payload, number, 10), Err(Error::Range));
            }
            // Four units of two sectors: the other bits of the byte are unused.
            let coarse = super::tests::shape(8, 2, bitmaps);
            for bitmap in 8..shape.bytes() {
                payload[0] = 1;
                payload[bitmap] = 0x10;
                assert_eq!(Entry::read(&coarse, &payload, 0, 10), Err(Error::Units));
                payload[bitmap] = 0;
            }
        }
    }

    #[test]
    fn flags_are_about_unread_units() {
        // Flag in the highest byte of the name, bitmaps, and the entry.
        let untried = |unread: &[u32]| Ok(UnitStates::new(units(unread), Units::NONE, true));
        let unread = |unread: &[u32]| Ok(UnitStates::new(units(unread), Units::NONE, false));
        let lost = |lost: &[u32]| Ok(UnitStates::new(Units::NONE, units(lost), false));
        let both = UnitStates::new(units(&[0]), units(&[1]), true);
        for (bitmaps, high, [first, second], wanted) in [
            (Bitmaps::Lost, 0, [2, 0], lost(&[1])),
            (Bitmaps::Lost, 0x20, [2, 0], Err(Error::Block)),
            (Bitmaps::Lost, 0x10, [2, 0], Err(Error::Block)),
            (Bitmaps::One, 0, [2, 0], lost(&[1])),
            (Bitmaps::One, 0x20, [2, 0], unread(&[1])),
            (Bitmaps::One, 0x30, [2, 0], untried(&[1])),
            (Bitmaps::One, 0x20, [0, 0], Err(Error::Flag)),
            (Bitmaps::One, 0x10, [2, 0], Err(Error::Flag)),
            (Bitmaps::One, 0x10, [0, 0], Err(Error::Flag)),
            (Bitmaps::One, 0x08, [0, 0], Err(Error::Block)),
            (Bitmaps::Two, 0, [1, 0], unread(&[0])),
            (Bitmaps::Two, 0, [0, 2], lost(&[1])),
            (Bitmaps::Two, 0x10, [1, 0], untried(&[0])),
            (Bitmaps::Two, 0x10, [1, 2], Ok(both)),
            (Bitmaps::Two, 0x10, [0, 2], Err(Error::Flag)),
            (Bitmaps::Two, 0, [3, 2], Err(Error::Units)),
            (Bitmaps::Two, 0x20, [1, 0], Err(Error::Block)),
        ] {
            let shape = shape(8, 1, bitmaps);
            let mut payload = [0; PAYLOAD_BYTES];
            payload[..10].copy_from_slice(&[7, 0, 0, 0, 0, 0, 0, high, first, second]);
            let found = Entry::read(&shape, &payload, 0, 10);
            let wanted = wanted.map(|states| block(6, states));
            assert_eq!(found, wanted, "{bitmaps:?} {high} {first} {second}");
            if let Ok(entry) = wanted {
                let mut written = [0; PAYLOAD_BYTES];
                assert_eq!(entry.write(&shape, &mut written, 0), Some(()));
                assert!(written == payload);
            }
        }
    }

    #[test]
    fn one_bitmap_is_of_unread_or_of_lost_units() {
        let (some, others) = (units(&[2]), units(&[0, 5]));
        for (states, expressed) in [
            (UnitStates::WHOLE, [true, true, true]),
            (
                UnitStates::new(Units::NONE, some, false),
                [true, true, true],
            ),
            (
                UnitStates::new(some, Units::NONE, true),
                [false, true, true],
            ),
            (UnitStates::new(some, others, false), [false, false, true]),
            // Of a unit in both sets, the loss counts.
            (UnitStates::new(some, some, true), [true, true, true]),
        ] {
            for (bitmaps, expressed) in ALL.into_iter().zip(expressed) {
                let shape = shape(8, 1, bitmaps);
                assert_eq!(shape.can_record(&states), expressed);
                let mut payload = [0; PAYLOAD_BYTES];
                let written = block(3, states).write(&shape, &mut payload, 0);
                assert_eq!(written.is_some(), expressed);
                assert!(expressed || payload == [0; PAYLOAD_BYTES]);
            }
        }
    }

    #[test]
    fn the_turn_is_in_the_two_highest_bits() {
        let shape = shape(8, 1, Bitmaps::Two);
        let states = UnitStates::WHOLE;
        for (number, high) in [(0, 0), (1, 0x40), (2, 0x80), (3, 0xc0)] {
            let turn = Turn::new(number).unwrap();
            let mut payload = [0; PAYLOAD_BYTES];
            let entry = |block| Entry::Block {
                block,
                turn,
                states,
            };
            assert_eq!(entry(0x1ff).write(&shape, &mut payload, 0), Some(()));
            assert_eq!(payload[..10], [0, 2, 0, 0, 0, 0, 0, high, 0, 0]);
            assert_eq!(Entry::read(&shape, &payload, 0, 0x200), Ok(entry(0x1ff)));
            // A block number that would reach into the flags.
            for block in [MAX_BLOCKS, u64::MAX - 1, u64::MAX] {
                assert_eq!(entry(block).write(&shape, &mut payload, 0), None);
            }
        }
        let mut payload = [0xff; PAYLOAD_BYTES];
        payload[8..10].fill(0);
        let failed = Entry::read(&shape, &payload, 0, u64::MAX);
        assert_eq!(failed, Ok(Entry::Bad));
    }

    /// Ranges of a block, each of which becomes unread (`false`) or lost.
    fn ranges() -> impl Strategy<Value = Vec<(bool, u32, u32)>> {
        prop::collection::vec((any::<bool>(), 0..2048_u32, 1..20_u32), 0..6)
    }

    proptest! {
        #[test]
        fn sectors_come_back_with_their_units(shift in 0..=11_u32, ranges in ranges(), untried: bool) {
            let unit = 1 << shift;
            let mut block = LostBlock::WHOLE;
            for (lost, first, len) in ranges {
                if lost {
                    block.mark_lost(first, len);
                } else {
                    block.mark_unread(first, len);
                }
            }
            block.set_untried(untried);
            let states = UnitStates::of(&block, unit);
            let mut back = LostBlock::WHOLE;
            states.mark(&mut back, unit);
            prop_assert_eq!(states.is_whole(), block.is_whole());
            prop_assert_eq!(back.is_untried(), untried && !states.unread().is_empty());
            for sector in 0..2048 {
                let first = sector / unit * unit;
                let missing = block.missing_in(first, unit);
                let unread = block.unread().all_in(first, unit);
                let found = back.missing_in(sector, 1);
                prop_assert_eq!(found.unread, unread);
                prop_assert_eq!(found.lost, missing.any() && !unread);
            }
        }
    }

    /// Entries that a shape with these bitmaps can record.
    fn entry(units: u32, bitmaps: Bitmaps) -> impl Strategy<Value = Entry> {
        let some = move || prop::collection::vec(0..units, 0..9);
        let block = (
            0..MAX_BLOCKS,
            0..4_u8,
            some(),
            some(),
            any::<(bool, bool)>(),
        )
            .prop_map(move |(block, turn, unread, lost, (untried, either))| {
                let [mut unread, mut lost] =
                    [unread, lost].map(|units| super::tests::units(&units));
                match bitmaps {
                    Bitmaps::Lost => unread = Units::NONE,
                    Bitmaps::One if either => unread = Units::NONE,
                    Bitmaps::One => lost = Units::NONE,
                    Bitmaps::Two => {}
                }
                Entry::Block {
                    block,
                    turn: Turn::new(turn).unwrap(),
                    states: UnitStates::new(unread, lost, untried),
                }
            });
        prop_oneof![Just(Entry::Free), Just(Entry::Bad), block]
    }

    fn bitmaps() -> impl Strategy<Value = Bitmaps> {
        prop::sample::select(ALL.to_vec())
    }

    proptest! {
        #[test]
        fn entries_are_read_as_they_were_written(
            (shift, bitmaps, entries) in (0..=11_u32, bitmaps()).prop_flat_map(|(shift, bitmaps)| {
                let entries = prop::collection::vec(entry(1 << shift, bitmaps), 1..=7);
                (Just(shift), Just(bitmaps), entries)
            }),
        ) {
            let shape = shape(1 << shift, 1, bitmaps);
            let mut payload = [0; PAYLOAD_BYTES];
            for (number, entry) in entries.iter().enumerate() {
                prop_assert!(entry.write(&shape, &mut payload, number).is_some());
            }
            for (number, entry) in entries.iter().enumerate() {
                prop_assert_eq!(Entry::read(&shape, &payload, number, u64::MAX), Ok(*entry));
            }
        }

        #[test]
        fn any_bytes_are_an_entry_or_none(
            bytes in prop::collection::vec(any::<u8>(), 10),
            bitmaps in bitmaps(),
            blocks: u64,
        ) {
            let shape = shape(8, 1, bitmaps);
            let mut payload = [0; PAYLOAD_BYTES];
            payload[..shape.bytes()].copy_from_slice(&bytes[..shape.bytes()]);
            let Ok(entry) = Entry::read(&shape, &payload, 0, blocks) else {
                return Ok(());
            };
            if let Entry::Block { block, .. } = entry {
                prop_assert!(block < blocks);
            }
            // There is one way to write an entry.
            let mut written = [0; PAYLOAD_BYTES];
            prop_assert_eq!(entry.write(&shape, &mut written, 0), Some(()));
            prop_assert!(written == payload);
        }
    }
}
