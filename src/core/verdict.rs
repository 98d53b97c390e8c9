// SPDX-License-Identifier: GPL-2.0

//! Judges a stress test against the targets of the specification.
//!
//! A target that a run cannot judge says so and why; it is never taken for met.

use core::fmt;

use crate::{
    measurement::{
        Hazard,
        Measurement,
        Progress, //
    },
    regression::Regression,
    stress_test::Limit,
    workload::MAX_WORKERS,
};

/// Bios that have to be in flight at once in a test that asks for that many.
pub const PEAK_IN_FLIGHT: u64 = 1000;

/// What the specification takes for many remaps.
const MANY_ENTRIES: u64 = 10_000;

/// Shortest run whose throughput means something, in milliseconds.
const SHORTEST_MS: u64 = 1000;

/// What a target says of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The target is met.
    Pass,
    /// It is not.
    Fail,
    /// The run cannot tell, for this reason.
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

/// A measured figure in its unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figure {
    /// Nothing was measured.
    None,
    /// A time in nanoseconds.
    Nanoseconds(u64),
    /// Millions of bytes a second.
    MegabytesPerSecond(u64),
    /// Hundredths of a percent.
    BasisPoints(i64),
    /// Ten thousandths of a percent.
    PartsPerMillion(u64),
    /// A number of something.
    Count(u64),
    /// A change in bytes.
    Bytes(i64),
    /// A time in hours.
    Hours(u64),
}

impl Figure {
    fn write(&self, f: &mut dyn fmt::Write) -> fmt::Result {
        match *self {
            Figure::None => f.write_str("-"),
            Figure::Nanoseconds(ns) => write!(f, "{ns} ns"),
            Figure::MegabytesPerSecond(rate) => write!(f, "{rate} MB/s"),
            Figure::BasisPoints(value) => {
                let sign = if value < 0 { "-" } else { "" };
                let size = value.unsigned_abs();
                write!(f, "{sign}{}.{:02} %", size / 100, size % 100)
            }
            Figure::PartsPerMillion(value) => {
                write!(f, "{}.{:04} %", value / 10_000, value % 10_000)
            }
            Figure::Count(count) => write!(f, "{count}"),
            Figure::Bytes(bytes) => write!(f, "{bytes} bytes"),
            Figure::Hours(hours) => write!(f, "{hours} h"),
        }
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f)?;
        // A column of figures: blanks up to the width that was asked for.
        let mut length = Length(0);
        self.write(&mut length)?;
        for _ in length.0..f.width().unwrap_or(0) {
            f.write_str(" ")?;
        }
        Ok(())
    }
}

/// Counts the bytes written to it.
struct Length(usize);

impl fmt::Write for Length {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 = self.0.saturating_add(text.len());
        Ok(())
    }
}

/// Whether a target is about speed or about trust.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// How fast.
    Performance,
    /// How dependable.
    Reliability,
}

/// A target: what it is called and asks for, and how a run is held against it.
struct Target {
    name: &'static str,
    asks: &'static str,
    kind: Kind,
    judge: fn(&Measurement) -> (Figure, Outcome),
}

/// Number of targets.
pub const TARGETS: usize = 13;

