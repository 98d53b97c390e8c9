// SPDX-License-Identifier: GPL-2.0

//! Reads the records of a test in debugfs: results, histograms and trend, in JSON.
//!
//! Unknown keys are ignored. Keys that a module does not write have default values.

use serde::{
    de::DeserializeOwned,
    Deserialize, //
};

use crate::{
    failure::Failure,
    figures::printable,
    name::known_as,
    sysfs::Sysfs, //
};

/// Contents of `results.json`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Results {
    /// `RUNNING` or `STOPPED`; empty before the first test.
    pub(crate) status: String,
    pub(crate) progress: String,
    pub(crate) device: String,
    pub(crate) device_number: String,
    #[serde(rename = "type")]
    pub(crate) test: u64,
    pub(crate) type_name: String,
    pub(crate) duration_ms: Option<u64>,
    pub(crate) volume_bytes: Option<u64>,
    pub(crate) workers: u64,
    pub(crate) queue_depth: u64,
    pub(crate) seed: u64,
    pub(crate) elapsed_ms: u64,
    pub(crate) operations: u64,
    pub(crate) bytes: u64,
    pub(crate) flushes: u64,
    pub(crate) zeroed: u64,
    pub(crate) errors: u64,
    pub(crate) megabytes_per_second: u64,
    pub(crate) iops: u64,
    pub(crate) in_flight: u64,
    pub(crate) peak_in_flight: u64,
    pub(crate) added_latency: Option<Latency>,
    pub(crate) read_latency: Option<Latency>,
    pub(crate) write_latency: Option<Latency>,
    pub(crate) latency_variation_basis_points: Option<i64>,
    pub(crate) throughput_slope_basis_points: Option<i64>,
    pub(crate) throughput_drift_basis_points: Option<i64>,
    pub(crate) integrity: Option<Integrity>,
    pub(crate) engine: Option<Engine>,
    pub(crate) resources: Resources,
    pub(crate) regression: Regression,
    pub(crate) targets: Vec<Target>,
    pub(crate) result: String,
    pub(crate) reasons: Vec<String>,
}

/// Percentiles, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Latency {
    pub(crate) count: u64,
    pub(crate) min: u64,
    pub(crate) average: u64,
    pub(crate) p50: u64,
    pub(crate) p90: u64,
    pub(crate) p99: u64,
    pub(crate) p99_9: u64,
    pub(crate) max: u64,
}

/// Result of the verification at the end of the test.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Integrity {
    pub(crate) verified: u64,
    pub(crate) mismatches: u64,
    pub(crate) unreadable: u64,
    pub(crate) shared: bool,
}

/// Figures of the remap target.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Engine {
    pub(crate) entries: u64,
    pub(crate) spare_blocks: u64,
    pub(crate) fast_path: u64,
    pub(crate) slow_path: u64,
    pub(crate) remapped_reads: u64,
    pub(crate) remapped_writes: u64,
}

/// Resources that the test used.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Resources {
    pub(crate) memory_before: u64,
    pub(crate) memory_peak: u64,
    pub(crate) memory_after: u64,
    pub(crate) cpu_ns: u64,
    pub(crate) pressure_bytes: u64,
}

/// Comparison of the run with the baseline.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Regression {
    /// `not_asked`, `pending`, `not_judged`, `first` or `compared`.
    pub(crate) state: String,
    pub(crate) reason: Option<String>,
    pub(crate) baseline: Option<Typical>,
    pub(crate) run: Option<Typical>,
    pub(crate) latency_change_basis_points: Option<i64>,
    pub(crate) throughput_change_basis_points: Option<i64>,
    pub(crate) latency_threshold_percent: Option<u64>,
    pub(crate) throughput_threshold_percent: Option<u64>,
}

/// Figures of a run that a baseline consists of.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Typical {
    /// In nanoseconds.
    pub(crate) added_latency: u64,
    pub(crate) bytes_per_second: u64,
}

