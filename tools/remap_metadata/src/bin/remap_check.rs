// SPDX-License-Identifier: GPL-2.0

//! Checks the metadata of a spare area, and changes nothing.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use remap_metadata::{
    area::Area,
    failure::{
        DEGRADED,
        GOOD, //
    },
    image::Location, //
};

/// Checks the metadata of a dm-remap spare area, and changes nothing
///
/// Exit status: 0 everything is as it should be, 1 copies are bad but everything is there, 2 the
/// metadata cannot be used, 3 it could not be looked at.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    location: Location,

    /// Say nothing: the exit status tells
    #[arg(short, long)]
    quiet: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let image = arguments.location.image.display();
    match Area::load(&arguments.location) {
        Ok(area) => {
            let bad = area.findings.bad;
            if !arguments.quiet {
                println!(
                    "{image}: {} of {} slots hold remapped blocks, {bad} bad copies",
                    area.remaps(),
                    area.slots
                );
            }
            ExitCode::from(if bad == 0 { GOOD } else { DEGRADED })
        }
        Err(failure) => {
            if !arguments.quiet {
                eprintln!("remap_check: {image}: {failure}");
            }
            failure.exit_code()
        }
    }
}