static TABLE: [Target; TARGETS] = [
    Target {
        name: "Average added latency",
        asks: "< 500 ns",
        kind: Kind::Performance,
        judge: |run| added(run, |added| added.average, 500),
    },
    Target {
        name: "99.9 % added latency",
        asks: "< 2000 ns",
        kind: Kind::Performance,
        judge: |run| added(run, |added| added.p99_9, 2000),
    },
    Target {
        name: "Latency variance",
        asks: "< 10 %",
        kind: Kind::Performance,
        judge: variance,
    },
    Target {
        name: "Throughput",
        asks: ">= 100 MB/s",
        kind: Kind::Performance,
        judge: throughput,
    },
    Target {
        name: "Peak throughput",
        asks: "as hardware",
        kind: Kind::Performance,
        judge: peak_throughput,
    },
    Target {
        name: "Throughput drift",
        asks: "< 5 %",
        kind: Kind::Performance,
        judge: drift,
    },
    Target {
        name: "Peak in flight",
        asks: ">= 1000",
        kind: Kind::Performance,
        judge: peak,
    },
    Target {
        name: "Remap entries",
        asks: "> 10000",
        kind: Kind::Performance,
        judge: entries,
    },
    Target {
        name: "Worker threads",
        asks: "32",
        kind: Kind::Reliability,
        judge: workers,
    },
    Target {
        name: "Stability",
        asks: ">= 24 h",
        kind: Kind::Reliability,
        judge: stability,
    },
    Target {
        name: "Error rate",
        asks: "< 0.01 %",
        kind: Kind::Reliability,
        judge: error_rate,
    },
    Target {
        name: "Memory growth",
        asks: "0 bytes",
        kind: Kind::Reliability,
        judge: memory,
    },
    Target {
        name: "Data mismatches",
        asks: "0",
        kind: Kind::Reliability,
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
    figure: fn(&crate::histogram::Summary) -> u64,
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

/// More than [`MANY_ENTRIES`] remaps without degradation, so it takes a comparison.
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

/// A target held against a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Name of the target.
    pub name: &'static str,
    /// What it asks for.
    pub asks: &'static str,
    /// Whether it is about speed or about trust.
    pub kind: Kind,
    /// What was measured.
    pub measured: Figure,
    /// What that means.
    pub outcome: Outcome,
}

/// The end of a test, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TestResult {
    /// It still runs.
    Pending,
    /// Nothing speaks against it.
    Passed,
    /// Something does.
    Failed,
}

impl TestResult {
    /// The word in the reports.
    pub const fn word(self) -> &'static str {
        match self {
            TestResult::Pending => "N/A (running)",
            TestResult::Passed => "PASSED",
            TestResult::Failed => "FAILED",
        }
    }
}

/// A run held against every target.
#[derive(Clone, Copy, Debug)]
pub struct Verdict<'a> {
    run: &'a Measurement,
}

impl<'a> Verdict<'a> {
    /// Judges `run`. While it is running, the targets are judged by what is known so far.
    pub const fn new(run: &'a Measurement) -> Self {
        Self { run }
    }

    /// A row for each target. Made one by one: a kernel stack has no room for all.
    pub fn rows(&self) -> impl Iterator<Item = Row> + 'a {
        let run = self.run;
        TABLE.iter().map(move |target| {
            let (measured, outcome) = (target.judge)(run);
            Row {
                name: target.name,
                asks: target.asks,
                kind: target.kind,
                measured,
                outcome,
            }
        })
    }

    /// All targets of one kind together.
    pub fn overall(&self, kind: Kind) -> Outcome {
        let of_kind = || self.rows().filter(|row| row.kind == kind);
        if of_kind().any(|row| row.outcome == Outcome::Fail) {
            Outcome::Fail
        } else if of_kind().any(|row| row.outcome == Outcome::Pass) {
            Outcome::Pass
        } else {
            Outcome::NotJudged("nothing measured")
        }
    }

    /// Passed or failed.
    pub fn result(&self) -> TestResult {
        if self.run.progress == Progress::Running {
            TestResult::Pending
        } else if self.reasons().any(|_| true) {
            TestResult::Failed
        } else {
            TestResult::Passed
        }
    }

    /// Every reason to call the run failed.
    pub fn reasons(&self) -> impl Iterator<Item = Reason> + 'a {
        let run = self.run;
        // One by one, as the rows.
        REASONS.iter().filter_map(move |reason| reason(run)).chain(
            self.rows()
                .filter(|row| row.outcome == Outcome::Fail)
                .map(Reason::Missed),
        )
    }
}

