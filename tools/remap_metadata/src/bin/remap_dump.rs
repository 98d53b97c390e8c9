// SPDX-License-Identifier: GPL-2.0

//! Shows the contents of a spare area.

#![forbid(unsafe_code)]

use std::{
    io::{
        self,
        Write, //
    },
    process::ExitCode,
};

use clap::Parser;
use remap_metadata::{
    area::Area,
    arguments,
    dump::Dump,
    failure::{
        end,
        printed,
        Failure,
        GOOD, //
    },
};

fn run(arguments: &arguments::Dump) -> Result<u8, Failure> {
    let dump = Dump::new(&Area::load(&arguments.location)?);
    let mut out = io::BufWriter::new(io::stdout().lock());
    let shown = if arguments.json {
        dump.to_json(&mut out)
    } else {
        dump.print(&mut out)
    };
    printed(shown.and_then(|()| out.flush()))?;
    Ok(GOOD)
}

fn main() -> ExitCode {
    let arguments = arguments::Dump::parse();
    let image = arguments.location.image.display();
    end(&format!("remap_dump: {image}"), run(&arguments))
}
