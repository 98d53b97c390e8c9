// SPDX-License-Identifier: GPL-2.0

//! Tells how large a spare area has to be.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use remap_core::{
    geometry::BlockSize,
    metadata::{
        layout::Layout,
        LOST_UNIT, //
    }, //
};
use remap_metadata::{
    arguments::MetadataSize,
    failure::UNDONE, //
};

fn main() -> ExitCode {
    let arguments = MetadataSize::parse();
    let block = BlockSize::from_sectors(u64::from(arguments.block_size));
    let sectors = block.and_then(|block| Layout::sectors_for(arguments.remaps, block, LOST_UNIT));
    match sectors {
        Some(sectors) => {
            println!("{sectors}");
            ExitCode::SUCCESS
        }
        None => {
            eprintln!(
                "remap_metadata_size: '{}': no block size is so many sectors",
                arguments.block_size
            );
            ExitCode::from(UNDONE)
        }
    }
}
