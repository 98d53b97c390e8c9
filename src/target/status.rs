// SPDX-License-Identifier: GPL-2.0

//! What `dmsetup status` and `dmsetup table` show.

use core::fmt::{
    Result,
    Write, //
};

use remap_core::{
    arguments::ErrorPolicy,
    counters::Counters,
    health::Health, //
};

use super::{
    live::LiveTable,
    RemapTarget, //
};
use crate::linux::text::Text;

/// Prints `<remapped>/<spare blocks> <lost> <pending> <block_size> <health> <metadata>` and the
/// counters. Does not wait for relocations.
pub(super) fn print(table: &LiveTable, text: &mut Text<'_>) -> Result {
    let lost = table.lost.lock().sectors();
    let health = Health::judge(
        table.read_only,
        table.remapped(),
        table.spare_blocks(),
        lost,
    );
    write!(
        text,
        "{}/{} {} 0 {} {} none",
        table.remapped(),
        table.spare_blocks(),
        lost,
        table.block,
        health.word()
    )?;
    let counters = table.shown_counters().named();
    for (name, value) in counters.iter().take(Counters::STATUS) {
        write!(text, " {name}={value}")?;
    }
    Ok(())
}

/// Prints the arguments that recreate the table.
pub(super) fn print_arguments(target: &RemapTarget, text: &mut Text<'_>) -> Result {
    let options = &target.options;
    write!(
        text,
        "{} {} {} {}",
        target.main.name().to_str().unwrap_or("?"),
        target.spare.name().to_str().unwrap_or("?"),
        target.spare_area.start(),
        target.spare_area.len()
    )?;
    let policy = options.error_policy != ErrorPolicy::default();
    let words = 2 * u32::from(options.main_start != 0)
        + 2 * u32::from(options.block_size)
        + u32::from(options.volatile)
        + u32::from(options.format)
        + 2 * u32::from(policy);
    if words == 0 {
        return Ok(());
    }
    write!(text, " {words}")?;
    if options.main_start != 0 {
        write!(text, " main_start {}", options.main_start)?;
    }
    if options.block_size {
        write!(text, " block_size {}", target.table.block)?;
    }
    if options.volatile {
        write!(text, " volatile")?;
    }
    if options.format {
        write!(text, " format")?;
    }
    if policy {
        write!(text, " error_policy {}", options.error_policy.word())?;
    }
    Ok(())
}
