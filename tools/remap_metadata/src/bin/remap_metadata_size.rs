// SPDX-License-Identifier: GPL-2.0

//! Tells how large a spare area has to be.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use remap_core::{
    geometry::BlockSize,
    index::MAX_SLOTS,
    metadata::layout::Layout, //
};
use remap_metadata::failure::UNDONE;

/// Tells how large a dm-remap spare area has to be for a number of remaps: its spare_len, in sectors
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Number of blocks that may be remapped at the same time
    #[arg(value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_SLOTS)))]
    remaps: u32,

    /// The block size, in sectors of 512 bytes
    #[arg(long, value_name = "SECTORS", default_value_t = 8)]
    block_size: u32,

    /// The logical block size of the main device, in bytes
    #[arg(long, value_name = "BYTES", default_value_t = 512)]
    logical_block: u32,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let block = BlockSize::from_sectors(u64::from(arguments.block_size));
    let unit = (arguments.logical_block % 512 == 0).then_some(arguments.logical_block / 512);
    let sectors = block
        .zip(unit)
        .and_then(|(block, unit)| Layout::sectors_for(arguments.remaps, block, unit));
    match sectors {
        Some(sectors) => {
            println!("{sectors}");
            ExitCode::SUCCESS
        }
        None => {
            eprintln!(
                "remap_metadata_size: no block size is {} sectors with logical blocks of {} bytes",
                arguments.block_size, arguments.logical_block
            );
            ExitCode::from(UNDONE)
        }
    }
}
