// SPDX-License-Identifier: GPL-2.0

//! What a table keeps on its spare area so that remaps survive it.
//!
//! Format and rules are `remap_core::metadata`'s; this is the area as dm-io sees it, and how a
//! table begins with what is there.

use core::fmt;

use kernel::{
    prelude::*,
    sync::aref::ARef, //
};
use remap_core::{
    geometry::{
        BlockSize,
        SectorRange, //
    },
    health::MetadataState,
    index::MAX_BLOCKS,
    metadata::{
        entry::{
            Entry,
            LostUnits, //
        },
        layout::Layout,
        page::Page,
        store::{
            self,
            Change,
            CommitError,
            Findings,
            LoadError,
            Reader,
            Scratch,
            Storage,
            Store,
            Version, //
        },
        superblock::{
            Main,
            Mismatch,
            Superblock, //
        },
        LOST_UNIT,
        PAGE_BYTES,
        PAGE_SECTORS, //
    }, //
};

use super::{
    live::blocks,
    lost::{
        LostBlocks,
        NewLost, //
    },
    relocation::MAX_BATCH,
    remaps::{
        Node,
        Numbers,
        Remaps,
        Table, //
    }, //
};
use crate::linux::{
    block_device::BlockDevice,
    checksum::crc32c,
    dm_io::{
        IoBuffer,
        IoClient, //
    },
    random::random_u64,
    zeroed::EmptyIsZero, //
};

/// Pages in a request.
const PAGES: usize = 16;

/// A spare area on its device.
struct Area {
    io: IoClient,
    device: ARef<BlockDevice>,
    range: SectorRange,
    buffer: IoBuffer,
}

impl Area {
    /// The area that `range` of `device` is. May sleep.
    fn new(device: &BlockDevice, range: SectorRange) -> Result<Self> {
        Ok(Self {
            io: IoClient::new()?,
            device: device.into(),
            range,
            buffer: IoBuffer::new(PAGES * PAGE_SECTORS as usize)?,
        })
    }

    /// The part of the device that `count` pages from request `number` behind `sector` on have.
    fn part(&self, sector: u64, number: usize, count: usize) -> Result<SectorRange> {
        let pages = number.checked_mul(PAGES).ok_or(EINVAL)? as u64;
        let start = pages
            .checked_mul(PAGE_SECTORS)
            .and_then(|sectors| sectors.checked_add(sector))
            .ok_or(EINVAL)?;
        let sectors = (count as u64).checked_mul(PAGE_SECTORS).ok_or(EINVAL)?;
        SectorRange::new(start, sectors)
            .filter(|part| part.fits(self.range.len()))
            .and_then(|part| part.shifted(self.range.start()))
            .ok_or(EINVAL)
    }
}

impl Storage for Area {
    type Error = Error;

    fn read(&mut self, sector: u64, pages: &mut [Page]) -> Result {
        for (number, pages) in pages.chunks_mut(PAGES).enumerate() {
            let part = self.part(sector, number, pages.len())?;
            self.io.read(&self.device, part, &mut self.buffer, 0)?;
            self.buffer.get(0, Page::bytes_mut(pages));
        }
        Ok(())
    }

    fn write(&mut self, sector: u64, pages: &[Page]) -> Result {
        for (number, pages) in pages.chunks(PAGES).enumerate() {
            let part = self.part(sector, number, pages.len())?;
            self.buffer.put(0, Page::bytes(pages));
            self.io
                .write_durably(&self.device, part, &mut self.buffer, 0)?;
        }
        Ok(())
    }
}

/// Why a table cannot begin with what its spare area holds.
#[derive(Clone, Copy, Debug)]
pub(super) enum Refusal {
    /// It cannot be loaded.
    Load(LoadError),
    /// It is of something else.
    Mismatch(Mismatch),
    /// Its blocks are smaller than a logical block of one of the devices.
    SmallBlocks,
    /// The target has more blocks than can be named.
    ManyBlocks,
    /// There is no room for metadata and one block.
    NoRoom,
    /// Fresh metadata is wanted, and the table is read-only.
    ReadOnly,
    /// Metadata with remaps, which a volatile table would write over.
    InUse,
    /// It could not be written.
    Unwritable,
    /// Something else, memory as a rule.
    Other(Error),
}

