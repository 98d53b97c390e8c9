// SPDX-License-Identifier: GPL-2.0

//! Loading what a spare area holds, which a table begins with.

use core::fmt;

use kernel::prelude::*;
use remap_core::{
    metadata::{
        entry::{
            Entry,
            UnitStates, //
        },
        layout::Layout,
        store::{
            self,
            numbers_of,
            LoadError,
            LoadOptions,
            Reader,
            Store,
            Version, //
        },
        superblock::{
            Format,
            Main,
            Mismatch,
            Superblock, //
        },
        LOST_UNIT, //
    },
    table::geometry::{
        BlockSize,
        SectorRange, //
    }, //
};

use super::{
    lost::{
        LostBlocks,
        NewLost, //
    },
    metadata::{
        Area,
        Memory,
        Metadata, //
    },
    moves::MAX_BATCH,
    remaps::{
        new_remaps,
        Node,
        Numbers,
        Remaps, //
    }, //
};
use crate::linux::{
    block_device::BlockDevice,
    checksum::crc32c,
    random::random_u64,
    zeroed::EmptyIsZero, //
};

/// Reason why a table cannot begin with what its spare area holds.
#[derive(Clone, Copy, Debug)]
pub(in crate::remap) enum AreaRefusal {
    /// The metadata cannot be loaded.
    Load(LoadError),
    /// The metadata is of another device or target.
    Mismatch(Mismatch),
    /// The metadata's blocks are smaller than a logical block of one of the devices.
    SmallBlocks,
    /// The target has more blocks than can be named.
    ManyBlocks,
    /// There is no room for metadata and one block.
    NoRoom,
    /// Fresh metadata is wanted, and the table is read-only.
    ReadOnly,
    /// Metadata with remaps, which a volatile table would write over.
    InUse,
    /// A slot has a block that reaches beyond the end of the target.
    Short { slot: u32 },
    /// A slot has the beginning of a block whose rest a read-only table cannot copy to it.
    Unfinished { slot: u32 },
    /// Something else, memory as a rule.
    Other(Error),
}

impl From<LoadError> for AreaRefusal {
    fn from(error: LoadError) -> Self {
        AreaRefusal::Load(error)
    }
}

impl From<Error> for AreaRefusal {
    fn from(error: Error) -> Self {
        AreaRefusal::Other(error)
    }
}

impl From<kernel::alloc::AllocError> for AreaRefusal {
    fn from(_: kernel::alloc::AllocError) -> Self {
        AreaRefusal::Other(ENOMEM)
    }
}

impl AreaRefusal {
    /// Returns the error for the thread that resumes the device.
    pub(in crate::remap) fn error(&self) -> Error {
        match self {
            AreaRefusal::Load(
                LoadError::Page { .. } | LoadError::Unreadable | LoadError::Unwritable,
            ) => EIO,
            AreaRefusal::ReadOnly | AreaRefusal::Unfinished { .. } => EROFS,
            AreaRefusal::Other(error) => *error,
            _ => EINVAL,
        }
    }
}

impl fmt::Display for AreaRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AreaRefusal::Load(error @ LoadError::NotBlank { .. }) => {
                write!(f, "{error}; format discards what is there")
            }
            AreaRefusal::Load(error) => error.fmt(f),
            AreaRefusal::Mismatch(mismatch) => mismatch.fmt(f),
            AreaRefusal::SmallBlocks => f.write_str(
                "metadata with blocks smaller than a logical block of one of the devices",
            ),
            AreaRefusal::ManyBlocks => {
                f.write_str("more blocks than the target can name; a larger block_size helps")
            }
            AreaRefusal::NoRoom => {
                f.write_str("the spare area is too small for metadata and one block")
            }
            AreaRefusal::ReadOnly => {
                f.write_str("the table is read-only, and cannot format the spare area")
            }
            AreaRefusal::InUse => f.write_str(
                "the spare area holds metadata of remapped blocks; format discards them",
            ),
            AreaRefusal::Short { slot } => {
                write!(f, "slot {slot} has a block beyond the end of the target")
            }
            AreaRefusal::Unfinished { slot } => write!(
                f,
                "the table is read-only, and cannot copy the rest of the last block to slot {slot}"
            ),
            AreaRefusal::Other(error) if *error == ENOMEM => f.write_str("not enough memory"),
            AreaRefusal::Other(_) => f.write_str("failed"),
        }
    }
}

