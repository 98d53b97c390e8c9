// SPDX-License-Identifier: GPL-2.0

//! Remaps the blocks that other programs have found to be bad.

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
    arguments::Import,
    failure::{
        end,
        GOOD, //
    },
    import, //
};

fn main() -> ExitCode {
    let arguments = Import::parse();
    let imported = import::run(&arguments, &mut BufWriter::new(io::stdout().lock()));
    end("remap_import", imported.map(|()| GOOD))
}
