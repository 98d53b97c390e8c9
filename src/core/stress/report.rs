// SPDX-License-Identifier: GPL-2.0

//! The text of the stress manager's reports.
//!
//! Headings, keys and their order are a contract with users (`docs/`); each report fits a page.
//! A MB is 10^6 bytes. What was not measured says `N/A`.

use core::fmt::{
    self,
    Write, //
};

use crate::stress::{
    histogram::Summary,
    measurement::{
        Measurement,
        Progress, //
    },
    name::Printable,
    regression::{
        Comparison,
        Regression, //
    },
    stress_test::Limit,
    trend::{
        BasisPoints,
        Quarters,
        Sample, //
    },
    verdict::{
        Figure,
        Kind,
        Verdict, //
    }, //
};

/// Bytes that a report may take: the page that sysfs gives it.
pub const MAX_BYTES: usize = 4096;

const MEGABYTE: u64 = 1_000_000;

/// A value, or why there is none.
enum Value<T> {
    Known(T),
    Unknown(&'static str),
}

impl<T: fmt::Display> fmt::Display for Value<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Known(value) => value.fmt(f),
            Value::Unknown("") => f.write_str("N/A"),
            Value::Unknown(why) => write!(f, "N/A ({why})"),
        }
    }
}

fn known<T>(value: Option<T>, otherwise: &'static str) -> Value<T> {
    value.map_or(Value::Unknown(otherwise), Value::Known)
}

/// The percentiles of one kind of latency on one line.
struct Latencies<'a>(&'a Summary);

impl fmt::Display for Latencies<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Summary {
            count: _,
            min,
            average,
            p50,
            p90,
            p99,
            p99_9,
            max,
        } = self.0;
        write!(
            f,
            "min={min} avg={average} p50={p50} p90={p90} p99={p99} p99.9={p99_9} max={max}"
        )
    }
}

fn latencies(summary: &Summary) -> Value<Latencies<'_>> {
    known((summary.count > 0).then_some(Latencies(summary)), "")
}

/// Every failure reason, separated by `; `.
struct Reasons<'a>(&'a Verdict<'a>);

impl fmt::Display for Reasons<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for reason in self.0.reasons() {
            write!(f, "{separator}{reason}")?;
            separator = "; ";
        }
        if separator.is_empty() {
            f.write_str("None")?;
        }
        Ok(())
    }
}

/// One line `key: value`, the values of a section in a column.
fn line(out: &mut dyn Write, key: &str, value: fmt::Arguments<'_>) -> fmt::Result {
    let pad = 17_usize.saturating_sub(key.len());
    writeln!(
        out,
        "  {key}:{:pad$}{}{value}",
        "",
        if pad == 0 { " " } else { "" }
    )
}

/// The line of `stress_test_status`. `None` before the first test.
pub fn status(run: Option<&Measurement>, out: &mut dyn Write) -> fmt::Result {
    let Some(run) = run else {
        return writeln!(out, "STOPPED");
    };
    let running = run.progress == Progress::Running;
    write!(
        out,
        "{} device={} type={} workers={} in_flight={} elapsed_ms={} duration_ms={} progress={}% \
         ops={} iops={} mb_s={} errors={}",
        if running { "RUNNING" } else { "STOPPED" },
        Printable(&run.name),
        run.test,
        run.workers,
        run.in_flight,
        run.elapsed_ms(),
        run.duration_ms(),
        run.percent_done(),
        run.ops,
        run.iops(),
        run.megabytes_per_second(),
        run.errors
    )?;
    if !running {
        let result = match run.progress {
            Progress::StoppedEarly => "STOPPED_EARLY",
            _ => Verdict::new(run).result().word(),
        };
        write!(out, " result={result}")?;
    }
    writeln!(out)
}

