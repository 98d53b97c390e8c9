// SPDX-License-Identifier: GPL-2.0

//! Checks the metadata of a spare area, and changes nothing.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use remap_metadata::{
    area::Area,
    arguments::Check,
    failure::{
        end,
        print,
        Failure,
        DEGRADED,
        GOOD, //
    },
};

fn run(arguments: &Check) -> Result<u8, Failure> {
    let area = Area::load(&arguments.location)?;
    let bad = area.findings.bad;
    if !arguments.quiet {
        let image = arguments.location.image.display();
        let behind = match area.findings.behind {
            0 => String::new(),
            behind => format!(", {behind} pages whose last write was cut short"),
        };
        let mut lines = vec![format!(
            "{image}: {} of {} slots hold remapped blocks{}, {bad} bad copies{behind}",
            area.remaps(),
            area.layout.slots(),
            area.missing()
        )];
        let failed = area.failed_slots().into_iter();
        lines.extend(failed.map(|line| format!("{image}: {line}")));
        print(&lines)?;
    }
    Ok(if bad == 0 { GOOD } else { DEGRADED })
}

fn main() -> ExitCode {
    let arguments = Check::parse();
    match run(&arguments) {
        Err(failure) if arguments.quiet => failure.exit_code(),
        result => {
            let image = arguments.location.image.display();
            end(&format!("remap_check: {image}"), result)
        }
    }
}
