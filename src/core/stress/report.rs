// SPDX-License-Identifier: GPL-2.0

//! Text of the stress manager's reports.
//!
//! Headings, keys and their order are a contract with users (`docs/`). Each report fits a page.
//! A MB is 10^6 bytes. A figure that was not measured is printed as `N/A`.

use core::fmt::{
    self,
    Write, //
};

use crate::stress::{
    delays::{
        microseconds,
        DelayFigures, //
    },
    figure::Figure,
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
        Category,
        Verdict, //
    }, //
};

/// Largest size of a report in bytes: the page that sysfs provides.
pub const MAX_BYTES: usize = 4096;

const MEGABYTE: u64 = 1_000_000;

/// Value, or the reason why there is none.
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

/// Returns `value`, or `otherwise` as the reason why there is none.
fn known<T>(value: Option<T>, otherwise: &'static str) -> Value<T> {
    value.map_or(Value::Unknown(otherwise), Value::Known)
}

/// Percentiles of one kind of latency, on one line.
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

/// Figures of one kind of delay, on one line.
struct DelayTimes<'a>(&'a Summary);

impl fmt::Display for DelayTimes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [p50, p99, max] = [self.0.p50, self.0.p99, self.0.max].map(microseconds);
        let count = self.0.count;
        write!(f, "count={count} p50={p50} p99={p99} max={max}")
    }
}

/// Writes the lines of delays.
fn delays(figures: &Option<DelayFigures>, out: &mut dyn Write) -> fmt::Result {
    let times = |pick: fn(&DelayFigures) -> &Summary| {
        let counted = figures.as_ref().map(pick).map(DelayTimes);
        known(counted, "the target took no times")
    };
    writeln!(out, "Relocation (us):     {}", times(|all| &all.relocation))?;
    writeln!(out, "Stall (us):          {}", times(|all| &all.stall))
}

/// List of all failure reasons, separated by `; `.
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

/// Writes one line `key: value`. The values of a section are in a column.
fn line(out: &mut dyn Write, key: &str, value: fmt::Arguments<'_>) -> fmt::Result {
    let pad = 17_usize.saturating_sub(key.len());
    writeln!(
        out,
        "  {key}:{:pad$}{}{value}",
        "",
        if pad == 0 { " " } else { "" }
    )
}

/// Writes the line of `stress_test_status`. `run` is `None` before the first test.
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

/// Writes the text of `stress_test_results`. `run` is `None` before the first test.
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
    writeln!(out, "I/O Latency (ns):    write {}", latencies(&run.write))?;
    delays(&run.delays, out)?;
    out.write_char('\n')?;

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

/// Change from one figure to another, with its sign.
struct Change(u64, u64);

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.1 < self.0 { '-' } else { '+' };
        write!(f, "{sign}{}", self.1.abs_diff(self.0))
    }
}

/// Change in whole percent, with its sign.
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

/// Writes the text of `comprehensive_report`. `run` is `None` before the first test.
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
        format_args!("{}", verdict.overall(Category::Performance)),
    )?;
    line(
        out,
        "Reliability",
        format_args!("{}", verdict.overall(Category::Reliability)),
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

/// Returns `part` of `whole` in hundredths of a percent; `None` if `whole` is zero.
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

/// Text of a report before the first test.
const NOTHING: &str = "No test has run since the module was loaded.\n";

#[cfg(test)]
mod tests;
