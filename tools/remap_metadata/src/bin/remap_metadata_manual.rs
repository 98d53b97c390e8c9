// SPDX-License-Identifier: GPL-2.0

//! Writes the manual of the tools.

#![forbid(unsafe_code)]

use std::{
    fs,
    process::ExitCode, //
};

use clap::Parser;
use remap_metadata::{
    arguments::{
        commands,
        Manual, //
    },
    failure::{
        end,
        Failure,
        GOOD, //
    },
};

fn run(arguments: &Manual) -> Result<u8, Failure> {
    let directory = &arguments.directory;
    fs::create_dir_all(directory)
        .and_then(|()| {
            commands()
                .into_iter()
                .try_for_each(|command| clap_mangen::generate_to(command, directory))
        })
        .map_err(|error| Failure::file("write", directory, &error))?;
    Ok(GOOD)
}

fn main() -> ExitCode {
    end("remap_metadata_manual", run(&Manual::parse()))
}
