// SPDX-License-Identifier: GPL-2.0

//! Fuzzes texts that the tools read: lists of bad blocks, output of the module, sizes, durations and command
//! lines.
//!
//! The first byte chooses the parser. A list that is taken can be written and read again with equal contents,
//! and becomes messages that the module takes. A command line that is taken becomes a request that the module
//! takes.

#![no_main]

#[path = "../tools/remapctl/src/arguments.rs"]
#[allow(dead_code)]
mod arguments;
#[path = "../tools/remapctl/src/baseline.rs"]
#[allow(dead_code)]
mod baseline;
#[path = "../tools/remapctl/src/charts.rs"]
#[allow(dead_code)]
mod charts;
mod command_line;
#[path = "../tools/remapctl/src/device.rs"]
#[allow(dead_code)]
mod device;
#[path = "../tools/remapctl/src/duration.rs"]
mod duration;
#[path = "../tools/remapctl/src/failure.rs"]
#[allow(dead_code)]
mod failure;
#[path = "../tools/remapctl/src/figures.rs"]
#[allow(dead_code)]
mod figures;
mod lists;
#[path = "../tools/remapctl/src/name.rs"]
mod name;
#[path = "../tools/remapctl/src/output.rs"]
#[allow(dead_code)]
mod output;
#[path = "../tools/remapctl/src/page.rs"]
mod page;
#[path = "../tools/remapctl/src/places.rs"]
#[allow(dead_code)]
mod places;
mod printed;
#[path = "../tools/remapctl/src/record.rs"]
#[allow(dead_code)]
mod record;
#[path = "../tools/remapctl/src/remap_list.rs"]
mod remap_list;
#[path = "../tools/remapctl/src/request.rs"]
mod request;
#[path = "../tools/remapctl/src/size.rs"]
mod size;
#[path = "../tools/remapctl/src/state.rs"]
#[allow(dead_code)]
mod state;
#[path = "../tools/remapctl/src/stress_status.rs"]
#[allow(dead_code)]
mod stress_status;
#[path = "../tools/remapctl/src/sysfs.rs"]
#[allow(dead_code)]
mod sysfs;
#[path = "../tools/remapctl/src/table.rs"]
mod table;

use libfuzzer_sys::fuzz_target;

/// Result of a command of remapctl, which the sources above name. No command runs here.
#[allow(dead_code)]
pub(crate) enum Answer {
    Good,
}

fuzz_target!(|data: &[u8]| {
    let Some((&parser, bytes)) = data.split_first() else {
        return;
    };
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    match parser {
        b'b' => lists::badblocks(text),
        b'm' => lists::map(text),
        b'i' => lists::import(text),
        b'l' => printed::live_target(text),
        b's' => printed::state(text),
        b'p' => printed::places(text),
        b'r' => printed::remap_list(text),
        b't' => printed::stress_status(text),
        b'k' => printed::baselines(text),
        b'j' => printed::record(text),
        b'n' => printed::name(text),
        b'd' => command_line::duration(text),
        b'z' => command_line::size(text),
        b'c' => command_line::request(text),
        _ => {}
    }
});
