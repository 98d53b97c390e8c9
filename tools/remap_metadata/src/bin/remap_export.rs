// SPDX-License-Identifier: GPL-2.0

//! Prints the remapped blocks of a spare area for other programs.

#![forbid(unsafe_code)]

use std::{
    io::{
        self,
        BufWriter, //
    },
    process::ExitCode,
};

use clap::Parser;
use remap_metadata::{
    arguments::Export,
    export, //
    failure::{
        end,
        GOOD, //
    },
};

fn main() -> ExitCode {
    let arguments = Export::parse();
    let exported = export::run(&arguments, &mut BufWriter::new(io::stdout().lock()));
    let image = arguments.location.image.display();
    end(&format!("remap_export: {image}"), exported.map(|()| GOOD))
}
