// SPDX-License-Identifier: GPL-2.0

//! Exports the remapped blocks of an area for other programs.

use std::{
    io::{
        self,
        Write, //
    },
    ops::Range, //
};

use crate::{
    area::Area,
    arguments::{
        Export,
        ExportFormat, //
    },
    block_list::{
        merge,
        write_badblocks,
        write_map, //
    },
    dump::Dump,
    failure::{
        printed,
        Failure, //
    },
    image::SECTOR, //
};

/// Returns the sectors of the target that are remapped.
fn remapped(dump: &Dump) -> Vec<Range<u64>> {
    let block = u64::from(dump.block_size);
    let ranges = dump.remaps.iter().map(|remap| {
        let end = remap.sector.saturating_add(block).min(dump.target_sectors);
        remap.sector..end
    });
    merge(ranges.collect())
}

/// Returns the byte of main at which a sector of the target starts.
fn on_main(dump: &Dump, sector: u64) -> Result<u64, Failure> {
    let sector = dump.main_start.checked_add(sector);
    let bytes = sector.and_then(|sector| sector.checked_mul(SECTOR));
    bytes.ok_or_else(|| Failure::Undone("the target is beyond what has a number in bytes".into()))
}

/// Runs `remap_export`.
pub fn run(arguments: &Export, out: &mut dyn Write) -> Result<(), Failure> {
    let dump = Dump::new(&Area::load(&arguments.location)?);
    let sectors = remapped(&dump);
    let bytes = || -> Result<Vec<Range<u64>>, Failure> {
        let on_main = |sector| on_main(&dump, sector);
        let ranges = sectors.iter();
        ranges
            .map(|range| Ok(on_main(range.start)?..on_main(range.end)?))
            .collect()
    };
    printed(match arguments.format {
        ExportFormat::Badblocks => write_badblocks(&bytes()?, arguments.block, out),
        ExportFormat::Ddrescue => {
            // The metadata has the size that the device had before it grew.
            let target = on_main(&dump, dump.target_sectors)?;
            let size = target.max(dump.main_sectors.saturating_mul(SECTOR));
            write_map(&bytes()?, size, out)
        }
        ExportFormat::Json => dump.to_json(out),
        ExportFormat::Messages => {
            let sectors = shifted(&sectors, arguments.target_start)?;
            write_messages("remap", &sectors, out)
        }
    })?;
    printed(out.flush())
}

/// Turns sectors of a target into sectors of the mapped device, which messages use. The target starts at
/// `start` there.
pub fn shifted(sectors: &[Range<u64>], start: u64) -> Result<Vec<Range<u64>>, Failure> {
    let shifted = |range: &Range<u64>| {
        let end = range.end.checked_add(start);
        end.map(|end| range.start.saturating_add(start)..end)
    };
    let all: Option<Vec<_>> = sectors.iter().map(shifted).collect();
    all.ok_or_else(|| {
        Failure::Undone(format!(
            "--target-start: no mapped device has the target from sector {start} on"
        ))
    })
}

/// Writes a line with a message for each range of sectors of a mapped device.
pub fn write_messages(
    command: &str,
    sectors: &[Range<u64>],
    out: &mut dyn Write,
) -> io::Result<()> {
    for range in sectors {
        writeln!(out, "{}", message(command, range))?;
    }
    Ok(())
}

/// Returns the message for a range of sectors.
pub fn message(command: &str, range: &Range<u64>) -> String {
    let count = range.end.saturating_sub(range.start);
    format!("{command} {} {count}", range.start)
}
