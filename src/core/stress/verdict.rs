// SPDX-License-Identifier: GPL-2.0

//! Verdict on a stress test, by the targets of the specification.
//!
//! A target that a run cannot judge is reported as such, with the reason. It never counts as met.

use core::fmt;

use crate::stress::{
    figure::Figure,
    measurement::{
        Hazard,
        Measurement,
        Progress, //
    },
    regression::Regression,
    stress_test::Limit,
    workload::MAX_WORKERS, //
};

/// Number of bios that have to be in flight at once in a test that asks for so many.
pub const PEAK_IN_FLIGHT: u64 = 1000;

/// Number of remaps that the specification calls many.
const MANY_ENTRIES: u64 = 10_000;

/// Shortest run whose throughput is judged, in milliseconds.
const SHORTEST_MS: u64 = 1000;

/// Outcome of a target for a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The target is met.
    Pass,
    /// The target is missed.
    Fail,
    /// The run cannot judge the target, for this reason.
    NotJudged(&'static str),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Pass => f.write_str("PASS"),
            Outcome::Fail => f.write_str("FAIL"),
            Outcome::NotJudged(why) => write!(f, "N/A ({why})"),
        }
    }
}

/// Category of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Category {
    /// Speed of the target.
    Performance,
    /// Dependability of the target.
    Reliability,
}

/// Target of the specification.
struct Target {
    name: &'static str,
    asks: &'static str,
    category: Category,
    judge: fn(&Measurement) -> (Figure, Outcome),
}

/// Number of targets.
pub const TARGETS: usize = 13;

static TABLE: [Target; TARGETS] = [
    Target {
        name: "Average added latency",
        asks: "< 500 ns",
        category: Category::Performance,
        judge: |run| added(run, |added| added.average, 500),
    },
    Target {
        name: "99.9 % added latency",
        asks: "< 2000 ns",
        category: Category::Performance,
        judge: |run| added(run, |added| added.p99_9, 2000),
    },
    Target {
        name: "Latency variance",
        asks: "< 10 %",
        category: Category::Performance,
        judge: variance,
    },
    Target {
        name: "Throughput",
        asks: ">= 100 MB/s",
        category: Category::Performance,
        judge: throughput,
    },
    Target {
        name: "Peak throughput",
        asks: "as hardware",
        category: Category::Performance,
        judge: peak_throughput,
    },
    Target {
        name: "Throughput drift",
        asks: "< 5 %",
        category: Category::Performance,
        judge: drift,
    },
    Target {
        name: "Peak in flight",
        asks: ">= 1000",
        category: Category::Performance,
        judge: peak,
    },
    Target {
        name: "Remap entries",
        asks: "> 10000",
        category: Category::Performance,
        judge: entries,
    },
    Target {
        name: "Worker threads",
        asks: "32",
        category: Category::Reliability,
        judge: workers,
    },
    Target {
        name: "Stability",
        asks: ">= 24 h",
        category: Category::Reliability,
        judge: stability,
    },
    Target {
        name: "Error rate",
        asks: "< 0.01 %",
        category: Category::Reliability,
        judge: error_rate,
    },
    Target {
        name: "Memory growth",
        asks: "0 bytes",
        category: Category::Reliability,
        judge: memory,
    },
    Target {
        name: "Data mismatches",
        asks: "0",
        category: Category::Reliability,
        judge: integrity,
    },
];

const fn met(condition: bool) -> Outcome {
    if condition {
        Outcome::Pass
    } else {
        Outcome::Fail
    }
}

fn added(
    run: &Measurement,
    figure: fn(&crate::stress::histogram::Summary) -> u64,
    limit: u64,
) -> (Figure, Outcome) {
    match &run.added {
        None => (Figure::None, Outcome::NotJudged("the target took no times")),
        Some(added) if added.count == 0 => (
            Figure::None,
            Outcome::NotJudged("no operation passed the target"),
        ),
        Some(added) => {
            let ns = figure(added);
            (Figure::Nanoseconds(ns), met(ns < limit))
        }
    }
}