impl From<LoadError> for Refusal {
    fn from(error: LoadError) -> Self {
        Refusal::Load(error)
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Refusal::Other(error)
    }
}

impl From<kernel::alloc::AllocError> for Refusal {
    fn from(_: kernel::alloc::AllocError) -> Self {
        Refusal::Other(ENOMEM)
    }
}

impl Refusal {
    /// The error for whoever resumes the device.
    pub(super) fn error(&self) -> Error {
        match self {
            Refusal::Load(LoadError::Page { .. } | LoadError::Unreadable) | Refusal::Unwritable => {
                EIO
            }
            Refusal::ReadOnly => EROFS,
            Refusal::Other(error) => *error,
            _ => EINVAL,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Load(error @ LoadError::NotBlank { .. }) => {
                write!(f, "{error}; format discards what is there")
            }
            Refusal::Load(error) => error.fmt(f),
            Refusal::Mismatch(mismatch) => mismatch.fmt(f),
            Refusal::SmallBlocks => f.write_str(
                "metadata with blocks smaller than a logical block of one of the devices",
            ),
            Refusal::ManyBlocks => {
                f.write_str("more blocks than the target can name; a larger block_size helps")
            }
            Refusal::NoRoom => {
                f.write_str("the spare area is too small for metadata and one block")
            }
            Refusal::ReadOnly => {
                f.write_str("the table is read-only, and cannot format the spare area")
            }
            Refusal::InUse => f.write_str(
                "the spare area holds metadata of remapped blocks; format discards them",
            ),
            Refusal::Unwritable => f.write_str("the metadata cannot be written"),
            Refusal::Other(error) if *error == ENOMEM => f.write_str("not enough memory"),
            Refusal::Other(_) => f.write_str("failed"),
        }
    }
}

/// What a table wants of the area that it begins with.
pub(super) struct Wanted {
    /// Its main device.
    pub(super) main: Main,
    /// Sectors of the target.
    pub(super) length: u64,
    /// The block size that was asked for.
    pub(super) block: Option<BlockSize>,
    /// The block size where there is no metadata and none was asked for.
    pub(super) usual_block: BlockSize,
    /// Sectors of the largest logical block of the devices.
    pub(super) logical: u32,
    /// Whether nothing may be written.
    pub(super) read_only: bool,
    /// Whether fresh metadata is wanted whatever there is.
    pub(super) format: bool,
}

/// What a table begins with.
pub(super) struct Begun {
    pub(super) remaps: Remaps,
    pub(super) lost: LostBlocks,
    pub(super) block: BlockSize,
    /// Number of slots.
    pub(super) slots: u32,
    /// Where the first of them starts, in sectors from the start of the area.
    pub(super) first_slot: u64,
    /// Nothing for a volatile table.
    pub(super) metadata: Option<Metadata>,
}

/// Memory for looking at an area.
struct Memory {
    head: KVBox<[Page; PAGES]>,
    tail: KVBox<[Page; PAGES]>,
}

impl Memory {
    fn new() -> Result<Self> {
        Ok(Self {
            head: EmptyIsZero::boxed()?,
            tail: EmptyIsZero::boxed()?,
        })
    }

    fn scratch(&mut self) -> Scratch<'_> {
        Scratch {
            head: &mut *self.head,
            tail: &mut *self.tail,
        }
    }
}

/// The remaps of an area while they are being loaded.
struct Loading<'a> {
    wanted: &'a Wanted,
    remaps: Option<Remaps>,
    lost: LostBlocks,
    lost_unit: u32,
}

