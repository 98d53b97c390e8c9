// SPDX-License-Identifier: GPL-2.0

//! Machine-readable record of a test: JSON (RFC 8259).
//!
//! Times are in nanoseconds, memory and data in bytes. A figure that was not measured is `null`. Keys may be
//! added, but none is removed.

use core::fmt::{
    self,
    Display,
    Write, //
};

use crate::stress::{
    histogram::{
        Histogram,
        Summary, //
    },
    measurement::{
        Charts,
        Engine,
        Integrity,
        Measurement,
        Progress,
        Resources, //
    },
    regression::Regression,
    stress_test::Limit,
    trend::{
        Sample,
        Typical, //
    },
    verdict::{
        Outcome,
        Verdict, //
    }, //
};

/// Writer of the members of one JSON object or array, with the commas between them.
struct Members<'a> {
    out: &'a mut dyn Write,
    first: bool,
}

impl<'a> Members<'a> {
    fn separate(&mut self) -> fmt::Result {
        if !core::mem::replace(&mut self.first, false) {
            self.out.write_char(',')?;
        }
        Ok(())
    }

    fn key(&mut self, key: &str) -> fmt::Result {
        self.separate()?;
        write!(self.out, "\"{key}\":")
    }

    fn number(&mut self, key: &str, value: impl Display) -> fmt::Result {
        self.key(key)?;
        write!(self.out, "{value}")
    }

    fn optional(&mut self, key: &str, value: Option<impl Display>) -> fmt::Result {
        match value {
            Some(value) => self.number(key, value),
            None => self.number(key, "null"),
        }
    }

    fn text(&mut self, key: &str, value: impl Display) -> fmt::Result {
        self.key(key)?;
        self.out.write_char('"')?;
        write!(Escaped(self.out), "{value}")?;
        self.out.write_char('"')
    }