fn variance(run: &Measurement) -> (Figure, Outcome) {
    match run.variation {
        None => (
            Figure::None,
            Outcome::NotJudged("run shorter than 4 samples"),
        ),
        Some(variation) => (Figure::BasisPoints(variation), met(variation < 1000)),
    }
}

fn throughput(run: &Measurement) -> (Figure, Outcome) {
    let rate = run.megabytes_per_second();
    let outcome = if run.elapsed_ms() < SHORTEST_MS {
        Outcome::NotJudged("run shorter than a second")
    } else {
        met(rate >= 100)
    };
    (Figure::MegabytesPerSecond(rate), outcome)
}

fn drift(run: &Measurement) -> (Figure, Outcome) {
    let drift = run
        .quarters
        .and_then(|quarters| quarters.throughput_drift());
    match (run.quarters, drift) {
        (None, _) => (
            Figure::None,
            Outcome::NotJudged("run shorter than 4 samples"),
        ),
        (Some(_), None) => (
            Figure::None,
            Outcome::NotJudged("nothing moved in the first quarter"),
        ),
        // Only a loss is a degradation.
        (Some(_), Some(drift)) => (Figure::BasisPoints(drift), met(drift > -500)),
    }
}

fn peak(run: &Measurement) -> (Figure, Outcome) {
    let figure = Figure::Count(run.peak_in_flight);
    let outcome = if u64::from(run.queue_depth) < PEAK_IN_FLIGHT {
        Outcome::NotJudged("the test asks for fewer")
    } else if run.peak_in_flight >= PEAK_IN_FLIGHT {
        Outcome::Pass
    } else if run.synchronous {
        Outcome::NotJudged("the device completes bios as they are submitted")
    } else {
        Outcome::Fail
    };
    (figure, outcome)
}

fn peak_throughput(run: &Measurement) -> (Figure, Outcome) {
    let rate = run.peak_bytes_per_second.map(|rate| rate / 1_000_000);
    (
        rate.map_or(Figure::None, Figure::MegabytesPerSecond),
        Outcome::NotJudged("a figure of the hardware"),
    )
}

/// Judges the target of more than [`MANY_ENTRIES`] remaps without degradation, which needs a comparison with
/// a baseline.
fn entries(run: &Measurement) -> (Figure, Outcome) {
    let Some(engine) = &run.engine else {
        return (Figure::None, Outcome::NotJudged("the table is gone"));
    };
    let outcome = match &run.regression {
        _ if engine.entries <= MANY_ENTRIES => Outcome::NotJudged("fewer remaps"),
        Regression::Compared(comparison) => {
            met(!comparison.latency_regressed() && !comparison.throughput_regressed())
        }
        _ => Outcome::NotJudged("compared with no baseline"),
    };
    (Figure::Count(engine.entries), outcome)
}

fn workers(run: &Measurement) -> (Figure, Outcome) {
    let outcome = if run.workers < MAX_WORKERS {
        Outcome::NotJudged("the test asks for fewer")
    } else {
        met(run.failed_workers == 0)
    };
    (Figure::Count(u64::from(run.workers)), outcome)
}

fn stability(run: &Measurement) -> (Figure, Outcome) {
    let hours = run.elapsed_ms() / 3_600_000;
    let outcome = if hours < 24 {
        Outcome::NotJudged("the run is shorter")
    } else {
        met(run.failed_workers == 0)
    };
    (Figure::Hours(hours), outcome)
}

fn error_rate(run: &Measurement) -> (Figure, Outcome) {
    match run.error_rate() {
        None => (Figure::None, Outcome::NotJudged("no operation ended")),
        Some(rate) => (Figure::PartsPerMillion(rate), met(rate < 100)),
    }
}

fn memory(run: &Measurement) -> (Figure, Outcome) {
    if run.progress == Progress::Running {
        return (Figure::None, Outcome::NotJudged("running"));
    }
    let before = i64::try_from(run.resources.memory_before).unwrap_or(i64::MAX);
    let after = i64::try_from(run.resources.memory_after).unwrap_or(i64::MAX);
    // Both are at least zero, so the difference does not overflow.
    let growth = after.saturating_sub(before);
    (Figure::Bytes(growth), met(growth <= 0))
}

