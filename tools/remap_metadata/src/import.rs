// SPDX-License-Identifier: GPL-2.0

//! Imports lists of bad blocks: into messages for a target, or into a dump.

use std::{
    fs,
    io::{
        self,
        Read,
        Write, //
    },
    ops::Range,
    path::Path, //
};

use indicatif::ProgressBar;

use crate::{
    arguments::{
        Import,
        ListFormat, //
    },
    block_list::{
        read_badblocks,
        read_map,
        Status, //
    },
    dump::Dump,
    export::{
        message,
        shifted,
        write_messages, //
    },
    failure::{
        printed,
        Failure, //
    },
    live_target::{
        choose,
        LiveTarget, //
    },
    mapped_device::MappedDevice,
    target::Target, //
};

/// Sectors of a block if the user names no other number.
const USUAL_BLOCK: u64 = 8;

fn read_text(path: &Path) -> Result<String, Failure> {
    let text = if path == Path::new("-") {
        let mut text = String::new();
        io::stdin().lock().read_to_string(&mut text).map(|_| text)
    } else {
        fs::read_to_string(path)
    };
    text.map_err(|error| Failure::file("read", path, &error))
}

/// Reads the user's list. Returns ranges of bytes of main.
fn read_list(arguments: &Import) -> Result<Vec<Range<u64>>, Failure> {
    let text = read_text(&arguments.list)?;
    let read = match arguments.format {
        ListFormat::Badblocks => read_badblocks(&text, arguments.block),
        ListFormat::Ddrescue => {
            let mut wanted = Vec::new();
            for character in arguments.status.chars() {
                match Status::new(character) {
                    Some(status) if status != Status::Finished => wanted.push(status),
                    _ => {
                        return Err(Failure::Undone(format!(
                            "--status: '{character}' is none of - * / ?"
                        )))
                    }
                }
            }
            read_map(&text, &wanted)
        }
    };
    read.map_err(|why| Failure::Undone(format!("{}: {why}", arguments.list.display())))
}

/// Refuses options about the target that differ from the live target.
fn agree(arguments: &Import, device: &str, live: &LiveTarget) -> Result<(), Failure> {
    for (option, said, is) in [
        ("--main-start", arguments.main_start, live.main_start),
        ("--target-sectors", arguments.target_sectors, live.sectors),
        (
            "--block-size",
            arguments.block_size,
            u64::from(live.block.sectors()),
        ),
    ] {
        if let Some(said) = said.filter(|said| *said != is) {
            return Err(Failure::Undone(format!(
                "{option}: {said}, but the target of {device} at sector {} has {is}",
                live.start
            )));
        }
    }
    Ok(())
}

/// Sends a message for each range of a live target.
fn send(arguments: &Import, device: &str, command: &str) -> Result<(), Failure> {
    let mapped = MappedDevice::new(device)?;
    let live = choose(device, &mapped.targets()?, arguments.target_start)?;
    agree(arguments, device, &live)?;
    let sectors = Target::from(live).touched(&read_list(arguments)?, arguments.clip)?;
    // The bar is hidden if standard error is no terminal.
    let bar = ProgressBar::new(sectors.len() as u64);
    for range in shifted(&sectors, live.start)? {
        mapped.send(range.start, &message(command, &range))?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(())
}

/// Runs `remap_import`.
pub fn run(arguments: &Import, out: &mut dyn Write) -> Result<(), Failure> {
    if let Some(path) = &arguments.json {
        let mut dump = Dump::read(path)?;
        // Checked first: the code below relies on the dump's figures.
        dump.describe()
            .map_err(|why| Failure::Undone(format!("{}: {why}", path.display())))?;
        let block = u64::from(dump.block_size);
        let target = Target::new(dump.main_start, dump.target_sectors, block)?;
        let sectors = target.touched(&read_list(arguments)?, arguments.clip)?;
        dump.give_up(&sectors)?;
        return printed(dump.to_json(out).and_then(|()| out.flush()));
    }
    let command = match arguments.keep_contents {
        true => "remap",
        false => "bad",
    };
    if let Some(device) = &arguments.device {
        return send(arguments, device, command);
    }
    let target = Target::new(
        arguments.main_start.unwrap_or(0),
        // clap requires it if there is neither a dump nor a device.
        arguments.target_sectors.unwrap_or(0),
        arguments.block_size.unwrap_or(USUAL_BLOCK),
    )?;
    let sectors = target.touched(&read_list(arguments)?, arguments.clip)?;
    let sectors = shifted(&sectors, arguments.target_start.unwrap_or(0))?;
    printed(write_messages(command, &sectors, out).and_then(|()| out.flush()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use remap_core::table::geometry::BlockSize;

    #[test]
    fn what_is_said_of_a_target_has_to_be_so() {
        let live = LiveTarget {
            start: 800,
            sectors: 4096,
            main_start: 64,
            block: BlockSize::from_sectors(16).unwrap(),
        };
        let agreed = |said: &[&str]| {
            let line = [&["remap_import", "--device", "bad", "list"], said].concat();
            let arguments = Import::try_parse_from(line).unwrap();
            agree(&arguments, "bad", &live).map_err(|failure| failure.to_string())
        };
        assert_eq!(agreed(&[]), Ok(()));
        let all = [
            "--main-start",
            "64",
            "--target-sectors",
            "2M",
            "--block-size",
            "8k",
        ];
        assert_eq!(agreed(&all), Ok(()));
        for (option, said, is) in [
            ("--main-start", "0", 64),
            ("--target-sectors", "4896", 4096),
            ("--block-size", "8", 16),
        ] {
            let wanted = format!("{option}: {said}, but the target of bad at sector 800 has {is}");
            assert_eq!(agreed(&[option, said]), Err(wanted));
        }
    }
}
