// SPDX-License-Identifier: GPL-2.0

//! Fuzzes the tools' parsers of the module's output. They take more than the module prints, since later
//! modules may print more.

use std::path::Path;

use remap_core::{
    stress::{
        name::{
            Name,
            Printable, //
        },
        regression::Baselines, //
    },
    table::geometry::BlockSize, //
};
use remap_metadata::live_target::LiveTarget;

use crate::{
    baseline,
    charts,
    name::{
        known_as,
        unescaped, //
    },
    page,
    places::Places,
    record::{
        self,
        Record, //
    },
    remap_list::Page,
    state::State,
    stress_status::StressStatus,
    sysfs::Sysfs, //
};

/// Parses a line of the table and one of the status.
pub(crate) fn live_target(text: &str) {
    let Some((table, status)) = text.split_once('\n') else {
        return;
    };
    let Some(target) = LiveTarget::parse(800, 4096, table, status) else {
        return;
    };
    // The module writes no zeros in front, which a number may have all the same.
    let block = status.split_whitespace().nth(3).map(str::parse);
    assert_eq!(block, Some(Ok(u64::from(target.block.sectors()))));
    let places = Places::parse(&Sysfs::new(Path::new("/nonexistent")), table);
    // Both parsers agree.
    assert!(places.is_some_and(|places| places.main.start == target.main_start));
}

pub(crate) fn state(text: &str) {
    let Some(state) = State::parse(text) else {
        return;
    };
    let mut printed = format!(
        "{}/{} {} {} {} {} {}",
        state.remapped,
        state.spare_blocks,
        state.lost_sectors,
        state.pending_blocks,
        state.block_size,
        state.health,
        state.metadata
    );
    for (key, value) in &state.counters {
        printed += &format!(" {key}={value}");
    }
    if let Some(scrub) = &state.scrub {
        printed += &format!(" scrub={}/{}", scrub.read, scrub.sectors);
        let _ = scrub.percent();
    }
    let _ = (state.errors(), BlockSize::from_sectors(state.block_size));
    assert_eq!(State::parse(&printed), Some(state));
}

pub(crate) fn places(text: &str) {
    // A path in the line would be looked up.
    if text.contains('/') {
        return;
    }
    let sysfs = Sysfs::new(Path::new("/nonexistent"));
    let Some(places) = Places::parse(&sysfs, text) else {
        return;
    };
    let mut printed = format!(
        "{} {} {} {} {}",
        places.main.disk.number,
        places.spare.disk.number,
        places.spare.start,
        places.spare.length,
        places.options.len()
    );
    for option in &places.options {
        printed += &format!(" {option}");
    }
    assert_eq!(Places::parse(&sysfs, &printed), Some(places));
}

pub(crate) fn remap_list(text: &str) {
    // A carriage return before a line feed would be taken for a part of the line's end. The module prints none.
    if text.contains('\r') {
        return;
    }
    let Some(page) = Page::parse(text) else {
        return;
    };
    let mut printed = String::new();
    for remap in &page.remaps {
        let flags = match remap.flags.join(",") {
            none if remap.flags.is_empty() => none + "-",
            flags => flags,
        };
        printed += &format!("{} {} {flags}\n", remap.sector, remap.spare_sector);
    }
    printed += &match page.next {
        Some(next) => format!("more {next}"),
        None => "end".to_owned(),
    };
    assert_eq!(Page::parse(&printed), Some(page));
}

pub(crate) fn stress_status(text: &str) {
    if let Ok(status) = StressStatus::parse(text) {
        assert!(status.running || status.run.is_none_or(|run| run.result.is_some()));
    }
}

/// Checks that remapctl reads the baselines that the module takes and prints.
pub(crate) fn baselines(text: &str) {
    let mut read = Baselines::new();
    let taken = read.read(text.as_bytes());
    let printed = format!("{read}\n");
    let known = baseline::parse(&printed);
    // remapctl refuses names that are not UTF-8.
    let is_text = unescaped(&printed).is_some();
    assert!(known.is_some() || !is_text);
    if taken.is_ok() && is_text {
        let count = printed.matches("device=").count();
        assert!(known.is_some_and(|known| known.len() <= count.max(1)));
    }
    let _ = baseline::parse(text);
}

/// Draws the three records of a test, which are separated by zeros.
pub(crate) fn record(text: &str) {
    let parts: Vec<&str> = text.split('\0').collect();
    let &[results, histograms, trend] = &parts[..] else {
        return;
    };
    let (Ok(results), Ok(histograms), Ok(trend)) = (
        record::parse("results.json", results),
        record::parse("histograms.json", histograms),
        record::parse("trend.json", trend),
    ) else {
        return;
    };
    let record = Record {
        results,
        histograms,
        trend,
    };
    let Ok(svg) = charts::svg(&record) else {
        panic!("no charts of a record");
    };
    let Ok(html) = page::html(&record) else {
        panic!("no page of a record");
    };
    for text in [&svg, &html] {
        let may_have = |char: char| !char.is_control() || char.is_whitespace();
        assert!(text.chars().all(may_have));
        assert!(!text.contains("NaN") && !text.contains("<script"));
    }
}

/// Checks that remapctl reads the printed name of a device as the name that its user knows.
pub(crate) fn name(text: &str) {
    let name = Name::new(text.as_bytes());
    let printed = Printable(&name).to_string();
    assert!(printed.bytes().all(|byte| byte.is_ascii_graphic()));
    if name.as_bytes() == text.as_bytes() {
        assert_eq!(unescaped(&printed).as_deref(), Some(text));
    }
    let known = known_as(text);
    assert!(known == text || unescaped(text).as_deref() == Some(&known));
}