fn integrity(run: &Measurement) -> (Figure, Outcome) {
    let Some(integrity) = run.integrity else {
        return (Figure::None, Outcome::NotJudged("nothing read again yet"));
    };
    let figure = Figure::Count(integrity.mismatches);
    let outcome = if integrity.mismatches > 0 && integrity.shared {
        Outcome::NotJudged("somebody else wrote to the device")
    } else if integrity.mismatches > 0 {
        Outcome::Fail
    } else if integrity.verified == 0 {
        Outcome::NotJudged("nothing could be read again")
    } else {
        Outcome::Pass
    };
    (figure, outcome)
}

/// Row of the table of targets: a target and its outcome for a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Name of the target.
    pub name: &'static str,
    /// Condition of the target.
    pub asks: &'static str,
    /// Category of the target.
    pub category: Category,
    /// Measured figure.
    pub measured: Figure,
    /// Outcome.
    pub outcome: Outcome,
}

/// Result of a test, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TestResult {
    /// The test is still running.
    Pending,
    /// There is no reason to call the run failed.
    Passed,
    /// There is a reason to call the run failed.
    Failed,
}

impl TestResult {
    /// Returns the word in the reports.
    pub const fn word(self) -> &'static str {
        match self {
            TestResult::Pending => "N/A (running)",
            TestResult::Passed => "PASSED",
            TestResult::Failed => "FAILED",
        }
    }
}

/// Verdict on a run by every target.
#[derive(Clone, Copy, Debug)]
pub struct Verdict<'a> {
    run: &'a Measurement,
}

impl<'a> Verdict<'a> {
    /// Judges `run`. While the test is running, its results so far are judged.
    pub const fn new(run: &'a Measurement) -> Self {
        Self { run }
    }

    /// Returns a row for each target. Rows are made one by one: a kernel stack has no room for all.
    pub fn rows(&self) -> impl Iterator<Item = Row> + 'a {
        let run = self.run;
        TABLE.iter().map(move |target| {
            let (measured, outcome) = (target.judge)(run);
            Row {
                name: target.name,
                asks: target.asks,
                category: target.category,
                measured,
                outcome,
            }
        })
    }

    /// Returns the outcome of all targets of a category together.
    pub fn overall(&self, category: Category) -> Outcome {
        let of_category = || self.rows().filter(|row| row.category == category);
        if of_category().any(|row| row.outcome == Outcome::Fail) {
            Outcome::Fail
        } else if of_category().any(|row| row.outcome == Outcome::Pass) {
            Outcome::Pass
        } else {
            Outcome::NotJudged("nothing measured")
        }
    }

    /// Returns the result of the test.
    pub fn result(&self) -> TestResult {
        if self.run.progress == Progress::Running {
            TestResult::Pending
        } else if self.reasons().any(|_| true) {
            TestResult::Failed
        } else {
            TestResult::Passed
        }
    }

    /// Returns every reason to call the run failed.
    pub fn reasons(&self) -> impl Iterator<Item = FailureReason> + 'a {
        let run = self.run;
        // Made one by one, like the rows.
        REASONS.iter().filter_map(move |reason| reason(run)).chain(
            self.rows()
                .filter(|row| row.outcome == Outcome::Fail)
                .map(FailureReason::Missed),
        )
    }
}

static REASONS: [fn(&Measurement) -> Option<FailureReason>; 9] = [
    stopped_early,
    |run| run.hazard.map(FailureReason::Hazard),
    nothing_done,
    |run| any(u64::from(run.failed_workers), FailureReason::FailedWorkers),
    |run| any(run.left_remapped, FailureReason::LeftRemapped),
    |run| any(run.remap_errors, FailureReason::RemapErrors),
    |run| {
        let unreadable = run.integrity.map_or(0, |integrity| integrity.unreadable);
        any(unreadable, FailureReason::Unreadable)
    },
    |run| {
        let [latency, _] = regressions(&run.regression);
        latency
    },
    |run| {
        let [_, throughput] = regressions(&run.regression);
        throughput
    },
];