/// Wishes of a table about the area that it begins with.
pub(in crate::remap) struct Wanted {
    /// Main device of the table.
    pub(in crate::remap) main: Main,
    /// Sectors of the target.
    pub(in crate::remap) length: u64,
    /// The block size that was asked for.
    pub(in crate::remap) block: Option<BlockSize>,
    /// The block size where there is no metadata and none was asked for.
    pub(in crate::remap) usual_block: BlockSize,
    /// Sectors of the largest logical block of the devices.
    pub(in crate::remap) logical: u32,
    /// The table is read-only: nothing may be written.
    pub(in crate::remap) read_only: bool,
    /// Fresh metadata is wanted, whatever there is.
    pub(in crate::remap) format: bool,
}

/// Contents of an area that a table begins with.
pub(in crate::remap) struct LoadedArea {
    pub(in crate::remap) remaps: Remaps,
    pub(in crate::remap) lost: LostBlocks,
    pub(in crate::remap) block: BlockSize,
    /// Number of slots.
    pub(in crate::remap) slots: u32,
    /// Start of the first slot, in sectors from the start of the area.
    pub(in crate::remap) first_slot: u64,
    /// Sectors of the area before it has become longer for this table.
    pub(in crate::remap) grown_from: Option<u64>,
    /// Nothing for a volatile table.
    pub(in crate::remap) metadata: Option<Metadata>,
}

/// The remaps of an area while they are being loaded.
struct Loading<'a> {
    wanted: &'a Wanted,
    remaps: Option<Remaps>,
    lost: LostBlocks,
    lost_unit: u32,
}

impl Reader for Loading<'_> {
    type Error = AreaRefusal;
    type Numbers = Numbers;

    fn begin(
        &mut self,
        superblock: &Superblock,
        layout: &Layout,
    ) -> Result<(u64, Numbers), AreaRefusal> {
        let wanted = self.wanted;
        superblock
            .check(&wanted.main, wanted.block)
            .map_err(AreaRefusal::Mismatch)?;
        if superblock.block.sectors() < wanted.logical {
            return Err(AreaRefusal::SmallBlocks);
        }
        let blocks = superblock.block.named_blocks_in(wanted.length);
        let blocks = blocks.ok_or(AreaRefusal::ManyBlocks)?;
        self.remaps = Some(new_remaps(layout.slots())?);
        self.lost_unit = superblock.lost_unit;
        Ok((blocks, Numbers::new(numbers_of(layout))?))
    }

    fn take(&mut self, slot: u32, entry: &Entry) -> Result<(), AreaRefusal> {
        match entry {
            Entry::Free => Ok(()),
            Entry::Bad => self.set_aside(slot),
            Entry::Block { block, states, .. } => self.record_states(*block, states),
        }
    }

    fn replace(&mut self, old: u32, _: u32, entry: &Entry) -> Result<(), AreaRefusal> {
        self.set_aside(old)?;
        let Entry::Block { block, states, .. } = entry else {
            return Err(AreaRefusal::Other(EINVAL));
        };
        drop(self.lost.replace(*block, None));
        self.record_states(*block, states)
    }

    fn end(&mut self, remaps: impl Iterator<Item = (u64, u32)>) -> Result<(), AreaRefusal> {
        // In the order of the blocks, so that what is next to each other in the tree is so in memory.
        for (block, slot) in remaps {
            let node = Node::new(GFP_KERNEL)?;
            if !self.remaps()?.restore(block, slot, node) {
                return Err(AreaRefusal::Other(EINVAL));
            }
        }
        Ok(())
    }

    fn numbers(count: usize) -> Result<Numbers, AreaRefusal> {
        Ok(Numbers::new(count)?)
    }

    fn push(numbers: &mut Numbers, number: u64) -> Result<(), AreaRefusal> {
        Ok(numbers.push(number)?)
    }
}