/// The text of `stress_test_results`. `None` before the first test.
pub fn results(run: Option<&Measurement>, out: &mut dyn Write) -> fmt::Result {
    out.write_str("=== Phase 3.2C Stress Test Results ===\n\n")?;
    let Some(run) = run else {
        return out.write_str(NOTHING);
    };
    let verdict = Verdict::new(run);
    configuration(run, out)?;
    performance(run, out)?;
    match &run.added {
        Some(added) => writeln!(out, "Added Latency (ns):  {}", latencies(added))?,
        None => out.write_str("Added Latency (ns):  N/A (the target took no times)\n")?,
    }
    writeln!(out, "I/O Latency (ns):    read  {}", latencies(&run.read))?;
    writeln!(
        out,
        "I/O Latency (ns):    write {}\n",
        latencies(&run.write)
    )?;

    out.write_str("Integrity:\n")?;
    let integrity = run.integrity.as_ref();
    let verified = known(
        integrity.map(|found| found.verified),
        "read again at the end",
    );
    line(out, "Blocks Verified", format_args!("{verified}"))?;
    let mismatches = known(
        integrity.map(|found| found.mismatches),
        "read again at the end",
    );
    let note = match integrity {
        Some(found) if found.shared && found.mismatches > 0 => {
            " (N/A: somebody else wrote to the device)"
        }
        _ => "",
    };
    line(out, "Mismatches", format_args!("{mismatches}{note}"))?;

    out.write_str("\nRegression Analysis:\n")?;
    regression(&run.regression, out)?;
    writeln!(out, "\nTest Result:      {}", verdict.result().word())?;
    writeln!(out, "Failure Reason:   {}", Reasons(&verdict))
}

fn regression(regression: &Regression, out: &mut dyn Write) -> fmt::Result {
    let why = match regression {
        Regression::Compared(comparison) => return compared(comparison, out),
        Regression::First(baseline) => {
            let (latency, rate) = (baseline.added_ns, baseline.bytes_per_second);
            line(out, REGRESSION[0], format_args!("{latency} ns"))?;
            line(out, REGRESSION[1], format_args!("N/A ({FIRST})"))?;
            line(out, REGRESSION[2], format_args!("{} MB/s", rate / MEGABYTE))?;
            return line(out, REGRESSION[3], format_args!("N/A ({FIRST})"));
        }
        Regression::NotAsked => "not a regression test",
        Regression::Pending => "running",
        Regression::NotJudged(why) => why,
    };
    for key in REGRESSION {
        line(out, key, format_args!("N/A ({why})"))?;
    }
    Ok(())
}

const FIRST: &str = "this run is the baseline";

fn compared(comparison: &Comparison, out: &mut dyn Write) -> fmt::Result {
    let (baseline, run) = (&comparison.baseline, &comparison.run);
    let latency = Change(baseline.added_ns, run.added_ns);
    let rates = (
        baseline.bytes_per_second / MEGABYTE,
        run.bytes_per_second / MEGABYTE,
    );
    let throughput = Change(rates.0, rates.1);
    let percent = |change: Option<BasisPoints>| known(change.map(Percent), "");
    line(out, REGRESSION[0], format_args!("{} ns", latency.0))?;
    line(
        out,
        REGRESSION[1],
        format_args!("{latency} ns ({})", percent(comparison.latency_change())),
    )?;
    line(out, REGRESSION[2], format_args!("{} MB/s", throughput.0))?;
    line(
        out,
        REGRESSION[3],
        format_args!(
            "{throughput} MB/s ({})",
            percent(comparison.throughput_change())
        ),
    )
}

/// The change from one figure to another, with its sign.
struct Change(u64, u64);

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.1 < self.0 { '-' } else { '+' };
        write!(f, "{sign}{}", self.1.abs_diff(self.0))
    }
}

/// A change in whole percent, with its sign.
struct Percent(BasisPoints);

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { '-' } else { '+' };
        write!(
            f,
            "{sign}{}%",
            self.0.unsigned_abs().saturating_add(50) / 100
        )
    }
}

const REGRESSION: [&str; 4] = [
    "Baseline Latency",
    "Latency Change",
    "Baseline Throughput",
    "Throughput Change",
];