impl Reader for Loading<'_> {
    type Error = Refusal;
    type Numbers = Numbers;

    fn begin(
        &mut self,
        superblock: &Superblock,
        layout: &Layout,
    ) -> Result<(u64, Numbers), Refusal> {
        let wanted = self.wanted;
        superblock
            .check(&wanted.main, wanted.block)
            .map_err(Refusal::Mismatch)?;
        if superblock.block.sectors() < wanted.logical {
            return Err(Refusal::SmallBlocks);
        }
        let blocks = blocks(wanted.length, superblock.block);
        if blocks > MAX_BLOCKS {
            return Err(Refusal::ManyBlocks);
        }
        self.remaps = Some(Remaps::new(layout.slots())?);
        self.lost_unit = superblock.lost_unit;
        Ok((blocks, Numbers::new(layout.pages() as usize)?))
    }

    fn take(&mut self, slot: u32, entry: &Entry) -> Result<(), Refusal> {
        match entry {
            Entry::Free => Ok(()),
            Entry::Bad => self.set_aside(slot),
            Entry::Block { block, lost, .. } => self.note_lost(*block, lost),
        }
    }

    fn replace(&mut self, old: u32, _: u32, entry: &Entry) -> Result<(), Refusal> {
        self.set_aside(old)?;
        let Entry::Block { block, lost, .. } = entry else {
            return Err(Refusal::Other(EINVAL));
        };
        drop(self.lost.replace(*block, None));
        self.note_lost(*block, lost)
    }

    fn end(&mut self, remaps: impl Iterator<Item = (u64, u32)>) -> Result<(), Refusal> {
        // In the order of the blocks, so that what is next to each other in the tree is so in memory.
        for (block, slot) in remaps {
            let node = Node::new(GFP_KERNEL)?;
            if !self.table()?.restore(block, slot, node) {
                return Err(Refusal::Other(EINVAL));
            }
        }
        Ok(())
    }

    fn numbers(count: usize) -> Result<Numbers, Refusal> {
        Ok(Numbers::new(count)?)
    }

    fn push(numbers: &mut Numbers, number: u64) -> Result<(), Refusal> {
        Ok(numbers.push(number)?)
    }
}

impl Loading<'_> {
    fn table(&mut self) -> Result<&mut Table, Refusal> {
        let remaps = self.remaps.as_mut().ok_or(EINVAL)?;
        Ok(&mut remaps.table)
    }

    fn set_aside(&mut self, slot: u32) -> Result<(), Refusal> {
        self.table()?.set_aside(slot);
        Ok(())
    }

    /// Of a block that is there twice, what was noted last stays.
    fn note_lost(&mut self, block: u64, lost: &LostUnits) -> Result<(), Refusal> {
        if !lost.is_empty() {
            let mut new = NewLost::new(GFP_KERNEL)?;
            lost.each(self.lost_unit, |first, len| new.sectors.mark(first, len));
            drop(self.lost.replace(block, Some(new)));
        }
        Ok(())
    }
}

/// Whether there are remaps in an area, without a table for them.
struct Any;

impl Reader for Any {
    type Error = Refusal;
    type Numbers = Numbers;

    fn begin(&mut self, _: &Superblock, layout: &Layout) -> Result<(u64, Numbers), Refusal> {
        Ok((u64::MAX, Numbers::new(layout.pages() as usize)?))
    }

    fn take(&mut self, _: u32, entry: &Entry) -> Result<(), Refusal> {
        match entry {
            Entry::Block { .. } => Err(Refusal::InUse),
            Entry::Free | Entry::Bad => Ok(()),
        }
    }

    fn replace(&mut self, _: u32, _: u32, _: &Entry) -> Result<(), Refusal> {
        Err(Refusal::InUse)
    }

    fn numbers(count: usize) -> Result<Numbers, Refusal> {
        Ok(Numbers::new(count)?)
    }

    fn push(numbers: &mut Numbers, number: u64) -> Result<(), Refusal> {
        Ok(numbers.push(number)?)
    }
}

