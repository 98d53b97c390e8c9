// SPDX-License-Identifier: GPL-2.0

//! Command lines of the tools. The manual is made from them, too.

use std::{
    num::NonZeroU64,
    path::PathBuf, //
};

use clap::{
    Command,
    CommandFactory,
    Parser,
    ValueEnum, //
};
use remap_core::table::index::MAX_SLOTS;
use remap_size::sectors;

use crate::image::Location;

/// Parses a number of remaps.
fn remaps(text: &str) -> Result<u32, String> {
    let number = remap_size::parse(text)?;
    let remaps = u32::try_from(number).ok();
    remaps
        .filter(|remaps| (1..=MAX_SLOTS).contains(remaps))
        .ok_or_else(|| format!("{number} is not in 1..={MAX_SLOTS}"))
}

/// Parses the size of a block of badblocks(8), in bytes.
fn block(text: &str) -> Result<NonZeroU64, String> {
    let bytes = remap_size::parse(text)?;
    NonZeroU64::new(bytes).ok_or_else(|| String::from("no block has 0 bytes"))
}

/// Checks the metadata of a dm-remap spare area, and changes nothing
///
/// Names slots that have failed and are not noted as bad, as a crash may leave them. They are no fault.
///
/// Exit status: 0 all copies are good, 1 copies are bad but nothing is missing, 2 the metadata cannot be
/// used, 3 the area could not be read.
#[derive(Parser)]
#[command(name = "remap_check", version)]
pub struct Check {
    /// The area
    #[command(flatten)]
    pub location: Location,

    /// Print nothing; the exit status is the result
    #[arg(short, long)]
    pub quiet: bool,
}

/// Shows the contents of a dm-remap spare area, and changes nothing
///
/// Exit status: 0, 2 the metadata cannot be used, 3 the area could not be read.
#[derive(Parser)]
#[command(name = "remap_dump", version)]
pub struct Dump {
    /// The area
    #[command(flatten)]
    pub location: Location,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Prints the size of a dm-remap spare area for a number of remaps: its spare_len, in sectors
#[derive(Parser)]
#[command(name = "remap_metadata_size", version)]
pub struct MetadataSize {
    /// Number of blocks that may be remapped at the same time; 10k are 10240
    #[arg(value_parser = remaps)]
    pub remaps: u32,

    /// The block size, in sectors of 512 bytes, or in bytes with a suffix
    #[arg(long, value_name = "SECTORS", default_value = "8", value_parser = sectors)]
    pub block_size: u64,
}

/// Writes the metadata of a dm-remap spare area from the JSON of remap_dump
///
/// The blocks on the spare are not changed. Without --yes, an area that is not blank and may hold remaps is
/// refused. A dump that contradicts itself or the area is always refused.
///
/// Exit status: 0, 3 the metadata was not written.
#[derive(Parser)]
#[command(name = "remap_restore", version)]
pub struct Restore {
    /// The area
    #[command(flatten)]
    pub location: Location,

    /// Output of remap_dump --json, or - for standard input
    pub json: PathBuf,

    /// Let any main device that has room for the target take the area over, not only the one in the dump:
    /// for a new disk. Unread sectors become lost, since only the device before had their contents
    #[arg(long)]
    pub any_main: bool,

    /// Overwrite the area, whatever it holds
    #[arg(long)]
    pub yes: bool,
}

/// Repairs the copies of a dm-remap spare area's metadata
///
/// Without --yes or --output, only prints what would be done. Every page of the metadata has to be proven to
/// be the newest one. A page that may be older is refused, or believed with --believe-newest.
///
/// Exit status: 0 every copy is right, 1 some are not, 2 the metadata cannot be used, 3 the repair was not
/// done.
#[derive(Parser)]
#[command(name = "remap_repair", version)]
pub struct Repair {
    /// The area
    #[command(flatten)]
    pub location: Location,

    /// Write the area, blocks included, to a new file, with its metadata repaired
    #[arg(long, value_name = "FILE", conflicts_with = "yes")]
    pub output: Option<PathBuf>,

    /// Repair in place
    #[arg(long)]
    pub yes: bool,

    /// Take the newest valid copy of each page, even if a newer one may have been lost, and name such pages.
    /// Blocks that have moved since are then in their old places, with their old contents
    #[arg(long)]
    pub believe_newest: bool,

    /// Free the slots of each page without a valid copy, and name them. The blocks that they held are then
    /// read from main, where they may be older or damaged
    #[arg(long, requires = "believe_newest")]
    pub forget_lost_pages: bool,
}

/// Formats that `remap_export` writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// As badblocks(8) prints it: the numbers of blocks of main
    Badblocks,
    /// A map file of GNU ddrescue, of main: remapped sectors are bad, the others rescued
    Ddrescue,
    /// The JSON of remap_dump
    Json,
    /// A line "remap SECTOR COUNT" for each range of the target, for dmsetup message
    Messages,
}