fn any(count: u64, reason: fn(u64) -> FailureReason) -> Option<FailureReason> {
    (count > 0).then(|| reason(count))
}

fn nothing_done(run: &Measurement) -> Option<FailureReason> {
    (run.ops == 0 && run.progress != Progress::Running).then_some(FailureReason::NothingDone)
}

fn stopped_early(run: &Measurement) -> Option<FailureReason> {
    let (done, of, unit) = match run.limit {
        Limit::Time(ms) => (run.elapsed_ms(), ms, "ms"),
        Limit::Volume(bytes) => (run.bytes / 1_000_000, bytes / 1_000_000, "MB"),
    };
    (run.progress == Progress::StoppedEarly).then_some(FailureReason::StoppedEarly {
        done,
        of,
        unit,
    })
}

/// Returns the failure reasons from the comparison with the baseline: of the latency, or that the run could not
/// be compared, and of the throughput.
fn regressions(regression: &Regression) -> [Option<FailureReason>; 2] {
    match regression {
        Regression::NotAsked | Regression::Pending | Regression::First(_) => [None, None],
        Regression::NotJudged(why) => [Some(FailureReason::NotCompared(why)), None],
        Regression::Compared(comparison) => {
            let regressed = |name, change: Option<i64>, threshold| FailureReason::Regressed {
                name,
                change: Figure::BasisPoints(change.unwrap_or(0)),
                threshold,
            };
            let latency = comparison.latency_regressed().then(|| {
                let change = comparison.latency_change();
                regressed("added latency", change, comparison.thresholds.latency)
            });
            let throughput = comparison.throughput_regressed().then(|| {
                let change = comparison.throughput_change();
                regressed("throughput", change, comparison.thresholds.throughput)
            });
            [latency, throughput]
        }
    }
}

/// FailureReason to call a run failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureReason {
    /// The test was stopped before its limit.
    StoppedEarly {
        /// Part of the limit that was reached.
        done: u64,
        /// Limit.
        of: u64,
        /// Unit of both.
        unit: &'static str,
    },
    /// The test could have damaged data if it had gone on.
    Hazard(Hazard),
    /// No operation succeeded.
    NothingDone,
    /// This number of workers gave up.
    FailedWorkers(u64),
    /// This number of blocks stayed remapped.
    LeftRemapped(u64),
    /// This number of remaps and unremaps failed.
    RemapErrors(u64),
    /// This number of ranges could not be read again.
    Unreadable(u64),
    /// The run could not be compared with the baseline, for this reason.
    NotCompared(&'static str),
    /// The run is worse than the baseline by more than the threshold.
    Regressed {
        /// Name of the figure that is worse.
        name: &'static str,
        /// Change of the figure.
        change: Figure,
        /// Threshold in percent.
        threshold: u32,
    },
    /// A target was missed.
    Missed(Row),
}

impl fmt::Display for FailureReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FailureReason::StoppedEarly { done, of, unit } => {
                write!(f, "stopped early after {done} of {of} {unit}")
            }
            FailureReason::Hazard(hazard) => f.write_str(hazard.reason()),
            FailureReason::NothingDone => f.write_str("no operation was completed"),
            FailureReason::FailedWorkers(count) => {
                write!(f, "{count} workers gave up after too many errors in a row")
            }
            FailureReason::LeftRemapped(count) => {
                write!(f, "{count} blocks of the test could not be unremapped")
            }
            FailureReason::RemapErrors(count) => write!(f, "{count} remaps or unremaps failed"),
            FailureReason::Unreadable(count) => {
                write!(f, "{count} ranges could not be read again")
            }
            FailureReason::NotCompared(why) => write!(f, "not compared with the baseline: {why}"),
            FailureReason::Regressed {
                name,
                change,
                threshold,
            } => write!(f, "{name} changed by {change} (threshold {threshold} %)"),
            FailureReason::Missed(row) => {
                write!(f, "{} {} (target {})", row.name, row.measured, row.asks)
            }
        }
    }
}

#[cfg(test)]
mod tests;
