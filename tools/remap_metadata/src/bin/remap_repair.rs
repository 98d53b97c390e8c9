// SPDX-License-Identifier: GPL-2.0

//! Puts the copies of a spare area's metadata right.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use remap_metadata::{
    arguments::Repair,
    failure::{
        end,
        Failure, //
    },
    repair, //
};

fn main() -> ExitCode {
    let arguments = Repair::parse();
    let image = arguments.location.image.display();
    let repaired = repair::run(&arguments).map(|(status, lines)| {
        for line in lines {
            println!("{image}: {line}");
        }
        status
    });
    let hint = match &repaired {
        Err(Failure::Unusable(why)) => repair::hint(why, &arguments),
        _ => None,
    };
    let status = end(&format!("remap_repair: {image}"), repaired);
    if let Some(hint) = hint {
        eprintln!("  {hint}");
    }
    status
}