/// Prints the remapped blocks of a dm-remap spare area for other programs
///
/// Exit status: 0, 2 the metadata cannot be used, 3 the area could not be read.
#[derive(Parser)]
#[command(name = "remap_export", version)]
pub struct Export {
    /// The area
    #[command(flatten)]
    pub location: Location,

    /// Format of the output
    #[arg(long, value_enum, default_value = "badblocks")]
    pub format: ExportFormat,

    /// Start of the target on the mapped device, in sectors: the first number of its line in dmsetup table.
    /// Messages count from the start of the mapped device
    #[arg(long, value_name = "SECTOR", default_value = "0", value_parser = sectors)]
    pub target_start: u64,

    /// Bytes of a block of badblocks(8)
    #[arg(
        short = 'b',
        long = "block",
        value_name = "BYTES",
        default_value = "1024",
        value_parser = block
    )]
    pub block: NonZeroU64,
}

/// Formats of lists of bad blocks that `remap_import` reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ListFormat {
    /// As badblocks(8) prints it: the numbers of blocks of main
    Badblocks,
    /// A map file of GNU ddrescue, of main
    Ddrescue,
}

/// Remaps the blocks that other programs have found to be bad
///
/// Prints messages for the target, sends them, or prints the JSON of an area that has the blocks
/// remapped, for remap_restore. Ranges of the list are widened to whole blocks of the target.
///
/// Exit status: 0, 3 it was not done.
#[derive(Parser)]
#[command(name = "remap_import", version)]
pub struct Import {
    /// The list, or - for standard input
    pub list: PathBuf,

    /// Format of the list
    #[arg(long, value_enum, default_value = "badblocks")]
    pub format: ListFormat,

    /// Bytes of a block of badblocks(8)
    #[arg(
        short = 'b',
        long = "block",
        value_name = "BYTES",
        default_value = "1024",
        value_parser = block
    )]
    pub block: NonZeroU64,

    /// Which areas of a map file are bad: some of - * / ?
    #[arg(
        long,
        value_name = "CHARACTERS",
        default_value = "-",
        allow_hyphen_values = true
    )]
    pub status: String,

    /// Start of the target on the mapped device, in sectors of 512 bytes: the first number of its line in
    /// dmsetup table. Messages count from the start of the mapped device. With --device, selects one of
    /// several remap targets [default: 0]
    #[arg(long, value_name = "SECTOR", value_parser = sectors)]
    pub target_start: Option<u64>,

    /// Start of the target on main, in sectors [default: 0]
    #[arg(long, value_name = "SECTOR", value_parser = sectors)]
    pub main_start: Option<u64>,

    /// Length of the target, in sectors
    #[arg(
        long,
        value_name = "SECTORS",
        value_parser = sectors,
        required_unless_present_any = ["device", "json"]
    )]
    pub target_sectors: Option<u64>,

    /// The block size of the target, in sectors [default: 8]
    #[arg(long, value_name = "SECTORS", value_parser = sectors)]
    pub block_size: Option<u64>,

    /// Leave out sectors outside of the target, which are refused otherwise
    #[arg(long)]
    pub clip: bool,

    /// Send or print the message remap instead of bad: sectors that can still be read are kept
    #[arg(long)]
    pub keep_contents: bool,

    /// Send the messages to this mapped device. Start, length and block size of the target are taken from its
    /// table. Nothing is sent if an option gives another value
    #[arg(long, value_name = "NAME")]
    pub device: Option<String>,

    /// Print the JSON of this dump, or - for standard input, with the blocks remapped and all their sectors
    /// lost. The target is that of the dump
    #[arg(
        long,
        value_name = "DUMP",
        conflicts_with_all = ["device", "keep_contents", "target_start", "main_start", "target_sectors", "block_size"]
    )]
    pub json: Option<PathBuf>,
}

/// Writes the manual of the tools for dm-remap's metadata
#[derive(Parser)]
#[command(name = "remap_metadata_manual", version)]
pub struct Manual {
    /// The directory to write to
    pub directory: PathBuf,
}

/// Returns the command lines of the tools that have a page in the manual.
pub fn commands() -> Vec<Command> {
    vec![
        Check::command(),
        Dump::command(),
        MetadataSize::command(),
        Restore::command(),
        Repair::command(),
        Export::command(),
        Import::command(),
    ]
}