    fn object(
        &mut self,
        key: &str,
        members: impl FnOnce(&mut Members<'_>) -> fmt::Result,
    ) -> fmt::Result {
        self.key(key)?;
        enclosed(self.out, ('{', '}'), members)
    }

    fn optional_object<T>(
        &mut self,
        key: &str,
        value: Option<&T>,
        members: fn(&T, &mut Members<'_>) -> fmt::Result,
    ) -> fmt::Result {
        match value {
            Some(value) => self.object(key, |json| members(value, json)),
            None => self.number(key, "null"),
        }
    }

    fn array(
        &mut self,
        key: &str,
        members: impl FnOnce(&mut Members<'_>) -> fmt::Result,
    ) -> fmt::Result {
        self.key(key)?;
        enclosed(self.out, ('[', ']'), members)
    }

    /// Writes an object of an array.
    fn item(&mut self, members: impl FnOnce(&mut Members<'_>) -> fmt::Result) -> fmt::Result {
        self.separate()?;
        enclosed(self.out, ('{', '}'), members)
    }
}

fn enclosed(
    out: &mut dyn Write,
    (open, close): (char, char),
    members: impl FnOnce(&mut Members<'_>) -> fmt::Result,
) -> fmt::Result {
    out.write_char(open)?;
    members(&mut Members { out, first: true })?;
    out.write_char(close)
}

/// Writer that escapes characters as JSON strings need it.
struct Escaped<'a>(&'a mut dyn Write);

impl Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|char| match char {
            '"' | '\\' => write!(self.0, "\\{char}"),
            '\0'..='\x1f' => write!(self.0, "\\u{:04x}", u32::from(char)),
            _ => self.0.write_char(char),
        })
    }
}

fn document(
    out: &mut dyn Write,
    members: impl FnOnce(&mut Members<'_>) -> fmt::Result,
) -> fmt::Result {
    enclosed(out, ('{', '}'), members)?;
    out.write_char('\n')
}

/// Writes `results.json`: everything that is in the reports. An empty object before the first test.
pub fn results(run: Option<&Measurement>, out: &mut dyn Write) -> fmt::Result {
    document(out, |json| {
        let Some(run) = run else {
            return Ok(());
        };
        configuration(run, json)?;
        figures(run, json)?;
        json.optional_object("integrity", run.integrity.as_ref(), checked)?;
        json.optional_object("engine", run.engine.as_ref(), remapped)?;
        json.object("resources", |json| used(&run.resources, json))?;
        json.object("regression", |json| compared(&run.regression, json))?;
        verdict(run, json)
    })
}

fn configuration(run: &Measurement, json: &mut Members<'_>) -> fmt::Result {
    let running = run.progress == Progress::Running;
    json.text("status", if running { "RUNNING" } else { "STOPPED" })?;
    json.text("progress", run.progress.word())?;
    // A name that is not UTF-8 is written as in the reports.
    match core::str::from_utf8(run.name.as_bytes()) {
        Ok(name) => json.text("device", name)?,
        Err(_) => json.text("device", crate::stress::name::Printable(&run.name))?,
    }
    json.text("device_number", run.device)?;
    json.number("type", run.test)?;
    json.text("type_name", run.test_name)?;
    match run.limit {
        Limit::Time(ms) => json.number("duration_ms", ms)?,
        Limit::Volume(bytes) => json.number("volume_bytes", bytes)?,
    }
    json.number("workers", run.workers)?;
    json.number("queue_depth", run.queue_depth)?;
    json.number("seed", run.seed)
}

fn figures(run: &Measurement, json: &mut Members<'_>) -> fmt::Result {
    json.number("elapsed_ms", run.elapsed_ms())?;
    json.number("operations", run.ops)?;
    json.number("bytes", run.bytes)?;
    json.number("flushes", run.flushes)?;
    json.number("zeroed", run.zeroed)?;
    json.number("errors", run.errors)?;
    json.number("megabytes_per_second", run.megabytes_per_second())?;
    json.number("iops", run.iops())?;
    json.number("in_flight", run.in_flight)?;
    json.number("peak_in_flight", run.peak_in_flight)?;
    for (key, summary) in [
        ("added_latency", run.added.as_ref()),
        ("read_latency", Some(&run.read)),
        ("write_latency", Some(&run.write)),
        (
            "relocation_time",
            run.delays.as_ref().map(|all| &all.relocation),
        ),
        ("stall_time", run.delays.as_ref().map(|all| &all.stall)),
    ] {
        let known = summary.filter(|summary| summary.count > 0);
        json.optional_object(key, known, percentiles)?;
    }
    json.optional("peak_bytes_per_second", run.peak_bytes_per_second)?;
    json.optional("latency_variation_basis_points", run.variation)?;
    json.optional("throughput_slope_basis_points", run.slope)?;
    let drift = run
        .quarters
        .and_then(|quarters| quarters.throughput_drift());
    json.optional("throughput_drift_basis_points", drift)
}

fn percentiles(summary: &Summary, json: &mut Members<'_>) -> fmt::Result {
    json.number("count", summary.count)?;
    json.number("min", summary.min)?;
    json.number("average", summary.average)?;
    json.number("p50", summary.p50)?;
    json.number("p90", summary.p90)?;
    json.number("p99", summary.p99)?;
    json.number("p99_9", summary.p99_9)?;
    json.number("max", summary.max)
}

fn checked(integrity: &Integrity, json: &mut Members<'_>) -> fmt::Result {
    json.number("verified", integrity.verified)?;
    json.number("mismatches", integrity.mismatches)?;
    json.number("unreadable", integrity.unreadable)?;
    json.number("shared", integrity.shared)
}

fn remapped(engine: &Engine, json: &mut Members<'_>) -> fmt::Result {
    json.number("entries", engine.entries)?;
    json.number("spare_blocks", engine.spare_blocks)?;
    json.number("fast_path", engine.fast)?;
    json.number("slow_path", engine.slow)?;
    json.number("reads", engine.reads)?;
    json.number("writes", engine.writes)?;
    json.number("remapped_reads", engine.remapped_reads)?;
    json.number("remapped_writes", engine.remapped_writes)
}

fn used(resources: &Resources, json: &mut Members<'_>) -> fmt::Result {
    json.number("memory_before", resources.memory_before)?;
    json.number("memory_peak", resources.memory_peak)?;
    json.number("memory_after", resources.memory_after)?;
    json.number("cpu_ns", resources.cpu_ns)?;
    json.number("pressure_bytes", resources.pressure_bytes)
}

fn typical(typical: &Typical, json: &mut Members<'_>) -> fmt::Result {
    json.number("added_latency", typical.added_ns)?;
    json.number("bytes_per_second", typical.bytes_per_second)
}

fn compared(regression: &Regression, json: &mut Members<'_>) -> fmt::Result {
    match regression {
        Regression::NotAsked => json.text("state", "not_asked"),
        Regression::Pending => json.text("state", "pending"),
        Regression::NotJudged(why) => {
            json.text("state", "not_judged")?;
            json.text("reason", why)
        }
        Regression::First(baseline) => {
            json.text("state", "first")?;
            json.object("baseline", |json| typical(baseline, json))
        }
        Regression::Compared(comparison) => {
            json.text("state", "compared")?;
            json.object("baseline", |json| typical(&comparison.baseline, json))?;
            json.object("run", |json| typical(&comparison.run, json))?;
            json.optional("latency_change_basis_points", comparison.latency_change())?;
            json.optional(
                "throughput_change_basis_points",
                comparison.throughput_change(),
            )?;
            json.number("latency_threshold_percent", comparison.thresholds.latency)?;
            json.number(
                "throughput_threshold_percent",
                comparison.thresholds.throughput,
            )
        }
    }
}

fn verdict(run: &Measurement, json: &mut Members<'_>) -> fmt::Result {
    let verdict = Verdict::new(run);
    json.array("targets", |json| {
        verdict.rows().try_for_each(|row| {
            json.item(|json| {
                json.text("name", row.name)?;
                json.text("target", row.asks)?;
                json.text("measured", row.measured)?;
                match row.outcome {
                    Outcome::Pass => json.text("outcome", "PASS"),
                    Outcome::Fail => json.text("outcome", "FAIL"),
                    Outcome::NotJudged(why) => {
                        json.text("outcome", "N/A")?;
                        json.text("reason", why)
                    }
                }
            })
        })
    })?;
    json.text("result", verdict.result().word())?;
    json.array("reasons", |json| {
        verdict.reasons().try_for_each(|reason| {
            json.separate()?;
            json.out.write_char('"')?;
            write!(Escaped(json.out), "{reason}")?;
            json.out.write_char('"')
        })
    })
}

/// Writes `histograms.json`: for each bucket its longest time and its count.
pub fn histograms(charts: &Charts, out: &mut dyn Write) -> fmt::Result {
    document(out, |json| {
        let mut pairs = |key, histogram: &Histogram| {
            json.array(key, |json| {
                histogram.counted().try_for_each(|(ns, count)| {
                    json.separate()?;
                    write!(json.out, "[{ns},{count}]")
                })
            })
        };
        pairs("added_latency", &charts.added)?;
        pairs("read_latency", &charts.read)?;
        pairs("write_latency", &charts.write)
    })
}

/// Writes `trend.json`: the samples of the run, oldest first. A sample is a second long, or longer in a long
/// run.
pub fn trend(charts: &Charts, out: &mut dyn Write) -> fmt::Result {
    document(out, |json| {
        json.array("samples", |json| {
            let mut samples = charts.trend.samples().iter();
            samples.try_for_each(|sample| json.item(|json| course(sample, json)))
        })
    })
}

fn course(sample: &Sample, json: &mut Members<'_>) -> fmt::Result {
    json.number("ns", sample.ns)?;
    json.number("operations", sample.ops)?;
    json.number("bytes", sample.bytes)?;
    json.optional("added_latency", sample.added())?;
    json.number("memory", sample.memory)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stress::{
        name::Name,
        regression::{
            Comparison,
            Thresholds, //
        }, //
    };
    use serde_json::Value;
    use std::string::String;

    fn parsed(write: impl FnOnce(&mut String) -> fmt::Result) -> Value {
        let mut text = String::new();
        write(&mut text).unwrap();
        assert!(text.ends_with("}\n"));
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn results_say_what_the_reports_say() {
        let mut run = Measurement::example();
        if let Some(delays) = &mut run.delays {
            delays.stall = run.write;
        }
        let json = parsed(|out| results(Some(&run), out));
        assert_eq!(json["device"], "test_device");
        assert_eq!(json["device_number"], "253:0");
        assert_eq!(json["duration_ms"], 30_000);
        assert_eq!(json["operations"], 3_000_000);
        assert_eq!(json["added_latency"]["p99_9"], 900);
        assert_eq!(json["stall_time"]["max"], 5000);
        assert_eq!(json["relocation_time"], Value::Null);
        assert_eq!(json["integrity"]["verified"], 256);
        assert_eq!(json["engine"]["fast_path"], 90);
        assert_eq!(json["regression"]["state"], "not_asked");
        let targets = json["targets"].as_array().unwrap();
        assert_eq!(targets.len(), crate::stress::verdict::TARGETS);
        assert_eq!(targets[0]["outcome"], "PASS");
        let peak = targets
            .iter()
            .find(|row| row["name"] == "Peak in flight")
            .unwrap();
        assert_eq!(peak["outcome"], "N/A");
        assert_eq!(peak["reason"], "the test asks for fewer");
        assert_eq!(json["result"], "PASSED");
        assert_eq!(json["reasons"].as_array().unwrap().len(), 0);
    }

    #[test]
    fn nothing_known_is_null_or_nothing() {
        let mut run = Measurement::example();
        run.added = None;
        run.write = Summary::default();
        run.delays = None;
        run.integrity = None;
        run.engine = None;
        run.quarters = None;
        run.variation = None;
        run.limit = Limit::Volume(5);
        let json = parsed(|out| results(Some(&run), out));
        for key in [
            "added_latency",
            "write_latency",
            "relocation_time",
            "stall_time",
            "integrity",
            "engine",
            "latency_variation_basis_points",
            "throughput_drift_basis_points",
        ] {
            assert_eq!(json.get(key), Some(&Value::Null), "{key}");
        }
        assert_eq!(json["volume_bytes"], 5);
        let nothing = parsed(|out| results(None, out));
        assert_eq!(nothing, Value::Object(Default::default()));
    }

    #[test]
    fn any_name_can_be_read_back() {
        let mut run = Measurement::example();
        for (name, wanted) in [
            ("a \"b\"\\\n\u{1}é".as_bytes(), "a \"b\"\\\n\u{1}é"),
            (b"a\xff", "a\\xff"),
        ] {
            run.name = Name::new(name);
            assert_eq!(parsed(|out| results(Some(&run), out))["device"], wanted);
        }
    }

    #[test]
    fn comparisons_have_both_sides() {
        let mut run = Measurement::example();
        let of = |added_ns, bytes_per_second| Typical {
            added_ns,
            bytes_per_second,
        };
        run.regression = Regression::Compared(Comparison {
            baseline: of(100, 1000),
            run: of(150, 500),
            thresholds: Thresholds::DEFAULT,
        });
        let json = parsed(|out| results(Some(&run), out));
        let regression = &json["regression"];
        assert_eq!(regression["state"], "compared");
        assert_eq!(regression["baseline"]["added_latency"], 100);
        assert_eq!(regression["throughput_change_basis_points"], -5000);
        assert_eq!(json["result"], "FAILED");
        assert_eq!(json["reasons"].as_array().unwrap().len(), 2);
    }

    #[test]
    fn charts_are_kept_whole() {
        let mut charts = Charts::default();
        for ns in [5, 5, 70, u64::MAX] {
            charts.read.record(ns);
        }
        let json = parsed(|out| histograms(&charts, out));
        assert_eq!(json["read_latency"][0], serde_json::json!([5, 2]));
        assert_eq!(json["read_latency"][2], serde_json::json!([u64::MAX, 1]));
        assert_eq!(json["added_latency"].as_array().unwrap().len(), 0);
        for ops in 0..3 {
            charts.trend.push(Sample {
                ns: 1_000_000_000,
                ops,
                bytes: 7,
                added_count: ops,
                added_ns: 10 * ops,
                memory: 3,
            });
        }
        let json = parsed(|out| trend(&charts, out));
        assert_eq!(json["samples"][0]["added_latency"], Value::Null);
        assert_eq!(json["samples"][2]["operations"], 2);
        assert_eq!(json["samples"][2]["added_latency"], 10);
        assert_eq!(json["samples"][2]["memory"], 3);
    }
}
