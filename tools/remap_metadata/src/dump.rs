// SPDX-License-Identifier: GPL-2.0

//! Dumps of spare areas: as JSON, which can be read back, and as text.

use std::{
    collections::HashSet,
    fmt,
    fs,
    io::{
        self,
        Read,
        Write, //
    },
    ops::Range,
    path::Path, //
};

use remap_core::{
    metadata::{
        entry::{
            Entry,
            UnitStates,
            Units, //
        },
        layout::Layout,
        superblock::{
            Format,
            Main,
            Superblock, //
        },
        turn::Turn, //
    },
    table::{
        geometry::BlockSize,
        index::MAX_BLOCKS, //
    }, //
};
use serde::{
    Deserialize,
    Serialize, //
};
use uuid::Uuid;

use crate::{
    area::Area,
    failure::Failure, //
};

/// Contents of an area, as JSON has them. Positions and sizes are in sectors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dump {
    /// UUID of the area.
    pub uuid: Uuid,
    /// Identity of the main device; `None` if the device has none.
    pub main_identity: Option<Uuid>,
    /// Size of the main device.
    pub main_sectors: u64,
    /// Sector of the main device at which the target starts.
    pub main_start: u64,
    /// Size of the target.
    pub target_sectors: u64,
    /// Size of a block.
    pub block_size: u32,
    /// Size of the unit in which unread and lost sectors are recorded.
    pub lost_unit: u32,
    /// Number of bitmaps for each slot. Left out if it is 1, as in an area that is or was of version 1.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub bitmaps: u8,
    /// Size of the area.
    pub spare_sectors: u64,
    /// Number of slots of the area.
    pub slots: u32,
    /// Number of pages in the head of an area that has grown. Left out if it has not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head_pages: Option<u32>,
    /// Remapped blocks, in the order of their slots.
    pub remaps: Vec<Remap>,
    /// Slots that have failed.
    pub bad_slots: Vec<u32>,
}

/// Remapped block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Remap {
    /// Slot that holds the block.
    pub slot: u32,
    /// First sector of the block, from the start of the target.
    pub sector: u64,
    /// First sector of the slot, from the start of the spare area.
    pub spare_sector: u64,
    /// Number of moves of the block from a failed slot to another one, modulo four. Left out if it is 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub turn: u8,
    /// First sectors, from the start of the block, of the units that are unread: main has their contents. Left out
    /// if there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unread: Vec<u32>,
    /// Main was not asked for the unread units since the block moved. Left out if it was.
    #[serde(default, skip_serializing_if = "is_false")]
    pub untried: bool,
    /// First sectors, from the start of the block, of the units that are lost.
    pub lost: Vec<u32>,
}

const fn one() -> u8 {
    1
}

fn is_one(number: &u8) -> bool {
    *number == 1
}

fn is_false(flag: &bool) -> bool {
    !flag
}

fn is_zero(number: &u8) -> bool {
    *number == 0
}

/// Contradiction within a dump: the field, and what it disagrees with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disagreement(String);

impl fmt::Display for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Area that a dump describes.
#[derive(Clone, Debug)]
pub struct Described {
    /// Contents of its superblock.
    pub superblock: Superblock,
    /// Places of its pages and slots.
    pub layout: Layout,
    /// Slots that are not free, in order.
    pub entries: Vec<(u32, Entry)>,
}

/// Returns the first sector of a slot, from the start of the area.
fn sector_of_slot(layout: &Layout, block: BlockSize, slot: u32) -> u64 {
    let sector = block.first_sector(u64::from(slot));
    layout.first_slot().saturating_add(sector)
}

impl Dump {
    /// Makes the dump of an area.
    pub fn new(area: &Area) -> Self {
        let superblock = &area.superblock;
        let (block, unit) = (superblock.block, superblock.lost_unit);
        let main_identity = Uuid::from_bytes(superblock.main.identity);
        let sectors = |units: &Units| {
            let units = units.iter();
            units.map(|number| number.saturating_mul(unit)).collect()
        };
        let mut remaps = Vec::new();
        let mut bad_slots = Vec::new();
        for (slot, entry) in &area.entries {
            match entry {
                Entry::Free => {}
                Entry::Bad => bad_slots.push(*slot),
                Entry::Block {
                    block: number,
                    turn,
                    states,
                } => remaps.push(Remap {
                    slot: *slot,
                    sector: block.first_sector(*number),
                    spare_sector: sector_of_slot(&area.layout, block, *slot),
                    turn: turn.number(),
                    unread: sectors(states.unread()),
                    untried: states.is_untried(),
                    lost: sectors(states.lost()),
                }),
            }
        }
        Self {
            uuid: Uuid::from_bytes(superblock.uuid),
            main_identity: (!main_identity.is_nil()).then_some(main_identity),
            main_sectors: superblock.main.sectors,
            main_start: superblock.main.start,
            target_sectors: superblock.length,
            block_size: block.sectors(),
            lost_unit: unit,
            bitmaps: area.layout.shape().bitmaps().count() as u8,
            spare_sectors: superblock.sectors,
            slots: area.layout.slots(),
            head_pages: superblock.head_pages,
            remaps,
            bad_slots,
        }
    }

