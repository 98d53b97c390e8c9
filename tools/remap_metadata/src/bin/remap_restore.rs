// SPDX-License-Identifier: GPL-2.0

//! Writes the metadata of a spare area from a dump.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use remap_metadata::{
    arguments::Restore,
    failure::{
        end,
        print,
        GOOD, //
    },
    restore, //
};

fn main() -> ExitCode {
    let arguments = Restore::parse();
    let image = arguments.location.image.display();
    let restored = restore::run(&arguments)
        .and_then(|said| print(&[format!("{image}: {said}")]))
        .map(|()| GOOD);
    end(&format!("remap_restore: {image}"), restored)
}
