// SPDX-License-Identifier: GPL-2.0

//! Lists of bad blocks, for a target.

use std::{
    collections::HashSet,
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
use remap_core::table::geometry::BlockSize;

use crate::{
    arguments::{
        Import,
        ListFormat, //
    },
    block_list::{
        merge,
        read_badblocks,
        read_map,
        Status, //
    },
    dump::{
        Dump,
        Remap, //
    },
    export::{
        message,
        shifted,
        write_messages, //
    },
    failure::{
        printed,
        Failure, //
    },
    image::SECTOR,
    live_target::{
        choose,
        LiveTarget,
        MappedDevice, //
    }, //
};

/// Sectors of a block where nothing says another number.
const USUAL_BLOCK: u64 = 8;

/// A target, as far as a list is about it. In sectors.
struct Target {
    main_start: u64,
    sectors: u64,
    block: BlockSize,
}

impl From<LiveTarget> for Target {
    fn from(live: LiveTarget) -> Self {
        Self {
            main_start: live.main_start,
            sectors: live.sectors,
            block: live.block,
        }
    }
}

impl Target {
    fn new(main_start: u64, sectors: u64, block_size: u64) -> Result<Self, Failure> {
        let block = BlockSize::from_sectors(block_size).ok_or_else(|| {
            Failure::Undone(format!(
                "--block-size: {block_size} is no power of two from 1 to 2048"
            ))
        })?;
        if main_start.checked_add(sectors).is_none() {
            return Err(Failure::Undone(format!(
                "--main-start: no device has {sectors} sectors from sector {main_start} on"
            )));
        }
        Ok(Self {
            main_start,
            sectors,
            block,
        })
    }

    /// The blocks of the target that ranges of bytes of main touch, as sectors of the target.
    fn touched(&self, bytes: &[Range<u64>], clip: bool) -> Result<Vec<Range<u64>>, Failure> {
        let main_end = self.main_start.saturating_add(self.sectors);
        let size = u64::from(self.block.sectors());
        let mut touched = Vec::new();
        for range in bytes {
            let (start, end) = (range.start / SECTOR, range.end.div_ceil(SECTOR));
            if !clip && (start < self.main_start || end > main_end) {
                return Err(Failure::Undone(format!(
                    "sectors {start} to {} of main are not all within the target, which has \
                     sectors {} to {} of it; --clip leaves out what is not",
                    end.saturating_sub(1),
                    self.main_start,
                    main_end.saturating_sub(1)
                )));
            }
            let (start, end) = (start.max(self.main_start), end.min(main_end));
            if start < end {
                let first = (start - self.main_start) / size * size;
                let end = (end - self.main_start).div_ceil(size).saturating_mul(size);
                touched.push(first..end.min(self.sectors));
            }
        }
        Ok(merge(touched))
    }
}

fn read_text(path: &Path) -> Result<String, Failure> {
    let text = if path == Path::new("-") {
        let mut text = String::new();
        io::stdin().lock().read_to_string(&mut text).map(|_| text)
    } else {
        fs::read_to_string(path)
    };
    text.map_err(|error| Failure::file("read", path, &error))
}

/// Ranges of bytes of main.
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

/// Refuses what was said of a target and is not so.
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
    // Hidden where standard error is no terminal.
    let bar = ProgressBar::new(sectors.len() as u64);
    for range in shifted(&sectors, live.start)? {
        mapped.send(range.start, &message(command, &range))?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(())
}

/// Gives free slots to the blocks that are not remapped yet; all of each is lost.
fn add(dump: &mut Dump, sectors: &[Range<u64>]) -> Result<(), Failure> {
    let block = dump.block_size as usize;
    let known: HashSet<_> = dump.remaps.iter().map(|remap| remap.sector).collect();
    let taken: HashSet<_> = dump.remaps.iter().map(|remap| remap.slot).collect();
    let bad: HashSet<_> = dump.bad_slots.iter().copied().collect();
    let described = dump
        .describe()
        .map_err(|why| Failure::Undone(why.to_string()))?;
    let mut free =
        (0..described.layout.slots()).filter(|slot| !taken.contains(slot) && !bad.contains(slot));
    let blocks = sectors
        .iter()
        .flat_map(|range| range.clone().step_by(block));
    for sector in blocks.filter(|sector| !known.contains(sector)) {
        let slot = free.next().ok_or_else(|| {
            Failure::Undone(format!("no slot is free for the block at sector {sector}"))
        })?;
        let from_first = described.superblock.block.first_sector(u64::from(slot));
        dump.remaps.push(Remap {
            slot,
            sector,
            spare_sector: described.layout.first_slot().saturating_add(from_first),
            turn: 0,
            lost: (0..dump.block_size)
                .step_by(dump.lost_unit as usize)
                .collect(),
        });
    }
    dump.remaps.sort_by_key(|remap| remap.slot);
    Ok(())
}

/// `remap_import`.
pub fn run(arguments: &Import, out: &mut dyn Write) -> Result<(), Failure> {
    if let Some(path) = &arguments.json {
        let mut dump = Dump::read(path)?;
        // Whether it agrees with itself comes first: its figures are relied on.
        dump.describe()
            .map_err(|why| Failure::Undone(format!("{}: {why}", path.display())))?;
        let block = u64::from(dump.block_size);
        let target = Target::new(dump.main_start, dump.target_sectors, block)?;
        let sectors = target.touched(&read_list(arguments)?, arguments.clip)?;
        add(&mut dump, &sectors)?;
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
        // clap asks for it where there is neither a dump nor a device.
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