/// Makes sure that a volatile table on `range` of `spare` writes over nobody's remaps. Sleeps.
#[inline(never)]
pub(super) fn clear_way(
    spare: &BlockDevice,
    range: SectorRange,
    format: bool,
) -> Result<(), Refusal> {
    let mut memory = Memory::new()?;
    let sectors = range.len();
    if !format {
        let area = Area::new(spare, range)?;
        let mut scratch = memory.scratch();
        match Store::load(area, sectors, crc32c, &mut scratch, false, &mut Any) {
            Ok(_) => {}
            Err(Refusal::Load(
                LoadError::Blank
                | LoadError::NotBlank { .. }
                | LoadError::Foreign
                | LoadError::Unreadable,
            )) => return Ok(()),
            Err(refusal) => return Err(refusal),
        }
    }
    // What it says would be wrong from the first remap on.
    let mut area = Area::new(spare, range)?;
    store::erase(&mut area, sectors, crc32c, &mut *memory.head).map_err(|_| Refusal::Unwritable)
}

/// Begins with what `range` of `spare` holds, or with fresh metadata where that is wanted or
/// nothing is there. Sleeps.
#[inline(never)]
pub(super) fn begin(
    spare: &BlockDevice,
    range: SectorRange,
    wanted: &Wanted,
) -> Result<Begun, Refusal> {
    let mut memory = Memory::new()?;
    if !wanted.format {
        match load(Area::new(spare, range)?, wanted, &mut memory) {
            Err(Refusal::Load(LoadError::Blank)) => {}
            ended => return ended,
        }
    }
    if wanted.read_only {
        return begin_with_nothing(range, wanted);
    }
    format(Area::new(spare, range)?, wanted, &mut memory)?;
    load(Area::new(spare, range)?, wanted, &mut memory)
}

/// A read-only table over a blank area has no remaps, and never will have.
#[inline(never)]
fn begin_with_nothing(range: SectorRange, wanted: &Wanted) -> Result<Begun, Refusal> {
    if wanted.format {
        return Err(Refusal::ReadOnly);
    }
    let block = wanted.block.unwrap_or(wanted.usual_block);
    let layout = Layout::new(range.len(), block, LOST_UNIT).ok_or(Refusal::NoRoom)?;
    Ok(Begun {
        remaps: Remaps::new(layout.slots())?,
        lost: LostBlocks::new(0)?,
        block,
        slots: layout.slots(),
        first_slot: layout.first_slot(),
        metadata: None,
    })
}

#[inline(never)]
fn load(area: Area, wanted: &Wanted, memory: &mut Memory) -> Result<Begun, Refusal> {
    let mut loading = Loading {
        wanted,
        remaps: None,
        lost: LostBlocks::new(MAX_BATCH)?,
        lost_unit: LOST_UNIT,
    };
    let sectors = area.range.len();
    let mut scratch = memory.scratch();
    let mend = !wanted.read_only;
    let (store, findings) = Store::load(area, sectors, crc32c, &mut scratch, mend, &mut loading)?;
    let layout = *store.layout();
    let block = store.superblock().block;
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
    Ok(Begun {
        remaps: loading.remaps.ok_or(EINVAL)?,
        lost: loading.lost,
        block,
        slots: layout.slots(),
        first_slot: layout.first_slot(),
        metadata: Some(metadata),
    })
}

#[inline(never)]
fn format(area: Area, wanted: &Wanted, memory: &mut Memory) -> Result<(), Refusal> {
    let sectors = area.range.len();
    let block = wanted.block.unwrap_or(wanted.usual_block);
    let layout = Layout::new(sectors, block, LOST_UNIT).ok_or(Refusal::NoRoom)?;
    let mut uuid = [0; 16];
    let (first, second) = uuid.split_at_mut(8);
    first.copy_from_slice(&random_u64().to_le_bytes());
    second.copy_from_slice(&random_u64().to_le_bytes());
    let superblock = Superblock {
        uuid,
        main: wanted.main,
        length: wanted.length,
        block,
        lost_unit: LOST_UNIT,
        sectors,
    };
    let generations = Numbers::new(layout.pages() as usize)?;
    Store::format(area, &superblock, generations, crc32c, &mut *memory.head)
        .map_err(|_| Refusal::Unwritable)?;
    Ok(())
}

