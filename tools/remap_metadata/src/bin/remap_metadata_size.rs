// SPDX-License-Identifier: GPL-2.0

//! Prints the size that a spare area needs.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use remap_core::{
    metadata::layout::Layout,
    table::geometry::BlockSize, //
};
use remap_metadata::{
    arguments::MetadataSize,
    failure::{
        end,
        print,
        Failure,
        GOOD, //
    },
};

fn run(arguments: &MetadataSize) -> Result<u8, Failure> {
    let block = BlockSize::from_sectors(arguments.block_size);
    let block = block.ok_or_else(|| {
        Failure::Undone(format!(
            "--block-size: {} is no power of two from 1 to 2048",
            arguments.block_size
        ))
    })?;
    let sectors = Layout::sectors_for(arguments.remaps, block);
    let sectors =
        sectors.ok_or_else(|| Failure::Undone(String::from("no area has so many sectors")))?;
    print(&[sectors.to_string()])?;
    Ok(GOOD)
}

fn main() -> ExitCode {
    end("remap_metadata_size", run(&MetadataSize::parse()))
}