/// Limit that a run has to meet, and the outcome.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Target {
    pub(crate) name: String,
    pub(crate) target: String,
    pub(crate) measured: String,
    /// `PASS`, `FAIL` or `N/A`.
    pub(crate) outcome: String,
    /// Reason for `N/A`.
    pub(crate) reason: Option<String>,
}

/// Buckets of a histogram: the longest time of each, in nanoseconds, and its count.
pub(crate) type Histogram = Vec<(u64, u64)>;

/// Contents of `histograms.json`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Histograms {
    pub(crate) added_latency: Histogram,
    pub(crate) read_latency: Histogram,
    pub(crate) write_latency: Histogram,
}

/// Figures of a span of time.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Sample {
    /// Length of the span, in nanoseconds.
    pub(crate) ns: u64,
    pub(crate) operations: u64,
    pub(crate) bytes: u64,
    /// Average added latency, in nanoseconds.
    pub(crate) added_latency: Option<u64>,
}

/// Contents of `trend.json`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Trend {
    /// Samples, the oldest first.
    pub(crate) samples: Vec<Sample>,
}

/// All records of a test.
#[derive(Clone, Debug, Default)]
pub(crate) struct Record {
    pub(crate) results: Results,
    pub(crate) histograms: Histograms,
    pub(crate) trend: Trend,
}

/// Parses a record.
pub(crate) fn parse<T: DeserializeOwned>(file: &str, text: &str) -> Result<T, Failure> {
    serde_json::from_str(text)
        .map_err(|error| Failure::Undone(format!("cannot make sense of {file}: {error}")))
}

impl Results {
    /// Returns the name of the device as its user knows it, in one word.
    pub(crate) fn device_word(&self) -> String {
        printable(&known_as(&self.device))
    }

    /// Reads `results.json`; `None` before the first test.
    pub(crate) fn read(sysfs: &Sysfs) -> Result<Option<Self>, Failure> {
        let file = "results.json";
        let results: Self = parse(file, &sysfs.record(file)?)?;
        Ok((!results.status.is_empty()).then_some(results))
    }
}

impl Record {
    /// Reads all records; `None` before the first test.
    pub(crate) fn read(sysfs: &Sysfs) -> Result<Option<Self>, Failure> {
        let Some(results) = Results::read(sysfs)? else {
            return Ok(None);
        };
        Ok(Some(Self {
            results,
            histograms: parse("histograms.json", &sysfs.record("histograms.json")?)?,
            trend: parse("trend.json", &sysfs.record("trend.json")?)?,
        }))
    }
}

/// Returns a record for tests.
#[cfg(test)]
pub(crate) fn example() -> Record {
    let results = include_str!("../tests/records/results.json");
    let histograms = include_str!("../tests/records/histograms.json");
    let trend = include_str!("../tests/records/trend.json");
    Record {
        results: parse("results.json", results).unwrap(),
        histograms: parse("histograms.json", histograms).unwrap(),
        trend: parse("trend.json", trend).unwrap(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_passed_over() {
        let results: Results = parse(
            "results.json",
            r#"{"status":"STOPPED","type":4,"seed":18446744073709551615,"invented_later":[1],
                "added_latency":null,"integrity":{"verified":3},
                "targets":[{"name":"a","outcome":"N/A","reason":"why"}]}"#,
        )
        .unwrap();
        assert_eq!((results.test, results.seed), (4, u64::MAX));
        assert!(results.added_latency.is_none());
        assert_eq!(results.integrity.map(|found| found.verified), Some(3));
        assert_eq!(results.targets[0].reason.as_deref(), Some("why"));
    }

    #[test]
    fn histograms_are_pairs() {
        let text = r#"{"added_latency":[[96,5],[128,1]],"read_latency":[],"write_latency":[]}"#;
        let histograms: Histograms = parse("histograms.json", text).unwrap();
        assert_eq!(histograms.added_latency, [(96, 5), (128, 1)]);
        assert!(parse::<Histograms>("x", r#"{"added_latency":[[1]]}"#).is_err());
        assert!(parse::<Trend>("x", r#"{"samples":"#).is_err());
    }
}