/// The metadata of a table that is in use.
pub(super) struct Metadata {
    store: Store<Area, Numbers>,
    pages: KVBox<[Page; 2]>,
    /// The version of an uncertain page that counts.
    counts: Version,
    /// Something could not be written when it was last tried.
    failed: bool,
    /// Copies were bad when they were last looked at.
    found_bad: bool,
}

impl Metadata {
    /// How it is.
    pub(super) fn state(&self) -> MetadataState {
        if self.failed {
            MetadataState::Failed
        } else if self.found_bad || self.store.is_degraded() {
            MetadataState::Degraded
        } else {
            MetadataState::Ok
        }
    }

    /// Sectors of the target that it was last used for.
    pub(super) fn length(&self) -> u64 {
        self.store.superblock().length
    }

    /// Sectors of the unit in which lost sectors are noted.
    pub(super) fn lost_unit(&self) -> u32 {
        self.store.superblock().lost_unit
    }

    /// How its entries lie in pages. What is in one page is committed at once.
    pub(super) fn layout(&self) -> Layout {
        *self.store.layout()
    }

    /// Makes entries of one page durable, and whatever was written to the device before. Where it
    /// is uncertain whether they are, the version `counts` will be.
    ///
    /// Sleeps; allocates nothing.
    pub(super) fn commit(
        &mut self,
        changes: impl IntoIterator<Item = (u32, impl Into<Change>)>,
        counts: Version,
    ) -> Result<(), CommitError> {
        let ended = self.store.commit(changes, &mut self.pages);
        if let Err(error) = ended {
            self.failed = true;
            if matches!(error, CommitError::Uncertain(_)) {
                self.counts = counts;
            }
        }
        ended
    }

    /// Makes it durable that `block` has gone from slot `old`, which has failed, to slot `new`, with
    /// what is lost of it, and whatever was written to the device before. Where it is uncertain
    /// whether it has, the version `counts` will be. What is left to be written of it comes before
    /// anything else: [`Metadata::revive`].
    ///
    /// Sleeps; allocates nothing.
    pub(super) fn replace(
        &mut self,
        block: u64,
        (old, new): (u32, u32),
        lost: &LostUnits,
        counts: Version,
    ) -> Result<(), CommitError> {
        let store = &mut self.store;
        let ended = store.replace(block, old, new, lost, &mut self.pages);
        if ended.is_err() || !self.store.is_settled() {
            self.failed = true;
            self.counts = counts;
        }
        ended
    }

    /// Where something could not be written, tries that again; whether it did. Sleeps. `EIO`.
    pub(super) fn revive(&mut self) -> Result<bool> {
        if self.failed {
            self.settle()?;
        }
        Ok(core::mem::take(&mut self.failed))
    }

    fn settle(&mut self) -> Result {
        let settled = self.store.settle(self.counts, &mut self.pages);
        settled.map_err(|_| EIO)?;
        let retired = self.store.retire(&mut self.pages);
        retired.map_err(|_| EIO)
    }

    /// Writes what could not be written, and puts every copy right that can be.
    ///
    /// Sleeps. `EIO` where something still cannot be written or believed, `ENOMEM`.
    pub(super) fn save(&mut self) -> Result {
        let mut memory = Memory::new()?;
        self.failed = true;
        self.settle()?;
        let findings: Findings = self.store.check(&mut memory.scratch()).map_err(|_| EIO)?;
        self.found_bad = findings.unmended > 0;
        self.failed = false;
        Ok(())
    }

    /// Notes that the target has so many sectors. Sleeps. `EIO`.
    pub(super) fn set_length(&mut self, length: u64) -> Result {
        let [page, _] = &mut *self.pages;
        self.store.set_length(length, page).map_err(|_| EIO)
    }
}

const _: () = assert!(PAGE_BYTES as u64 == PAGE_SECTORS * 512);