fn configuration(run: &Measurement, out: &mut dyn Write) -> fmt::Result {
    out.write_str("Test Configuration:\n")?;
    line(
        out,
        "Device",
        format_args!("{} ({})", Printable(&run.name), run.device),
    )?;
    line(
        out,
        "Test Type",
        format_args!("{} ({})", run.test_name, run.test),
    )?;
    line(out, "Duration", format_args!("{} ms", run.duration_ms()))?;
    line(out, "Worker Threads", format_args!("{}", run.workers))?;
    line(out, "Queue Depth", format_args!("{}", run.queue_depth))?;
    line(out, "Seed", format_args!("{}", run.seed))
}

fn performance(run: &Measurement, out: &mut dyn Write) -> fmt::Result {
    out.write_str("\nPerformance Metrics:\n")?;
    line(out, "Total Operations", format_args!("{}", run.ops))?;
    let megabytes = run.bytes / MEGABYTE;
    line(
        out,
        "Total Bytes",
        format_args!("{} ({megabytes} MB)", run.bytes),
    )?;
    line(out, "Total Errors", format_args!("{}", run.errors))?;
    line(out, "Average Latency", format_args!("{}", average(run)))?;
    line(
        out,
        "Throughput",
        format_args!("{} MB/s", run.megabytes_per_second()),
    )?;
    line(out, "IOPS", format_args!("{}", run.iops()))?;
    line(
        out,
        "Peak In Flight",
        format_args!("{}", run.peak_in_flight),
    )?;
    out.write_char('\n')
}

fn average(run: &Measurement) -> Value<Figure> {
    let added = run.added.filter(|added| added.count > 0);
    known(added.map(|added| Figure::Nanoseconds(added.average)), "")
}

/// The text of `comprehensive_report`. `None` before the first test.
pub fn comprehensive(run: Option<&Measurement>, out: &mut dyn Write) -> fmt::Result {
    out.write_str("=== Phase 3.2C Comprehensive Performance Report ===\n\n")?;
    let Some(run) = run else {
        return out.write_str(NOTHING);
    };
    let verdict = Verdict::new(run);
    outcome(run, out)?;
    engine(run, out)?;
    resources(run, out)?;
    trend(run, out)?;

    out.write_str("\nVALIDATION TARGETS:\n")?;
    for row in verdict.rows() {
        writeln!(
            out,
            "  {:<22} {:<12} {:<12} {}",
            row.name, row.asks, row.measured, row.outcome
        )?;
    }

    out.write_str("\nOVERALL ASSESSMENT:\n")?;
    line(
        out,
        "Test Result",
        format_args!("{}", verdict.result().word()),
    )?;
    line(
        out,
        "Performance",
        format_args!("{}", verdict.overall(Kind::Performance)),
    )?;
    line(
        out,
        "Reliability",
        format_args!("{}", verdict.overall(Kind::Reliability)),
    )?;
    line(out, "Failure Reason", format_args!("{}", Reasons(&verdict)))
}

fn outcome(run: &Measurement, out: &mut dyn Write) -> fmt::Result {
    out.write_str("STRESS TEST RESULTS:\n")?;
    line(out, "Test Status", format_args!("{}", run.progress.word()))?;
    let elapsed = run.elapsed_ms();
    match run.limit {
        Limit::Time(ms) => line(out, "Duration", format_args!("{elapsed} of {ms} ms"))?,
        Limit::Volume(bytes) => {
            let megabytes = bytes / MEGABYTE;
            line(
                out,
                "Duration",
                format_args!("{elapsed} ms, until {megabytes} MB"),
            )?;
        }
    }
    line(out, "Workers", format_args!("{}", run.workers))?;
    line(out, "Operations", format_args!("{}", run.ops))?;
    line(
        out,
        "Data Processed",
        format_args!("{} MB", run.bytes / MEGABYTE),
    )?;
    line(out, "Errors", format_args!("{}", run.errors))?;
    line(out, "Avg Latency", format_args!("{}", average(run)))?;
    line(
        out,
        "Throughput",
        format_args!("{} MB/s", run.megabytes_per_second()),
    )?;
    line(out, "IOPS", format_args!("{}", run.iops()))
}

