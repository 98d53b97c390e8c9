// SPDX-License-Identifier: GPL-2.0

//! The command lines of the tools, for the tools and for their manual.

use std::path::PathBuf;

use clap::{
    Command,
    CommandFactory,
    Parser, //
};
use remap_core::index::MAX_SLOTS;

use crate::image::Location;

/// Checks the metadata of a dm-remap spare area, and changes nothing
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
    /// Number of blocks that may be remapped at the same time
    #[arg(value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_SLOTS)))]
    pub remaps: u32,

    /// The block size, in sectors of 512 bytes
    #[arg(long, value_name = "SECTORS", default_value_t = 8)]
    pub block_size: u32,

    /// The logical block size of the main device, in bytes
    #[arg(long, value_name = "BYTES", default_value_t = 512)]
    pub logical_block: u32,
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

/// The command lines of all tools.
pub fn commands() -> Vec<Command> {
    vec![
        Check::command(),
        Dump::command(),
        MetadataSize::command(),
        Restore::command(),
    ]
}