static REASONS: [fn(&Measurement) -> Option<Reason>; 9] = [
    stopped_early,
    |run| run.hazard.map(Reason::Hazard),
    nothing_done,
    |run| any(u64::from(run.failed_workers), Reason::FailedWorkers),
    |run| any(run.left_remapped, Reason::LeftRemapped),
    |run| any(run.remap_errors, Reason::RemapErrors),
    |run| {
        let unreadable = run.integrity.map_or(0, |integrity| integrity.unreadable);
        any(unreadable, Reason::Unreadable)
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

fn any(count: u64, reason: fn(u64) -> Reason) -> Option<Reason> {
    (count > 0).then(|| reason(count))
}

fn nothing_done(run: &Measurement) -> Option<Reason> {
    (run.ops == 0 && run.progress != Progress::Running).then_some(Reason::NothingDone)
}

fn stopped_early(run: &Measurement) -> Option<Reason> {
    let (done, of, unit) = match run.limit {
        Limit::Time(ms) => (run.elapsed_ms(), ms, "ms"),
        Limit::Volume(bytes) => (run.bytes / 1_000_000, bytes / 1_000_000, "MB"),
    };
    (run.progress == Progress::StoppedEarly).then_some(Reason::StoppedEarly { done, of, unit })
}

/// What speaks against a run in comparison with the baseline: its latency, or that it could not be
/// compared, and its throughput.
fn regressions(regression: &Regression) -> [Option<Reason>; 2] {
    match regression {
        Regression::NotAsked | Regression::Pending | Regression::First(_) => [None, None],
        Regression::NotJudged(why) => [Some(Reason::NotCompared(why)), None],
        Regression::Compared(comparison) => {
            let regressed = |name, change: Option<i64>, threshold| Reason::Regressed {
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

/// A reason to call a run failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Somebody stopped it.
    StoppedEarly {
        /// When so much was done.
        done: u64,
        /// Of so much.
        of: u64,
        /// In this unit.
        unit: &'static str,
    },
    /// It had to end, since it would have gone on beside others.
    Hazard(Hazard),
    /// Not one operation ended well.
    NothingDone,
    /// So many workers gave up.
    FailedWorkers(u64),
    /// So many blocks stayed remapped.
    LeftRemapped(u64),
    /// So many remaps failed.
    RemapErrors(u64),
    /// So many ranges could not be read again.
    Unreadable(u64),
    /// It was to be compared with the baseline and could not be.
    NotCompared(&'static str),
    /// It is worse than the baseline by more than may be.
    Regressed {
        /// What is worse.
        name: &'static str,
        /// By so much.
        change: Figure,
        /// More than so many percent.
        threshold: u32,
    },
    /// A target was missed.
    Missed(Row),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::StoppedEarly { done, of, unit } => {
                write!(f, "stopped early after {done} of {of} {unit}")
            }
            Reason::Hazard(hazard) => f.write_str(hazard.reason()),
            Reason::NothingDone => f.write_str("no operation was completed"),
            Reason::FailedWorkers(count) => {
                write!(f, "{count} workers gave up after too many errors in a row")
            }
            Reason::LeftRemapped(count) => {
                write!(f, "{count} blocks of the test could not be unremapped")
            }
            Reason::RemapErrors(count) => write!(f, "{count} remaps or unremaps failed"),
            Reason::Unreadable(count) => {
                write!(f, "{count} ranges could not be read again")
            }
            Reason::NotCompared(why) => write!(f, "not compared with the baseline: {why}"),
            Reason::Regressed {
                name,
                change,
                threshold,
            } => write!(f, "{name} changed by {change} (threshold {threshold} %)"),
            Reason::Missed(row) => {
                write!(f, "{} {} (target {})", row.name, row.measured, row.asks)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        histogram::Summary,
        measurement::{
            Engine,
            Integrity,
            Resources, //
        },
        regression::{
            Comparison,
            Thresholds, //
        },
        trend::{
            Quarters,
            Sample,
            Typical, //
        },
    };
    use std::{
        format,
        string::{
            String,
            ToString, //
        },
        vec::Vec,
    };

    fn judged(change: impl FnOnce(&mut Measurement)) -> (TestResult, Vec<String>) {
        let mut run = Measurement::example();
        change(&mut run);
        let verdict = Verdict::new(&run);
        (
            verdict.result(),
            verdict.reasons().map(|reason| reason.to_string()).collect(),
        )
    }

    fn outcome(name: &str, change: impl FnOnce(&mut Measurement)) -> Outcome {
        let mut run = Measurement::example();
        change(&mut run);
        let verdict = Verdict::new(&run);
        let row = verdict.rows().find(|row| row.name == name);
        row.unwrap().outcome
    }

    #[test]
    fn a_good_run_passes() {
        assert_eq!(judged(|_| {}), (TestResult::Passed, Vec::new()));
    }

    #[test]
    fn a_test_that_did_nothing_has_failed() {
        for progress in [Progress::Completed, Progress::GaveUp] {
            let (result, reasons) = judged(|run| {
                run.progress = progress;
                run.ops = 0;
            });
            assert_eq!(result, TestResult::Failed);
            assert!(reasons.contains(&String::from("no operation was completed")));
        }
        let (result, reasons) = judged(|run| {
            run.progress = Progress::Running;
            run.ops = 0;
        });
        assert_eq!((result, reasons), (TestResult::Pending, Vec::new()));
    }

    #[test]
    fn a_test_that_could_harm_others_has_failed_and_says_why() {
        for (hazard, reason) in [
            (Hazard::Shared, "somebody else opened the device"),
            (Hazard::Written, "somebody else wrote to the device"),
            (Hazard::ReadOnly, "the device became read-only"),
            (Hazard::Replaced, "the table was replaced"),
        ] {
            let (result, reasons) = judged(|run| {
                run.progress = Progress::GaveUp;
                run.hazard = Some(hazard);
            });
            assert_eq!(
                (result, reasons),
                (TestResult::Failed, Vec::from([String::from(reason)]))
            );
        }
    }

    #[test]
    fn every_missed_target_is_a_reason() {
        let (result, reasons) = judged(|run| {
            run.added = Some(Summary {
                count: 1,
                average: 612,
                p99_9: 2000,
                ..Summary::default()
            });
            run.variation = Some(1000);
            run.bytes = 1000;
            run.queue_depth = 1024;
            run.errors = 3_000_000;
            run.resources.memory_after = 4096;
            run.integrity = Some(Integrity {
                verified: 5,
                mismatches: 2,
                ..Integrity::default()
            });
        });
        assert_eq!(result, TestResult::Failed);
        assert_eq!(
            reasons,
            [
                "Average added latency 612 ns (target < 500 ns)",
                "99.9 % added latency 2000 ns (target < 2000 ns)",
                "Latency variance 10.00 % (target < 10 %)",
                "Throughput 0 MB/s (target >= 100 MB/s)",
                "Peak in flight 128 (target >= 1000)",
                "Error rate 50.0000 % (target < 0.01 %)",
                "Memory growth 4096 bytes (target 0 bytes)",
                "Data mismatches 2 (target 0)",
            ]
        );
    }

    #[test]
    fn memory_is_judged_when_it_was_given_back() {
        let mut run = Measurement::example();
        run.resources.memory_after = run.resources.memory_before + 4096;
        for (progress, outcome) in [
            (Progress::Running, Outcome::NotJudged("running")),
            (Progress::Completed, Outcome::Fail),
        ] {
            run.progress = progress;
            let mut rows = Verdict::new(&run).rows();
            let row = rows.find(|row| row.name == "Memory growth").unwrap();
            assert_eq!(row.outcome, outcome);
        }
    }

    #[test]
    fn limits_are_exact() {
        let added = |average, p99_9| {
            move |run: &mut Measurement| {
                run.added = Some(Summary {
                    count: 1,
                    average,
                    p99_9,
                    ..Summary::default()
                })
            }
        };
        assert_eq!(
            outcome("Average added latency", added(499, 0)),
            Outcome::Pass
        );
        assert_eq!(
            outcome("Average added latency", added(500, 0)),
            Outcome::Fail
        );
        assert_eq!(
            outcome("99.9 % added latency", added(0, 1999)),
            Outcome::Pass
        );
        assert_eq!(
            outcome("99.9 % added latency", added(0, 2000)),
            Outcome::Fail
        );
        let rate = |bytes| move |run: &mut Measurement| run.bytes = bytes;
        assert_eq!(outcome("Throughput", rate(3_000_000_000)), Outcome::Pass);
        assert_eq!(outcome("Throughput", rate(2_999_000_000)), Outcome::Fail);
        let errors = |errors| {
            move |run: &mut Measurement| {
                run.ops = 1_000_000 - errors;
                run.errors = errors;
            }
        };
        assert_eq!(outcome("Error rate", errors(99)), Outcome::Pass);
        assert_eq!(outcome("Error rate", errors(100)), Outcome::Fail);
        let drift = |last_bytes| {
            move |run: &mut Measurement| {
                let quarter = |bytes| Sample {
                    ns: 1_000_000_000,
                    bytes,
                    ..Sample::default()
                };
                run.quarters = Some(Quarters {
                    first: quarter(1_000_000),
                    last: quarter(last_bytes),
                });
            }
        };
        assert_eq!(outcome("Throughput drift", drift(950_100)), Outcome::Pass);
        assert_eq!(outcome("Throughput drift", drift(950_000)), Outcome::Fail);
        assert_eq!(outcome("Throughput drift", drift(2_000_000)), Outcome::Pass);
    }

    #[test]
    fn what_cannot_be_judged_never_passes() {
        type Change = fn(&mut Measurement);
        let cases: [(&str, Change); 14] = [
            ("Peak throughput", |_| {}),
            ("Remap entries", |run| run.engine = None),
            ("Remap entries", |_| {}),
            ("Worker threads", |run| run.workers = 31),
            ("Stability", |_| {}),
            ("Average added latency", |run| run.added = None),
            ("99.9 % added latency", |run| {
                run.added = Some(Summary::default())
            }),
            ("Latency variance", |run| run.variation = None),
            ("Throughput", |run| run.elapsed_ns = 999_000_000),
            ("Throughput drift", |run| run.quarters = None),
            ("Throughput drift", |run| {
                run.quarters = Some(Quarters::default())
            }),
            ("Peak in flight", |run| run.queue_depth = 999),
            ("Error rate", |run| run.ops = 0),
            ("Data mismatches", |run| run.integrity = None),
        ];
        for (name, change) in cases {
            assert!(
                matches!(outcome(name, change), Outcome::NotJudged(_)),
                "{name}"
            );
        }
        let synchronous = |run: &mut Measurement| {
            run.queue_depth = 1024;
            run.synchronous = true;
        };
        assert!(matches!(
            outcome("Peak in flight", synchronous),
            Outcome::NotJudged(_)
        ));
    }

    #[test]
    fn many_remaps_are_judged_by_comparison() {
        let with = |entries, last: u64| {
            move |run: &mut Measurement| {
                run.engine = run.engine.map(|engine| Engine { entries, ..engine });
                let typical = |bytes_per_second| Typical {
                    added_ns: 100,
                    bytes_per_second,
                };
                run.regression = Regression::Compared(Comparison {
                    baseline: typical(1_000_000),
                    run: typical(last),
                    thresholds: Thresholds::DEFAULT,
                });
            }
        };
        assert_eq!(
            outcome("Remap entries", with(10_001, 1_000_000)),
            Outcome::Pass
        );
        assert_eq!(
            outcome("Remap entries", with(10_001, 800_000)),
            Outcome::Fail
        );
        let few = outcome("Remap entries", with(10_000, 1_000_000));
        assert!(matches!(few, Outcome::NotJudged(_)));
    }

    #[test]
    fn a_day_and_all_workers_are_judged_where_they_are_asked_for() {
        let all = |run: &mut Measurement| run.workers = 32;
        assert_eq!(outcome("Worker threads", all), Outcome::Pass);
        let day = |run: &mut Measurement| run.elapsed_ns = 86_400_000_000_000;
        assert_eq!(outcome("Stability", day), Outcome::Pass);
        let gave_up = |run: &mut Measurement| {
            run.workers = 32;
            run.failed_workers = 1;
        };
        assert_eq!(outcome("Worker threads", gave_up), Outcome::Fail);
    }

    #[test]
    fn a_mismatch_on_a_shared_device_is_not_judged() {
        let mismatch = |shared| {
            move |run: &mut Measurement| {
                run.integrity = Some(Integrity {
                    verified: 9,
                    mismatches: 1,
                    unreadable: 0,
                    shared,
                })
            }
        };
        assert_eq!(outcome("Data mismatches", mismatch(false)), Outcome::Fail);
        assert!(matches!(
            outcome("Data mismatches", mismatch(true)),
            Outcome::NotJudged(_)
        ));
        let clean = |run: &mut Measurement| {
            run.integrity = Some(Integrity {
                verified: 9,
                shared: true,
                ..Integrity::default()
            })
        };
        assert_eq!(outcome("Data mismatches", clean), Outcome::Pass);
    }

    #[test]
    fn an_unfinished_run_does_not_pass() {
        assert_eq!(
            judged(|run| run.progress = Progress::Running).0,
            TestResult::Pending
        );
        let (result, reasons) = judged(|run| {
            run.progress = Progress::StoppedEarly;
            run.elapsed_ns = 1_500_000_000;
            run.bytes = 1_000_000_000;
        });
        assert_eq!(result, TestResult::Failed);
        assert_eq!(reasons, ["stopped early after 1500 of 30000 ms"]);
        let (result, reasons) = judged(|run| {
            run.progress = Progress::GaveUp;
            run.failed_workers = 2;
            run.left_remapped = 3;
            run.remap_errors = 4;
        });
        assert_eq!(result, TestResult::Failed);
        assert_eq!(reasons.len(), 3);
    }

    #[test]
    fn a_test_by_volume_says_how_much_was_moved() {
        let (_, reasons) = judged(|run| {
            run.progress = Progress::StoppedEarly;
            run.limit = Limit::Volume(1_000_000_000_000);
        });
        assert_eq!(reasons, ["stopped early after 12288 of 1000000 MB"]);
    }

    #[test]
    fn a_regression_fails_and_so_does_none_that_could_be_judged() {
        let typical = |added_ns, bytes_per_second| Typical {
            added_ns,
            bytes_per_second,
        };
        let compared = |added_ns, bytes_per_second| {
            move |run: &mut Measurement| {
                run.regression = Regression::Compared(Comparison {
                    baseline: typical(100, 1_000_000),
                    run: typical(added_ns, bytes_per_second),
                    thresholds: Thresholds::DEFAULT,
                })
            }
        };
        assert_eq!(judged(compared(109, 910_000)).0, TestResult::Passed);
        let (result, reasons) = judged(compared(125, 800_000));
        assert_eq!(result, TestResult::Failed);
        assert_eq!(
            reasons,
            [
                "added latency changed by 25.00 % (threshold 10 %)",
                "throughput changed by -20.00 % (threshold 10 %)"
            ]
        );
        let (result, reasons) = judged(|run| run.regression = Regression::NotJudged("why"));
        assert_eq!(result, TestResult::Failed);
        assert_eq!(reasons, ["not compared with the baseline: why"]);
        let first = judged(|run| run.regression = Regression::First(typical(1, 1)));
        assert_eq!(first.0, TestResult::Passed);
    }

    #[test]
    fn figures_have_their_units() {
        assert_eq!(format!("{}", Figure::BasisPoints(-5)), "-0.05 %");
        assert_eq!(format!("{}", Figure::PartsPerMillion(100)), "0.0100 %");
        assert_eq!(format!("{}", Figure::Bytes(-8)), "-8 bytes");
        assert_eq!(format!("{}", Outcome::NotJudged("why")), "N/A (why)");
        let _ = Resources::default();
    }
}
