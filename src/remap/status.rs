// SPDX-License-Identifier: GPL-2.0

//! Status and table lines: `dmsetup status` and `dmsetup table`.

use core::fmt::{
    Result,
    Write, //
};

use remap_core::{
    interface::{
        arguments::Arguments,
        counters::Counters, //
    },
    table::health::{
        Health,
        Signs, //
    }, //
};

use super::{
    state::table_line::TableLine,
    table::Table,
    target::RemapTarget, //
};
use crate::linux::text::Text;

/// Prints `<remapped>/<spare blocks> <lost> <pending> <block_size> <health> <metadata>`, the counters and the
/// unread sectors. Does not wait for relocations.
pub(super) fn print(table: &Table, text: &mut Text<'_>) -> Result {
    let (unread, lost) = {
        let lost = table.lost.lock();
        (lost.unread_sectors(), lost.lost_sectors())
    };
    write!(
        text,
        "{}/{} {} {} {} {} {}",
        table.remapped(),
        table.spare_blocks(),
        lost,
        table.remaps.pending(),
        table.places.block,
        table.health().word(),
        table.health.metadata().word()
    )?;
    print_counters(&table.statistics.counters_since_reset(&table.gate), text)?;
    write!(text, " unread={unread}")?;
    if let Some(read) = table.scrub.progress() {
        write!(text, " scrub={}/{}", read, table.places.sectors)?;
    }
    Ok(())
}

/// Prints the status of a target that was never resumed, and has not looked at its spare area.
pub(super) fn print_nothing(line: &TableLine, text: &mut Text<'_>) -> Result {
    let health = Health::judge(&Signs {
        read_only: line.read_only,
        free: 1,
        ..Signs::default()
    });
    let block = line.block_size.unwrap_or(line.usual_block);
    write!(text, "0/0 0 0 {} {} none", block, health.word())?;
    print_counters(&Counters::default(), text)?;
    text.write_str(" unread=0")
}

fn print_counters(counters: &Counters, text: &mut Text<'_>) -> Result {
    for (name, value) in counters.named().iter().take(Counters::STATUS) {
        write!(text, " {name}={value}")?;
    }
    Ok(())
}

/// Prints the arguments that recreate the table. Once fresh metadata has been written, `format` is not
/// printed: it would take away what was remapped since.
pub(super) fn print_arguments(target: &RemapTarget, text: &mut Text<'_>) -> Result {
    let line = &target.line;
    let now = target.table.get().map(|table| table.policy.on_error());
    let settings = target.table.get().map(|table| table.policy.settings());
    let arguments = Arguments {
        main_dev: target.main.name().to_bytes(),
        spare_dev: target.spare.name().to_bytes(),
        spare: line.spare_area,
        main_start: line.main_start,
        block_size: line.block_size,
        volatile: line.volatile,
        format: line.format && target.table.get().is_none(),
        error_policy: now.unwrap_or(line.error_policy),
        settings: settings.unwrap_or(line.settings),
    };
    write!(text, "{arguments}")
}