    /// Makes the area longer. The slots stay where they are.
    pub fn grow(&mut self, sectors: u64) -> Result<(), Failure> {
        let described = self.describe();
        let described = described.map_err(|why| Failure::Undone(why.to_string()))?;
        let grown = described.superblock.grown(sectors);
        let grown = grown.and_then(|superblock| Some((superblock, superblock.layout()?)));
        let (superblock, layout) = grown
            .ok_or_else(|| Failure::Undone(format!("the area cannot have {sectors} sectors")))?;
        self.spare_sectors = superblock.sectors;
        self.head_pages = superblock.head_pages;
        self.slots = layout.slots();
        Ok(())
    }

    /// Reads JSON from a file, or from standard input if `path` is `-`.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let text = if path == Path::new("-") {
            let mut text = Vec::new();
            io::stdin().lock().read_to_end(&mut text).map(|_| text)
        } else {
            fs::read(path)
        };
        let text = text.map_err(|error| Failure::file("read", path, &error))?;
        Self::parse(&text)
            .map_err(|error| Failure::Undone(format!("{} is no dump: {error}", path.display())))
    }

    /// Parses JSON. Does not check that the fields agree with each other: [`Dump::describe`] does.
    pub fn parse(text: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(text)
    }

    /// Writes JSON, with a line feed at the end.
    pub fn to_json(&self, out: &mut dyn Write) -> io::Result<()> {
        serde_json::to_writer_pretty(&mut *out, self).map_err(io::Error::from)?;
        writeln!(out)
    }

    /// Writes text for people.
    pub fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "area          {}", self.uuid)?;
        if let Some(identity) = self.main_identity {
            writeln!(out, "main          {identity}")?;
        }
        writeln!(
            out,
            "main          {} sectors, target from {} on, {} sectors",
            self.main_sectors, self.main_start, self.target_sectors
        )?;
        writeln!(
            out,
            "spare area    {} sectors, {} slots of {} sectors, {} bad",
            self.spare_sectors,
            self.slots,
            self.block_size,
            self.bad_slots.len()
        )?;
        writeln!(out, "remaps        {}", self.remaps.len())?;
        for remap in &self.remaps {
            write!(out, "{} -> {}", remap.sector, remap.spare_sector)?;
            if remap.turn != 0 {
                write!(out, " turn {}", remap.turn)?;
            }
            for sector in &remap.unread {
                write!(out, " unread+{sector}")?;
            }
            if remap.untried {
                write!(out, " untried")?;
            }
            for sector in &remap.lost {
                write!(out, " lost+{sector}")?;
            }
            writeln!(out)?;
        }
        Ok(())
    }

    /// Makes all unread units lost: main is another device, and does not have their contents.
    pub fn lose_unread(&mut self) {
        for remap in &mut self.remaps {
            remap.lost.append(&mut remap.unread);
            remap.lost.sort_unstable();
            remap.untried = false;
        }
    }

    /// Gives a free slot to each block of these sectors that is not remapped yet. All sectors of these
    /// blocks are lost.
    pub fn give_up(&mut self, sectors: &[Range<u64>]) -> Result<(), Failure> {
        let block = self.block_size as usize;
        let known: HashSet<_> = self.remaps.iter().map(|remap| remap.sector).collect();
        let taken: HashSet<_> = self.remaps.iter().map(|remap| remap.slot).collect();
        let bad: HashSet<_> = self.bad_slots.iter().copied().collect();
        let described = self
            .describe()
            .map_err(|why| Failure::Undone(why.to_string()))?;
        let mut free = (0..described.layout.slots())
            .filter(|slot| !taken.contains(slot) && !bad.contains(slot));
        let blocks = sectors
            .iter()
            .flat_map(|range| range.clone().step_by(block));
        for sector in blocks.filter(|sector| !known.contains(sector)) {
            let slot = free.next().ok_or_else(|| {
                Failure::Undone(format!("no slot is free for the block at sector {sector}"))
            })?;
            self.remaps.push(Remap {
                slot,
                sector,
                spare_sector: sector_of_slot(&described.layout, described.superblock.block, slot),
                turn: 0,
                unread: Vec::new(),
                untried: false,
                lost: (0..self.block_size)
                    .step_by(self.lost_unit as usize)
                    .collect(),
            });
        }
        self.remaps.sort_by_key(|remap| remap.slot);
        Ok(())
    }

    fn superblock(&self) -> Result<Superblock, Disagreement> {
        let block = BlockSize::from_sectors(u64::from(self.block_size)).ok_or_else(|| {
            Disagreement(format!(
                "block_size: {} is no power of two from 1 to 2048",
                self.block_size
            ))
        })?;
        let format = match self.bitmaps {
            1 => Format::UPGRADED,
            2 => Format::NEW,
            other => return Err(Disagreement(format!("bitmaps: {other} is not 1 or 2"))),
        };
        Ok(Superblock {
            format,
            uuid: self.uuid.into_bytes(),
            main: Main {
                identity: self.main_identity.unwrap_or_default().into_bytes(),
                sectors: self.main_sectors,
                start: self.main_start,
            },
            length: self.target_sectors,
            block,
            lost_unit: self.lost_unit,
            sectors: self.spare_sectors,
            head_pages: self.head_pages,
        })
    }

    /// Returns the area that the dump describes, or the first contradiction within the dump.
    pub fn describe(&self) -> Result<Described, Disagreement> {
        let superblock = self.superblock()?;
        let units = self.block_size.checked_rem(self.lost_unit);
        if units != Some(0) {
            return Err(Disagreement(format!(
                "lost_unit: {} does not divide a block of {} sectors",
                self.lost_unit, self.block_size
            )));
        }
        let layout = superblock.layout().ok_or_else(|| {
            Disagreement(format!(
                "spare_sectors: {} have no room for a slot{}",
                self.spare_sectors,
                match self.head_pages {
                    Some(pages) => format!(", or fewer pages than head_pages {pages}"),
                    None => String::new(),
                }
            ))
        })?;
        if layout.slots() != self.slots {
            return Err(Disagreement(format!(
                "slots: an area of {} sectors has {}, not {}",
                self.spare_sectors,
                layout.slots(),
                self.slots
            )));
        }
        let mut entries = Vec::new();
        let mut blocks = HashSet::new();
        for remap in &self.remaps {
            let entry = self.entry(remap, superblock.block, &layout)?;
            if !blocks.insert(remap.sector) {
                return Err(Disagreement(format!("sector {}: twice", remap.sector)));
            }
            entries.push((remap.slot, entry));
        }
        entries.extend(self.bad_slots.iter().map(|slot| (*slot, Entry::Bad)));
        entries.sort_by_key(|(slot, _)| *slot);
        let mut slots = HashSet::new();
        for (slot, _) in &entries {
            if *slot >= layout.slots() {
                let slots = layout.slots();
                return Err(Disagreement(format!("slot {slot}: there are only {slots}")));
            }
            if !slots.insert(*slot) {
                return Err(Disagreement(format!("slot {slot}: twice")));
            }
        }
        Ok(Described {
            superblock,
            layout,
            entries,
        })
    }

    /// Returns the metadata entry of a remapped block.
    fn entry(
        &self,
        remap: &Remap,
        block: BlockSize,
        layout: &Layout,
    ) -> Result<Entry, Disagreement> {
        let wrong = |why: String| Disagreement(format!("sector {}: {why}", remap.sector));
        if block.offset_of(remap.sector) != 0 {
            return Err(wrong(format!("no multiple of block_size {block}")));
        }
        if remap.sector >= self.target_sectors || block.block_of(remap.sector) >= MAX_BLOCKS {
            return Err(wrong(format!(
                "beyond the target of {} sectors",
                self.target_sectors
            )));
        }
        let spare_sector = sector_of_slot(layout, block, remap.slot);
        if remap.slot < layout.slots() && remap.spare_sector != spare_sector {
            return Err(wrong(format!(
                "spare_sector {} is not that of slot {}, {spare_sector}",
                remap.spare_sector, remap.slot
            )));
        }
        let turn = Turn::new(remap.turn);
        let turn = turn.ok_or_else(|| wrong(format!("turn {} is more than 3", remap.turn)))?;
        let unread = self.units("unread", &remap.unread).map_err(wrong)?;
        let lost = self.units("lost", &remap.lost).map_err(wrong)?;
        if let Some(unit) = unread.iter().find(|unit| lost.contains(*unit)) {
            let sector = unit.saturating_mul(self.lost_unit);
            return Err(wrong(format!("{sector} is both unread and lost")));
        }
        if remap.untried && unread.is_empty() {
            return Err(wrong("untried, but nothing is unread".to_owned()));
        }
        let states = UnitStates::new(unread, lost, remap.untried);
        if !layout.shape().can_record(&states) {
            return Err(wrong(
                "unread and lost sectors in one block need bitmaps 2".to_owned(),
            ));
        }
        Ok(Entry::Block {
            block: block.block_of(remap.sector),
            turn,
            states,
        })
    }

    /// Returns the units that start at these sectors of a block, or what is wrong with one of them. `what` is the
    /// name of the field.
    fn units(&self, what: &str, sectors: &[u32]) -> Result<Units, String> {
        let mut units = Units::NONE;
        // The unit is not zero, since it divides the block size.
        let size = self.lost_unit.max(1);
        for sector in sectors {
            let (unit, rest) = (sector / size, sector % size);
            if rest != 0 || *sector >= self.block_size {
                return Err(format!("no unit of the block starts at {what} {sector}"));
            }
            if units.contains(unit) {
                return Err(format!("{what} {sector} twice"));
            }
            units.insert(unit);
        }
        Ok(units)
    }
}
