// SPDX-License-Identifier: GPL-2.0

//! Fuzzes lists of bad blocks, and the messages and dumps that remap_import makes of them.

use std::{
    num::NonZeroU64,
    ops::Range, //
};

use remap_core::{
    interface::message::Message,
    table::geometry::SectorRange, //
};
use remap_metadata::{
    block_list::{
        read_badblocks,
        read_map,
        write_badblocks,
        write_map,
        Status, //
    },
    dump::Dump,
    export::{
        shifted,
        write_messages, //
    },
    failure::Failure,
    target::Target, //
};

const SECTOR: u64 = 512;

/// Largest number of blocks that are imported. More would only take longer.
const MAX_BLOCKS: u64 = 1 << 12;

/// Checks that ranges are in order, not empty, and do not touch.
fn check_ranges(ranges: &[Range<u64>]) {
    assert!(ranges.iter().all(|range| range.start < range.end));
    assert!(ranges.windows(2).all(|pair| pair[0].end < pair[1].start));
}

fn text_of(write: impl FnOnce(&mut dyn std::io::Write) -> std::io::Result<()>) -> String {
    let mut out = Vec::new();
    assert!(write(&mut out).is_ok());
    String::from_utf8(out).expect("text")
}

/// Checks that a refusal names a line of the text, counted from 1.
fn check_line(why: &str, text: &str) {
    let number = why
        .strip_prefix("line ")
        .and_then(|rest| rest.split_once(": "));
    let number: usize = number.expect("a line").0.parse().expect("its number");
    assert!(number <= text.lines().count());
}

pub(crate) fn badblocks(text: &str) {
    for bytes in [1, 1024, 4096] {
        let block = NonZeroU64::new(bytes).expect("a size");
        let ranges = match read_badblocks(text, block) {
            Ok(ranges) => ranges,
            Err(why) => return check_line(&why.to_string(), text),
        };
        check_ranges(&ranges);
        let numbers = text.lines().map(str::trim).filter(|line| !line.is_empty());
        assert!(numbers
            .clone()
            .all(|line| line.bytes().all(|byte| byte.is_ascii_digit())));
        let total: u64 = ranges.iter().map(|range| range.end - range.start).sum();
        assert!(total / bytes <= numbers.count() as u64);
        let written = text_of(|out| write_badblocks(&ranges, block, out));
        assert_eq!(read_badblocks(&written, block), Ok(ranges.clone()));
        messages(&ranges);
    }
}

pub(crate) fn map(text: &str) {
    let all = "?*/-+".chars().filter_map(Status::new).collect::<Vec<_>>();
    let every = match read_map(text, &all) {
        Ok(ranges) => ranges,
        Err(why) => return check_line(&why.to_string(), text),
    };
    // Areas follow each other without a gap.
    assert!(every.len() <= 1);
    let ranges = read_map(text, &[Status::Bad]).expect("the same text");
    check_ranges(&ranges);
    let Some(whole) = every.first() else {
        return assert!(ranges.is_empty());
    };
    assert!(ranges
        .iter()
        .all(|range| whole.start <= range.start && range.end <= whole.end));
    let written = text_of(|out| write_map(&ranges, whole.end, out));
    assert_eq!(read_map(&written, &[Status::Bad]), Ok(ranges.clone()));
    messages(&ranges);
}

/// Checks the messages for ranges of bytes of main: the module has to parse them as the sectors of the ranges.
fn messages(bytes: &[Range<u64>]) {
    for (main_start, sectors, block, begin) in
        [(0, 1 << 20, 8, 0), (1000, 77, 2048, 5), (7, 1 << 54, 1, 1)]
    {
        let Ok(target) = Target::new(main_start, sectors, block) else {
            panic!("a target");
        };
        let main_end = main_start + sectors;
        let inside = |range: &Range<u64>| {
            range.start / SECTOR >= main_start && range.end.div_ceil(SECTOR) <= main_end
        };
        assert_eq!(
            target.touched(bytes, false).is_ok(),
            bytes.iter().all(inside)
        );
        let Ok(touched) = target.touched(bytes, true) else {
            panic!("clipped ranges are within the target");
        };
        check_ranges(&touched);
        assert!(touched
            .iter()
            .all(|range| range.start % block == 0 && range.end <= sectors));
        // Every sector of the list within the target is covered.
        for range in bytes {
            let start = (range.start / SECTOR).max(main_start);
            let end = range.end.div_ceil(SECTOR).min(main_end);
            let covers = |known: &Range<u64>| {
                known.start <= start - main_start && end - main_start <= known.end
            };
            assert!(start >= end || touched.iter().any(covers));
        }
        let Ok(shifted) = shifted(&touched, begin) else {
            panic!("sectors of a mapped device");
        };
        let text = text_of(|out| write_messages("bad", &shifted, out));
        let whole = SectorRange::new(begin, sectors).expect("a range");
        assert_eq!(text.lines().count(), touched.len());
        for (line, range) in text.lines().zip(&touched) {
            let words: Vec<&[u8]> = line.as_bytes().split(|byte| *byte == b' ').collect();
            let meant = SectorRange::new(range.start, range.end - range.start);
            let meant = Message::Bad(meant.expect("a range"));
            assert_eq!(Message::parse(&words, whole), Ok(meant));
        }
    }
}

/// Imports a list of badblocks(8) into a dump. `text` has the dump, a zero byte and the list.
pub(crate) fn import(text: &str) {
    let Some((json, list)) = text.split_once('\0') else {
        return;
    };
    let Ok(mut dump) = Dump::parse(json.as_bytes()) else {
        return;
    };
    if dump.describe().is_err() {
        return;
    }
    let block = u64::from(dump.block_size);
    let Ok(target) = Target::new(dump.main_start, dump.target_sectors, block) else {
        return;
    };
    let bytes = NonZeroU64::new(1024).expect("a size");
    let Ok(ranges) = read_badblocks(list, bytes) else {
        return;
    };
    let Ok(touched) = target.touched(&ranges, true) else {
        panic!("clipped ranges are within the target");
    };
    let blocks = touched
        .iter()
        .map(|range| (range.end - range.start).div_ceil(block));
    if blocks.sum::<u64>() > MAX_BLOCKS || dump.slots > 1 << 16 {
        return;
    }
    let before = dump.clone();
    match dump.give_up(&touched) {
        Err(Failure::Undone(why)) => return assert!(why.starts_with("no slot is free")),
        Err(_) => panic!("blocks cannot be given up"),
        Ok(()) => {}
    }
    assert!(dump.describe().is_ok());
    assert!(before
        .remaps
        .iter()
        .all(|remap| dump.remaps.contains(remap)));
    let sectors = touched
        .iter()
        .flat_map(|range| range.clone().step_by(block as usize));
    for sector in sectors {
        assert!(dump.remaps.iter().any(|remap| remap.sector == sector));
    }
    let mut written = Vec::new();
    assert!(dump.to_json(&mut written).is_ok());
    assert!(Dump::parse(&written).is_ok_and(|again| again == dump));
}