impl Loading<'_> {
    fn remaps(&mut self) -> Result<&mut Remaps, AreaRefusal> {
        Ok(self.remaps.as_mut().ok_or(EINVAL)?)
    }

    fn set_aside(&mut self, slot: u32) -> Result<(), AreaRefusal> {
        self.remaps()?.set_aside(slot);
        Ok(())
    }

    /// Records the unread and lost sectors of a block. Of a block that is there twice, the later record stays.
    fn record_states(&mut self, block: u64, states: &UnitStates) -> Result<(), AreaRefusal> {
        if !states.is_whole() {
            let mut new = NewLost::new(GFP_KERNEL)?;
            states.mark(&mut new.sectors, self.lost_unit);
            drop(self.lost.replace(block, Some(new)));
        }
        Ok(())
    }
}

/// Reader that looks for remaps in an area, without a table for them.
struct Any;

impl Reader for Any {
    type Error = AreaRefusal;
    type Numbers = Numbers;

    fn begin(&mut self, _: &Superblock, layout: &Layout) -> Result<(u64, Numbers), AreaRefusal> {
        Ok((u64::MAX, Numbers::new(numbers_of(layout))?))
    }

    fn take(&mut self, _: u32, entry: &Entry) -> Result<(), AreaRefusal> {
        match entry {
            Entry::Block { .. } => Err(AreaRefusal::InUse),
            Entry::Free | Entry::Bad => Ok(()),
        }
    }

    fn replace(&mut self, _: u32, _: u32, _: &Entry) -> Result<(), AreaRefusal> {
        Err(AreaRefusal::InUse)
    }

    fn numbers(count: usize) -> Result<Numbers, AreaRefusal> {
        Ok(Numbers::new(count)?)
    }

    fn push(numbers: &mut Numbers, number: u64) -> Result<(), AreaRefusal> {
        Ok(numbers.push(number)?)
    }
}

/// Takes metadata away for a volatile table on `range` of `spare`, unless it has remaps. Sleeps.
#[inline(never)]
pub(in crate::remap) fn clear_way(
    spare: &BlockDevice,
    range: SectorRange,
    format: bool,
) -> Result<(), AreaRefusal> {
    let mut memory = Memory::new()?;
    let sectors = range.len();
    if !format {
        let area = Area::new(spare, range)?;
        let mut scratch = memory.scratch();
        let look = LoadOptions {
            mend: false,
            grow: false,
        };
        match Store::load(area, sectors, crc32c, &mut scratch, look, &mut Any) {
            Ok(_) => {}
            Err(AreaRefusal::Load(
                LoadError::Blank
                | LoadError::Formatting
                | LoadError::NotBlank { .. }
                | LoadError::Foreign
                | LoadError::Unreadable,
            )) => return Ok(()),
            Err(refusal) => return Err(refusal),
        }
    }
    // What it says would be wrong from the first remap on.
    let mut area = Area::new(spare, range)?;
    let erased = store::erase(&mut area, sectors, crc32c, &mut *memory.head);
    Ok(erased.map_err(|_| LoadError::Unwritable)?)
}

/// Loads what `range` of `spare` holds, or fresh metadata where that is wanted or nothing is there. Sleeps.
#[inline(never)]
pub(in crate::remap) fn begin(
    spare: &BlockDevice,
    range: SectorRange,
    wanted: &Wanted,
) -> Result<LoadedArea, AreaRefusal> {
    let mut memory = Memory::new()?;
    if !wanted.format {
        match load(Area::new(spare, range)?, wanted, &mut memory) {
            Err(AreaRefusal::Load(LoadError::Blank)) => {
                let (_, layout) = fresh_layout(range, wanted)?;
                let mut area = Area::new(spare, range)?;
                store::check_places(&mut area, &layout, &mut *memory.head)?;
            }
            Err(AreaRefusal::Load(LoadError::Formatting)) => {}
            ended => return ended,
        }
    }
    if wanted.read_only {
        return begin_with_nothing(range, wanted);
    }
    format(Area::new(spare, range)?, wanted, &mut memory)?;
    load(Area::new(spare, range)?, wanted, &mut memory)
}

/// Returns block size and layout of fresh metadata.
fn fresh_layout(range: SectorRange, wanted: &Wanted) -> Result<(BlockSize, Layout), AreaRefusal> {
    let block = wanted.block.unwrap_or(wanted.usual_block);
    let layout = Layout::new(range.len(), block).ok_or(AreaRefusal::NoRoom)?;
    Ok((block, layout))
}

