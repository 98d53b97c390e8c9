// SPDX-License-Identifier: GPL-2.0

//! Results of `measure.py`.

use serde::{
    Deserialize,
    Serialize, //
};

/// File of `measure.py`.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Measured {
    pub(crate) setting: Setting,
    pub(crate) results: Vec<Record>,
}

/// Conditions of the measurements.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Setting {
    pub(crate) date: String,
    pub(crate) kernel: String,
    pub(crate) machine: String,
    pub(crate) processor: String,
    pub(crate) seed: u64,
    pub(crate) rounds: u32,
    pub(crate) bios: u32,
}

/// Cost of bios of one kind on a contestant.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Record {
    pub(crate) series: String,
    pub(crate) measure: String,
    pub(crate) contestant: String,
    pub(crate) remaps: Option<u64>,
    pub(crate) layout: Option<String>,
    pub(crate) state: Option<String>,
    /// Remapped bios of a thousand.
    pub(crate) hits: u64,
    pub(crate) bytes: u64,
    pub(crate) direction: String,
    pub(crate) order: String,
    pub(crate) in_flight: u64,
    pub(crate) cpus: u64,
    pub(crate) median: f64,
    pub(crate) interval: [f64; 2],
    /// Ratio of the cost to that of dm-linear.
    pub(crate) ratio: Option<f64>,
    pub(crate) ratio_interval: Option<[f64; 2]>,
    pub(crate) limit: Option<f64>,
    pub(crate) reached: Option<bool>,
}

impl Record {
    /// Returns the row of the table.
    pub(crate) fn row(&self) -> String {
        let digits = if self.median < 10.0 { 3 } else { 1 };
        let [low, high] = self.interval;
        let ratio = self.ratio.map(|ratio| format!("{ratio:.3}"));
        let between = self
            .ratio_interval
            .map(|[low, high]| format!("{low:.3} to {high:.3}"));
        let verdict = self
            .reached
            .map(|reached| if reached { "reached" } else { "**missed**" });
        format!(
            "| {} | {} | {:.digits$} | {low:.digits$} to {high:.digits$} | {} | {} | {} | {} |",
            self.bio(),
            self.contestant,
            self.median,
            ratio.unwrap_or_default(),
            between.unwrap_or_default(),
            self.limit
                .map(|limit| limit.to_string())
                .unwrap_or_default(),
            verdict.unwrap_or_default(),
        )
    }

    /// Returns the kind of bios in words.
    fn bio(&self) -> String {
        let size = match self.bytes {
            bytes if bytes >= 1 << 10 => format!("{} KiB", bytes >> 10),
            bytes => format!("{bytes} B"),
        };
        let mut words = format!("{size} {} {}", self.order, self.direction);
        if self.in_flight > 1 {
            words += &format!(", {} in flight", self.in_flight);
        }
        if self.cpus > 1 {
            words += &format!(", {} CPUs", self.cpus);
        }
        words + &format!(", {}", self.measure)
    }
}
