// SPDX-License-Identifier: GPL-2.0

//! Prints the status of remap targets for people: a table of all, or the details of one.

use std::io::Write;

use crate::{
    failure::Failure,
    figures::{
        legible,
        printable,
        storage, //
    },
    places::{
        Disk,
        Places, //
    },
    state::State,
    status::{
        Status,
        SECTOR, //
    },
    table,
};

/// Writes a table with a row for each target.
pub(crate) fn overview(found: &[Status], out: &mut dyn Write) -> Result<(), Failure> {
    let headings = [
        "DEVICE", "MAIN", "SPARE", "SIZE", "BLOCK", "REMAPPED", "SLOTS", "LOST", "PENDING",
        "READS", "WRITES", "ERRORS", "HEALTH", "METADATA",
    ];
    let mut rows = vec![headings.map(String::from).to_vec()];
    rows.extend(found.iter().map(row));
    Ok(table::write(&rows, out)?)
}

fn row(status: &Status) -> Vec<String> {
    let place = |part: fn(&Places) -> &str| {
        let word = status.places.as_ref().map(part);
        word.unwrap_or(table::NOTHING).to_owned()
    };
    let told = |part: &dyn Fn(&State) -> String| match &status.state {
        Some(state) => part(state),
        None => String::from(table::NOTHING),
    };
    vec![
        printable(&status.device),
        place(|places| places.main.disk.word()),
        place(|places| places.spare.disk.word()),
        storage(status.length.saturating_mul(SECTOR)),
        told(&|state| storage(state.block_size.saturating_mul(SECTOR))),
        told(&|state| state.remapped.to_string()),
        told(&|state| state.spare_blocks.to_string()),
        told(&|state| state.lost_sectors.to_string()),
        told(&|state| state.pending_blocks.to_string()),
        told(&|state| state.counter("reads").to_string()),
        told(&|state| state.counter("writes").to_string()),
        told(&|state| state.errors().to_string()),
        status.health().to_owned(),
        told(&|state| state.metadata.clone()),
    ]
}

/// Writes all that is known of a target.
pub(crate) fn details(status: &Status, out: &mut dyn Write) -> Result<(), Failure> {
    let (name, health) = (legible(&status.device), status.health());
    let suspended = if status.suspended { ", suspended" } else { "" };
    writeln!(out, "{name} ({}): {health}{suspended}", status.number)?;
    let mut rows = vec![
        ("Start", format!("sector {}", status.start)),
        ("Length", sectors(status.length)),
    ];
    if let Some(places) = &status.places {
        rows.extend(places_rows(places));
    }
    if let Some(state) = &status.state {
        rows.extend(state_rows(state));
    }
    let width = rows.iter().map(|(key, _)| key.len()).max().unwrap_or(0);
    for (key, value) in rows {
        writeln!(out, "  {key:<width$}  {value}")?;
    }
    Ok(())
}

fn sectors(count: u64) -> String {
    let size = storage(count.saturating_mul(SECTOR));
    format!("{size} ({count} sectors)")
}

fn places_rows(places: &Places) -> Vec<(&str, String)> {
    let disk = |disk: &Disk| match &disk.path {
        Some(path) => format!("{} ({})", legible(path), disk.number),
        None => disk.number.clone(),
    };
    let (main, spare) = (&places.main, &places.spare);
    let last = spare.start.saturating_add(spare.length).saturating_sub(1);
    let mut rows = vec![
        (
            "Main",
            format!("{}, from sector {}", disk(&main.disk), main.start),
        ),
        (
            "Spare",
            format!("{}, sectors {} to {last}", disk(&spare.disk), spare.start),
        ),
        ("Error policy", places.error_policy.clone()),
    ];
    if !places.options.is_empty() {
        rows.push(("Options", places.options.join(" ")));
    }
    rows
}

fn state_rows(state: &State) -> Vec<(&str, String)> {
    let (remapped, spare_blocks) = (state.remapped, state.spare_blocks);
    let mut rows = vec![
        ("Block size", sectors(state.block_size)),
        (
            "Remapped",
            format!("{remapped} of {spare_blocks} spare blocks"),
        ),
        ("Lost", format!("{} sectors", state.lost_sectors)),
        ("Unread", format!("{} sectors", state.unread_sectors)),
        ("Pending", format!("{} blocks", state.pending_blocks)),
        ("Metadata", state.metadata.clone()),
    ];
    if let Some(scrub) = state.scrub {
        rows.push(("Scrub", format!("{} % read", scrub.percent())));
    }
    let counters = state.counters.iter();
    rows.extend(counters.map(|(key, value)| (key.as_str(), value.to_string())));
    rows
}
