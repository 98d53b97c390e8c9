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
/// Names slots that have failed and are not noted as bad, as a crash may leave them; that is no fault.
///
/// Exit status: 0 everything is as it should be, 1 copies are bad but everything is there, 2 the
/// metadata cannot be used, 3 it could not be looked at.
#[derive(Parser)]
#[command(name = "remap_check", version)]
pub struct Check {
    /// The area
    #[command(flatten)]
    pub location: Location,

    /// Say nothing: the exit status tells
    #[arg(short, long)]
    pub quiet: bool,
}

/// Shows what a dm-remap spare area holds, and changes nothing
///
/// Exit status: 0, 2 the metadata cannot be used, 3 it could not be looked at.
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

/// Tells how large a dm-remap spare area has to be for a number of remaps: its spare_len, in sectors
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
/// The blocks on the spare are not touched. An area that is not blank and may hold remaps is refused
/// without --yes, and a dump that does not agree with itself or the area in any case.
///
/// Exit status: 0, 3 it was not done.
#[derive(Parser)]
#[command(name = "remap_restore", version)]
pub struct Restore {
    /// The area
    #[command(flatten)]
    pub location: Location,

    /// What remap_dump --json has printed, or - for standard input
    pub json: PathBuf,

    /// Let any main device take the area over that has room for the target, not only the one that it
    /// was of: for a disk that has replaced that
    #[arg(long)]
    pub any_main: bool,

    /// Write over whatever is in the area
    #[arg(long)]
    pub yes: bool,
}

/// Puts the copies of a dm-remap spare area's metadata right
///
/// Without --yes or --output it only tells what would be done. Every page of the metadata has to be
/// proven to be the newest one; what may be older is refused, or believed with --believe-newest.
///
/// Exit status: 0 every copy is right, 1 some are not, 2 the metadata cannot be used, 3 it was not
/// done.
#[derive(Parser)]
#[command(name = "remap_repair", version)]
pub struct Repair {
    /// The area
    #[command(flatten)]
    pub location: Location,

    /// Write the area, blocks included, with its metadata put right to a new file
    #[arg(long, value_name = "FILE", conflicts_with = "yes")]
    pub output: Option<PathBuf>,

    /// Put it right in place
    #[arg(long)]
    pub yes: bool,

    /// Of each page take the newest valid copy, where a newer one may have been lost as well, and
    /// name those pages: blocks that were moved since are then taken for what they were before
    #[arg(long)]
    pub believe_newest: bool,

    /// Let the slots of a page without any valid copy be free, and name them: the blocks that they
    /// held are then read from main, where they may be older or damaged
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
/// Exit status: 0, 2 the metadata cannot be used, 3 it could not be looked at.
#[derive(Parser)]
#[command(name = "remap_export", version)]
pub struct Export {
    /// The area
    #[command(flatten)]
    pub location: Location,

    /// What to print
    #[arg(long, value_enum, default_value = "badblocks")]
    pub format: ExportFormat,

    /// Where the target starts on the mapped device, in sectors: what dmsetup table has before the length.
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

/// Remaps what other programs have found to be bad
///
/// Prints messages for the target, sends them, or prints the JSON of an area that has the blocks
/// remapped, for remap_restore. What the list names is widened to whole blocks of the target.
///
/// Exit status: 0, 3 it was not done.
#[derive(Parser)]
#[command(name = "remap_import", version)]
pub struct Import {
    /// The list, or - for standard input
    pub list: PathBuf,

    /// What the list is
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

    /// Where the target starts on the mapped device, in sectors of 512 bytes: what dmsetup table has before
    /// the length. Messages count from the start of the mapped device. With --device, which of its
    /// remap targets is meant, where there are several [default: 0]
    #[arg(long, value_name = "SECTOR", value_parser = sectors)]
    pub target_start: Option<u64>,

    /// Where the target starts on main, in sectors [default: 0]
    #[arg(long, value_name = "SECTOR", value_parser = sectors)]
    pub main_start: Option<u64>,

    /// How long the target is, in sectors
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

    /// Leave out what is not within the target; else it is refused
    #[arg(long)]
    pub clip: bool,

    /// Ask for "remap" and not for "bad": what can still be read of the blocks is kept
    #[arg(long)]
    pub keep_contents: bool,

    /// Send the messages to this mapped device. Start, length and block size of the target are those of its
    /// table then; nothing is sent where one that is given is another
    #[arg(long, value_name = "NAME")]
    pub device: Option<String>,

    /// Print the JSON of remap_dump in this file, or - for standard input, with the blocks remapped
    /// and all of each lost; the target is then the one that it has
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
