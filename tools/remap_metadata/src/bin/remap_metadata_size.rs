// SPDX-License-Identifier: GPL-2.0

//! Tells how large a spare area has to be.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use remap_core::{
    geometry::BlockSize,
    metadata::layout::Layout, //
};
use remap_metadata::{
    arguments::MetadataSize,
    failure::UNDONE, //
};

fn main() -> ExitCode {
    let arguments = MetadataSize::parse();
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
