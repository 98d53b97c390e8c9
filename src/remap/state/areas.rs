// SPDX-License-Identifier: GPL-2.0

//! Claims of tables to parts of disks, so that no two mapped devices write to one spare area.

use kernel::{
    prelude::*,
    sync::aref::ARef, //
};
use remap_core::table::geometry::SectorRange;

use crate::linux::{
    block_device::BlockDevice,
    device_mapper::Table,
    mapped_device::MappedDevice,
    registry::registry, //
};

/// Use of a part of a disk by a table.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    Main,
    Spare,
}

struct Area {
    id: u64,
    owner: MappedDevice,
    table: Table,
    device: ARef<BlockDevice>,
    /// Counted on the whole disk.
    range: SectorRange,
    purpose: Use,
}

struct Areas {
    areas: [Area; 2],
}

registry! {
    /// The areas of all tables, active or not.
    mod claimed: Areas
}

/// A table's hold on its two areas; ends when dropped.
pub(in crate::remap) struct Claim {
    id: u64,
}

/// Prepares the list of claims. Called once, before the target is registered.
pub(in crate::remap) fn init() {
    claimed::init();
}

/// Claims the areas of a target in `table` of `owner`.
///
/// `EBUSY` where the spare area of another target is touched, or the spare area touches another's
/// main one. Targets in different tables of one device may share their areas: one of the tables
/// replaces the other. `EINVAL` where a range ends beyond what a disk can have. May sleep.
pub(in crate::remap) fn claim(
    owner: MappedDevice,
    table: Table,
    main: (&BlockDevice, SectorRange),
    spare: (&BlockDevice, SectorRange),
) -> Result<Claim> {
    let area = |id, (device, range): (&BlockDevice, SectorRange), purpose| -> Result<Area> {
        Ok(Area {
            id,
            owner,
            table,
            range: device.on_disk(range).ok_or(EINVAL)?,
            device: device.into(),
            purpose,
        })
    };
    claimed::with(|tables| {
        let id = tables
            .iter()
            .map(|table| table.areas[0].id)
            .max()
            .unwrap_or(0)
            .wrapping_add(1);
        let mine = [area(id, main, Use::Main)?, area(id, spare, Use::Spare)?];
        let conflict = tables
            .iter()
            .flat_map(|table| &table.areas)
            .any(|theirs| mine.iter().any(|mine| mine.conflicts_with(theirs)));
        if conflict {
            return Err(EBUSY);
        }
        tables.push(Areas { areas: mine }, GFP_KERNEL)?;
        Ok(Claim { id })
    })
}

impl Area {
    fn conflicts_with(&self, other: &Area) -> bool {
        (self.owner != other.owner || self.table == other.table)
            && (self.purpose == Use::Spare || other.purpose == Use::Spare)
            && self.device.same_disk(&other.device)
            && self.range.overlaps(&other.range)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        claimed::with(|tables| {
            tables.retain(|table| table.areas[0].id != self.id);
            if tables.is_empty() {
                *tables = KVec::new();
            }
        });
    }
}
