// SPDX-License-Identifier: GPL-2.0

//! Checks the metadata of a spare area, and changes nothing.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use remap_metadata::{
    area::Area,
    arguments::Check,
    failure::{
        DEGRADED,
        GOOD, //
    },
};

fn main() -> ExitCode {
    let arguments = Check::parse();
    let image = arguments.location.image.display();
    match Area::load(&arguments.location) {
        Ok(area) => {
            let (bad, behind) = (area.findings.bad, area.findings.behind);
            if !arguments.quiet {
                print!(
                    "{image}: {} of {} slots hold remapped blocks, {bad} bad copies",
                    area.remaps(),
                    area.layout.slots()
                );
                if behind > 0 {
                    print!(", {behind} pages whose last write was cut short");
                }
                println!();
                for line in area.failed_slots() {
                    println!("{image}: {line}");
                }
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
