// SPDX-License-Identifier: GPL-2.0

//! Repairs the copies of a spare area's metadata.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use remap_metadata::{
    arguments::Repair,
    failure::{
        end,
        print, //
    },
    repair, //
};

fn main() -> ExitCode {
    let arguments = Repair::parse();
    let image = arguments.location.image.display();
    let repaired = repair::run(&arguments).and_then(|(status, lines)| {
        let lines: Vec<_> = lines
            .iter()
            .map(|line| format!("{image}: {line}"))
            .collect();
        print(&lines).map(|()| status)
    });
    end(&format!("remap_repair: {image}"), repaired)
}
