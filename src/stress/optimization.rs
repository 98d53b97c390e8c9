// SPDX-License-Identifier: GPL-2.0

//! Files of `/sys/module/dm_remap/optimization/`: counters over all live tables, one number a file.

use core::fmt::Write;

use kernel::{
    prelude::*,
    str::CStr, //
};
use remap_core::interface::counters::Counters;

use crate::{
    linux::sysfs::Attribute,
    remap::table, //
};

/// Context of the files, without state: each read computes its number.
pub(super) struct Optimization;

/// Sums over all live tables.
struct Totals {
    counters: Counters,
    entries: u64,
}

/// Makes a file with one figure.
macro_rules! figure {
    ($name:literal, $figure:expr) => {
        Attribute::report(
            {
                const NAME: &CStr = $name;
                NAME
            },
            |_, text| {
                let figure: fn(&Totals) -> u64 = $figure;
                let totals = Totals::now()?;
                writeln!(text, "{}", figure(&totals)).map_err(|_| EOVERFLOW)
            },
        )
    };
}

/// Files of the directory.
pub(super) static TABLE: &[Attribute<Optimization>] = &[
    figure!(c"fast_path_hits", |all| all.counters.fast_path()),
    figure!(c"slow_path_hits", |all| all.counters.slow_path),
    figure!(c"total_lookups", |all| all.counters.total_ios()),
    // In percent.
    figure!(c"fast_path_hit_rate", |all| {
        let hits = all.counters.fast_path().saturating_mul(100);
        hits.checked_div(all.counters.total_ios()).unwrap_or(0)
    }),
    figure!(c"remap_entries", |all| all.entries),
    figure!(c"total_ios", |all| all.counters.total_ios()),
    figure!(c"remapped_ios", |all| {
        let counters = &all.counters;
        counters
            .remapped_reads
            .saturating_add(counters.remapped_writes)
    }),
];

impl Totals {
    /// Returns the sums over the tables that are live now. May sleep. `ENOMEM`.
    fn now() -> Result<Self> {
        let mut totals = Self {
            counters: Counters::default(),
            entries: 0,
        };
        for table in table::all()? {
            totals.counters = totals.counters.plus(&table.counters());
            totals.entries = totals.entries.saturating_add(table.remapped());
        }
        Ok(totals)
    }
}