/// Returns an area without remaps: a read-only table over a blank area never has any.
#[inline(never)]
fn begin_with_nothing(range: SectorRange, wanted: &Wanted) -> Result<LoadedArea, AreaRefusal> {
    if wanted.format {
        return Err(AreaRefusal::ReadOnly);
    }
    let (block, layout) = fresh_layout(range, wanted)?;
    Ok(LoadedArea {
        remaps: new_remaps(layout.slots())?,
        lost: LostBlocks::new(0)?,
        block,
        slots: layout.slots(),
        first_slot: layout.first_slot(),
        grown_from: None,
        metadata: None,
    })
}

#[inline(never)]
fn load(area: Area, wanted: &Wanted, memory: &mut Memory) -> Result<LoadedArea, AreaRefusal> {
    let mut loading = Loading {
        wanted,
        remaps: None,
        lost: LostBlocks::new(MAX_BATCH)?,
        lost_unit: LOST_UNIT,
    };
    let sectors = area.range.len();
    let mut scratch = memory.scratch();
    let mend = !wanted.read_only;
    let options = LoadOptions { mend, grow: true };
    let loaded = Store::load(area, sectors, crc32c, &mut scratch, options, &mut loading)?;
    let (mut store, findings) = loaded;
    let remaps = loading.remaps.ok_or(EINVAL)?;
    check_cut_block(wanted, store.superblock(), &remaps)?;
    let before = store.superblock().sectors;
    // Nothing is refused for what the table wants from here on.
    let grown = store.grow(scratch.head);
    grown.map_err(|_| LoadError::Unwritable)?;
    let layout = *store.layout();
    let block = store.superblock().block;
    let grown_from = (layout.sectors() != before).then_some(before);
    let mut metadata = Metadata {
        store,
        pages: EmptyIsZero::boxed()?,
        counts: Version::Old,
        failed: false,
        found_bad: findings.bad > 0,
    };
    if mend {
        // What cannot be written now is before anything moves.
        metadata.failed = metadata.settle().is_err();
    }
    Ok(LoadedArea {
        remaps,
        lost: loading.lost,
        block,
        slots: layout.slots(),
        first_slot: layout.first_slot(),
        grown_from,
        metadata: Some(metadata),
    })
}

/// Refuses another length than the metadata's where it cuts a block that is on the spare.
///
/// A slot holds its block as far as the target reached. So a longer target has the rest copied to it
/// ([`Table::take_length`](crate::remap::table::Table::take_length)), and a shorter one would forget what
/// only the slot has: it must not write main beyond its end when the block goes home.
fn check_cut_block(
    wanted: &Wanted,
    superblock: &Superblock,
    remaps: &Remaps,
) -> Result<(), AreaRefusal> {
    let before = superblock.length;
    let cut = superblock.block.cut_block(before.min(wanted.length));
    match cut.and_then(|block| remaps.get(block)) {
        Some(slot) if wanted.length < before => Err(AreaRefusal::Short { slot }),
        Some(slot) if wanted.length > before && wanted.read_only => {
            Err(AreaRefusal::Unfinished { slot })
        }
        _ => Ok(()),
    }
}

#[inline(never)]
fn format(area: Area, wanted: &Wanted, memory: &mut Memory) -> Result<(), AreaRefusal> {
    let (block, layout) = fresh_layout(area.range, wanted)?;
    let mut uuid = [0; 16];
    let (first, second) = uuid.split_at_mut(8);
    first.copy_from_slice(&random_u64().to_le_bytes());
    second.copy_from_slice(&random_u64().to_le_bytes());
    let superblock = Superblock {
        format: Format::NEW,
        uuid,
        main: wanted.main,
        length: wanted.length,
        block,
        lost_unit: LOST_UNIT,
        sectors: area.range.len(),
        head_pages: None,
    };
    let numbers = Numbers::new(numbers_of(&layout))?;
    Store::format(area, &superblock, numbers, crc32c, &mut *memory.head)
        .map_err(|_| LoadError::Unwritable)?;
    Ok(())
}