fn engine(run: &Measurement, out: &mut dyn Write) -> fmt::Result {
    out.write_str("\nREMAP ENGINE:\n")?;
    let Some(engine) = &run.engine else {
        for key in ENGINE {
            line(out, key, format_args!("N/A (the table is gone)"))?;
        }
        return Ok(());
    };
    let share = |part: u64| {
        let share = proportion(part, engine.fast.saturating_add(engine.slow));
        known(share.map(Figure::BasisPoints), "")
    };
    let (entries, spares) = (engine.entries, engine.spare_blocks);
    line(
        out,
        ENGINE[0],
        format_args!("{entries} of {spares} spare blocks"),
    )?;
    line(
        out,
        ENGINE[1],
        format_args!("{} ({})", engine.fast, share(engine.fast)),
    )?;
    line(
        out,
        ENGINE[2],
        format_args!("{} ({})", engine.slow, share(engine.slow)),
    )?;
    writeln!(
        out,
        "  {}:   reads={} writes={} remapped_reads={} remapped_writes={}",
        ENGINE[3], engine.reads, engine.writes, engine.remapped_reads, engine.remapped_writes
    )
}

const ENGINE: [&str; 4] = ["Remap Entries", "Fast Path", "Slow Path", "Per-CPU Totals"];

/// `part` of `whole` in hundredths of a percent; `None` of nothing.
fn proportion(part: u64, whole: u64) -> Option<BasisPoints> {
    let share = match part.checked_mul(10_000) {
        Some(scaled) => scaled.checked_div(whole)?,
        None => part.checked_div((whole / 10_000).max(1))?,
    };
    i64::try_from(share.min(10_000)).ok()
}

fn resources(run: &Measurement, out: &mut dyn Write) -> fmt::Result {
    out.write_str("\nRESOURCES:\n")?;
    let used = &run.resources;
    let running = run.progress == Progress::Running;
    let after = known((!running).then_some(used.memory_after), "running");
    line(
        out,
        "Memory Before",
        format_args!("{} bytes", used.memory_before),
    )?;
    line(
        out,
        "Memory Peak",
        format_args!("{} bytes", used.memory_peak),
    )?;
    let unit = if running { "" } else { " bytes" };
    line(out, "Memory After", format_args!("{after}{unit}"))?;
    line(
        out,
        "Worker CPU Time",
        format_args!("{} ms", used.cpu_ns / 1_000_000),
    )?;
    if used.pressure_bytes > 0 {
        let held = used.pressure_bytes >> 20;
        line(out, "Memory Pressure", format_args!("{held} MiB held"))?;
    }
    Ok(())
}

fn trend(run: &Measurement, out: &mut dyn Write) -> fmt::Result {
    out.write_str("\nTREND:\n")?;
    let quarter = |out: &mut dyn Write, key: &str, pick: fn(&Quarters) -> &Sample| {
        let Some(quarters) = &run.quarters else {
            return line(out, key, format_args!("N/A (run shorter than 4 samples)"));
        };
        let sample = pick(quarters);
        let added = known(sample.added().map(Figure::Nanoseconds), "");
        line(
            out,
            key,
            format_args!("{} IOPS, added latency {added}", sample.iops()),
        )
    };
    quarter(out, "First Quarter", |quarters| &quarters.first)?;
    quarter(out, "Last Quarter", |quarters| &quarters.last)?;
    let drift = |pick: fn(&Quarters) -> Option<BasisPoints>| {
        known(
            run.quarters
                .as_ref()
                .and_then(pick)
                .map(Figure::BasisPoints),
            "",
        )
    };
    let (iops, added) = (drift(Quarters::iops_drift), drift(Quarters::added_drift));
    line(
        out,
        "Drift",
        format_args!("IOPS {iops}, added latency {added}"),
    )?;
    let slope = known(run.slope.map(Figure::BasisPoints), "");
    line(
        out,
        "Steady State",
        format_args!("throughput {slope} over the later half"),
    )
}

