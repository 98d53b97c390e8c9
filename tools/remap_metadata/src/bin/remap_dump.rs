// SPDX-License-Identifier: GPL-2.0

//! Shows what a spare area holds.

#![forbid(unsafe_code)]

use std::{
    io::{
        self,
        Write, //
    },
    process::ExitCode,
};

use clap::Parser;
use remap_core::metadata::entry::{
    Entry,
    LostUnits, //
};
use remap_metadata::{
    area::Area,
    failure::Failure,
    image::Location, //
};
use serde::Serialize;
use uuid::Uuid;

/// Shows what a dm-remap spare area holds, and changes nothing
///
/// Exit status: 0, 2 the metadata cannot be used, 3 it could not be looked at.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    location: Location,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// An area as JSON. Positions and sizes are in sectors.
#[derive(Serialize)]
struct Dump {
    uuid: Uuid,
    main_identity: Option<Uuid>,
    main_sectors: u64,
    main_start: u64,
    target_sectors: u64,
    block_size: u32,
    lost_unit: u32,
    spare_sectors: u64,
    slots: u32,
    remaps: Vec<Remap>,
    bad_slots: Vec<u32>,
}

/// A remapped block.
#[derive(Serialize)]
struct Remap {
    slot: u32,
    /// From the start of the target.
    sector: u64,
    /// From the start of the spare area.
    spare_sector: u64,
    /// First sectors, from the start of the block, of the units that are lost.
    lost: Vec<u32>,
}

impl Dump {
    fn new(area: &Area) -> Self {
        let superblock = &area.superblock;
        let block_size = superblock.block.sectors();
        let main_identity = Uuid::from_bytes(superblock.main.identity);
        let units = block_size / superblock.lost_unit.max(1);
        let lost = |lost: &LostUnits| {
            (0..units)
                .filter(|unit| lost.contains(*unit))
                .map(|unit| unit * superblock.lost_unit)
                .collect()
        };
        let mut remaps = Vec::new();
        let mut bad_slots = Vec::new();
        for (slot, entry) in &area.entries {
            match entry {
                Entry::Free => {}
                Entry::Bad => bad_slots.push(*slot),
                Entry::Block { block, lost: units } => remaps.push(Remap {
                    slot: *slot,
                    sector: superblock.block.first_sector(*block),
                    spare_sector: area.first_slot + superblock.block.first_sector(u64::from(*slot)),
                    lost: lost(units),
                }),
            }
        }
        Self {
            uuid: Uuid::from_bytes(superblock.uuid),
            main_identity: (!main_identity.is_nil()).then_some(main_identity),
            main_sectors: superblock.main.sectors,
            main_start: superblock.main.start,
            target_sectors: superblock.length,
            block_size,
            lost_unit: superblock.lost_unit,
            spare_sectors: superblock.sectors,
            slots: area.slots,
            remaps,
            bad_slots,
        }
    }

    fn print(&self, out: &mut dyn Write) -> io::Result<()> {
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
            for sector in &remap.lost {
                write!(out, " lost+{sector}")?;
            }
            writeln!(out)?;
        }
        Ok(())
    }
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    let dump = Dump::new(&Area::load(&arguments.location)?);
    let mut out = io::BufWriter::new(io::stdout().lock());
    let printed = if arguments.json {
        serde_json::to_writer_pretty(&mut out, &dump)
            .map_err(io::Error::from)
            .and_then(|()| writeln!(out))
    } else {
        dump.print(&mut out)
    };
    printed
        .and_then(|()| out.flush())
        .map_err(|error| Failure::Undone(format!("cannot write: {error}")))
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!(
                "remap_dump: {}: {failure}",
                arguments.location.image.display()
            );
            failure.exit_code()
        }
    }
}