/// The rest of a report before the first test.
const NOTHING: &str = "No test has run since the module was loaded.\n";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        interface::device_number::DeviceNumber,
        stress::{
            measurement::{
                Engine,
                Hazard,
                Integrity,
                Resources, //
            },
            name::Name,
            regression::Thresholds,
            trend::Typical, //
        }, //
    };
    use std::{
        format,
        string::String,
        vec::Vec, //
    };

    type Report = fn(Option<&Measurement>, &mut dyn Write) -> fmt::Result;

    fn text(report: Report, run: Option<&Measurement>) -> String {
        let mut text = String::new();
        report(run, &mut text).unwrap();
        text
    }

    /// Everything at its longest.
    fn extreme() -> Measurement {
        let summary = Summary {
            count: u64::MAX,
            min: u64::MAX,
            average: u64::MAX,
            p50: u64::MAX,
            p90: u64::MAX,
            p99: u64::MAX,
            p99_9: u64::MAX,
            max: u64::MAX,
        };
        let quarter = |ops| Sample {
            ns: 1000,
            ops,
            bytes: ops,
            added_count: 1,
            added_ns: u64::MAX - ops,
            memory: ops,
        };
        Measurement {
            name: Name::new(&[0xff; 127]),
            device: DeviceNumber {
                major: u32::MAX,
                minor: u32::MAX,
            },
            test: u8::MAX,
            test_name: "Sequential Write",
            limit: Limit::Time(u64::MAX),
            workers: u32::MAX,
            queue_depth: u32::MAX,
            seed: u64::MAX,
            progress: Progress::StoppedEarly,
            elapsed_ns: u64::MAX,
            ops: u64::MAX,
            bytes: u64::MAX,
            flushes: u64::MAX,
            zeroed: u64::MAX,
            errors: u64::MAX,
            in_flight: u64::MAX,
            peak_in_flight: 999,
            synchronous: false,
            added: Some(summary),
            read: summary,
            write: summary,
            quarters: Some(Quarters {
                first: quarter(u64::MAX),
                last: quarter(1),
            }),
            variation: Some(i64::MAX),
            peak_bytes_per_second: Some(u64::MAX),
            slope: Some(i64::MIN),
            regression: Regression::Compared(Comparison {
                baseline: Typical {
                    added_ns: 1,
                    bytes_per_second: u64::MAX,
                },
                run: Typical {
                    added_ns: u64::MAX,
                    bytes_per_second: 1,
                },
                thresholds: Thresholds {
                    latency: 1000,
                    throughput: 99,
                },
            }),
            integrity: Some(Integrity {
                verified: u64::MAX,
                mismatches: u64::MAX,
                unreadable: u64::MAX,
                shared: false,
            }),
            engine: Some(Engine {
                entries: u64::MAX,
                spare_blocks: u64::MAX,
                fast: u64::MAX,
                slow: u64::MAX,
                reads: u64::MAX,
                writes: u64::MAX,
                remapped_reads: u64::MAX,
                remapped_writes: u64::MAX,
            }),
            resources: Resources {
                memory_before: 0,
                memory_peak: u64::MAX,
                memory_after: u64::MAX,
                cpu_ns: u64::MAX,
                pressure_bytes: u64::MAX,
            },
            failed_workers: u32::MAX,
            left_remapped: u64::MAX,
            hazard: Some(Hazard::Written),
            remap_errors: u64::MAX,
        }
    }

    fn keys(text: &str) -> Vec<&str> {
        text.lines()
            .filter(|line| !line.is_empty())
            .map(|line| line.split_once(':').map_or(line, |(key, _)| key))
            .collect()
    }

    #[test]
    fn every_report_fits_a_page() {
        let mut run = extreme();
        for report in [status as Report, results, comprehensive] {
            for progress in [Progress::Running, Progress::StoppedEarly, Progress::GaveUp] {
                run.progress = progress;
                let length = text(report, Some(&run)).len();
                assert!(length < MAX_BYTES, "{length}");
            }
            assert!(text(report, None).len() < MAX_BYTES);
        }
    }

    #[test]
    fn status_is_one_line() {
        let mut run = Measurement::example();
        assert_eq!(
            text(status, Some(&run)),
            "STOPPED device=test_device type=4 workers=4 in_flight=0 elapsed_ms=30000 \
             duration_ms=30000 progress=100% ops=3000000 iops=100000 mb_s=409 errors=0 \
             result=PASSED\n"
        );
        run.progress = Progress::StoppedEarly;
        assert!(text(status, Some(&run)).ends_with(" result=STOPPED_EARLY\n"));
        run.progress = Progress::GaveUp;
        run.failed_workers = 1;
        assert!(text(status, Some(&run)).ends_with(" result=FAILED\n"));
        run.progress = Progress::Running;
        run.name = Name::new(b"a b\n=\\");
        let running = text(status, Some(&run));
        assert!(running.starts_with("RUNNING device=a\\x20b\\x0a=\\x5c type=4 "));
        assert!(running.ends_with(" errors=0\n"));
        assert_eq!(text(status, None), "STOPPED\n");
    }

    #[test]
    fn before_the_first_test_a_report_says_so_in_one_line() {
        assert_eq!(
            text(results, None),
            "=== Phase 3.2C Stress Test Results ===\n\n\
             No test has run since the module was loaded.\n"
        );
        assert_eq!(
            text(comprehensive, None),
            "=== Phase 3.2C Comprehensive Performance Report ===\n\n\
             No test has run since the module was loaded.\n"
        );
    }

    #[test]
    fn results_keep_headings_and_keys() {
        let run = Measurement::example();
        let wanted = [
            "=== Phase 3.2C Stress Test Results ===",
            "Test Configuration",
            "  Device",
            "  Test Type",
            "  Duration",
            "  Worker Threads",
            "  Queue Depth",
            "  Seed",
            "Performance Metrics",
            "  Total Operations",
            "  Total Bytes",
            "  Total Errors",
            "  Average Latency",
            "  Throughput",
            "  IOPS",
            "  Peak In Flight",
            "Added Latency (ns)",
            "I/O Latency (ns)",
            "I/O Latency (ns)",
            "Integrity",
            "  Blocks Verified",
            "  Mismatches",
            "Regression Analysis",
            "  Baseline Latency",
            "  Latency Change",
            "  Baseline Throughput",
            "  Throughput Change",
            "Test Result",
            "Failure Reason",
        ];
        let full = text(results, Some(&run));
        assert_eq!(keys(&full), wanted);
        for line in [
            "  Device:           test_device (253:0)",
            "  Test Type:        Mixed Workload (4)",
            "  Queue Depth:      128",
            "  Total Bytes:      12288000000 (12288 MB)",
            "  Average Latency:  120 ns",
            "  Throughput:       409 MB/s",
            "Added Latency (ns):  min=50 avg=120 p50=110 p90=200 p99=400 p99.9=900 max=5000",
            "  Baseline Throughput: N/A (not a regression test)",
            "Test Result:      PASSED",
            "Failure Reason:   None",
        ] {
            assert!(full.lines().any(|got| got == line), "{line}\n{full}");
        }
    }

    #[test]
    fn the_comprehensive_report_keeps_headings_and_keys() {
        let run = Measurement::example();
        let full = text(comprehensive, Some(&run));
        let wanted = [
            "STRESS TEST RESULTS",
            "  Test Status",
            "  Duration",
            "  Workers",
            "  Operations",
            "  Data Processed",
            "  Errors",
            "  Avg Latency",
            "  Throughput",
            "  IOPS",
            "REMAP ENGINE",
            "  Remap Entries",
            "  Fast Path",
            "  Slow Path",
            "  Per-CPU Totals",
            "RESOURCES",
            "  Memory Before",
            "  Memory Peak",
            "  Memory After",
            "  Worker CPU Time",
            "TREND",
            "  First Quarter",
            "  Last Quarter",
            "  Drift",
            "  Steady State",
            "VALIDATION TARGETS",
        ];
        assert_eq!(keys(&full)[1..=wanted.len()], wanted);
        let last = [
            "  Test Result",
            "  Performance",
            "  Reliability",
            "  Failure Reason",
        ];
        assert!(keys(&full).ends_with(&last));
        assert!(
            full.contains("  Fast Path:        90 (90.00 %)\n"),
            "{full}"
        );
        assert!(
            full.contains("  Average added latency  < 500 ns     120 ns       PASS\n"),
            "{full}"
        );
    }

    #[test]
    fn what_was_not_measured_is_not_made_up() {
        let mut run = Measurement::example();
        run.added = None;
        run.write = Summary::default();
        run.integrity = None;
        run.engine = None;
        run.quarters = None;
        run.progress = Progress::Running;
        let short = text(results, Some(&run));
        assert!(short.contains("  Average Latency:  N/A\n"));
        assert!(short.contains("I/O Latency (ns):    write N/A\n"));
        assert!(short.contains("  Blocks Verified:  N/A (read again at the end)\n"));
        assert!(short.contains("Test Result:      N/A (running)\n"));
        let long = text(comprehensive, Some(&run));
        assert!(long.contains("  Remap Entries:    N/A (the table is gone)\n"));
        assert!(long.contains("  Memory After:     N/A (running)\n"));
        assert!(long.contains("  First Quarter:    N/A (run shorter than 4 samples)\n"));
    }

    #[test]
    fn a_comparison_has_changes_with_their_signs() {
        let typical = |added_ns, bytes_per_second| Typical {
            added_ns,
            bytes_per_second,
        };
        let mut run = Measurement::example();
        run.regression = Regression::Compared(Comparison {
            baseline: typical(100, 200_000_000),
            run: typical(104, 150_000_000),
            thresholds: Thresholds::DEFAULT,
        });
        let compared = text(results, Some(&run));
        for line in [
            "  Baseline Latency: 100 ns",
            "  Latency Change:   +4 ns (+4%)",
            "  Baseline Throughput: 200 MB/s",
            "  Throughput Change: -50 MB/s (-25%)",
            "Test Result:      FAILED",
        ] {
            assert!(
                compared.lines().any(|got| got == line),
                "{line}\n{compared}"
            );
        }
        run.regression = Regression::First(typical(100, 200_000_000));
        let first = text(results, Some(&run));
        assert!(first.contains("  Baseline Latency: 100 ns\n"));
        assert!(first.contains("  Latency Change:   N/A (this run is the baseline)\n"));
    }

    #[test]
    fn a_test_by_volume_counts_what_was_moved() {
        let mut run = Measurement::example();
        run.limit = Limit::Volume(24_576_000_000);
        let line = text(status, Some(&run));
        assert!(line.contains(" duration_ms=30000 progress=50% "), "{line}");
        let long = text(comprehensive, Some(&run));
        assert!(
            long.contains("  Duration:         30000 ms, until 24576 MB\n"),
            "{long}"
        );
        run.resources.pressure_bytes = 5 << 20;
        let long = text(comprehensive, Some(&run));
        assert!(long.contains("  Memory Pressure:  5 MiB held\n"), "{long}");
    }

    #[test]
    fn a_shared_device_is_named_beside_its_mismatches() {
        let mut run = Measurement::example();
        run.integrity = Some(Integrity {
            verified: 5,
            mismatches: 1,
            unreadable: 0,
            shared: true,
        });
        let wanted = "  Mismatches:       1 (N/A: somebody else wrote to the device)\n";
        assert!(text(results, Some(&run)).contains(wanted));
        assert_eq!(format!("{}", known(None::<u8>, "why")), "N/A (why)");
    }
}
