// SPDX-License-Identifier: GPL-2.0

//! Reports of the stress manager, against each other and against what was done.

use machine::fail;

use crate::{
    module::Active,
    unit::Unit, //
};

/// The value of a field of a status line, or of a key of JSON.
fn number_after(text: &str, key: &str) -> Option<u64> {
    let (_, rest) = text.split_once(key)?;
    let end = rest.find(|digit: char| !digit.is_ascii_digit());
    rest[..end.unwrap_or(rest.len())].parse().ok()
}

/// The value of a line `key: value`.
fn line_of<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let mut lines = text.lines().map(str::trim_start);
    let line = lines.find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
    Some(line.trim())
}

/// Headings and keys of the results, in order.
const RESULTS: [&str; 29] = [
    "=== Phase 3.2C Stress Test Results ===",
    "Test Configuration:",
    "Device:",
    "Test Type:",
    "Duration:",
    "Worker Threads:",
    "Queue Depth:",
    "Seed:",
    "Performance Metrics:",
    "Total Operations:",
    "Total Bytes:",
    "Total Errors:",
    "Average Latency:",
    "Throughput:",
    "IOPS:",
    "Peak In Flight:",
    "Added Latency (ns):",
    "I/O Latency (ns):",
    "Relocation (us):",
    "Stall (us):",
    "Integrity:",
    "Blocks Verified:",
    "Mismatches:",
    "Regression Analysis:",
    "Baseline Latency:",
    "Latency Change:",
    "Baseline Throughput:",
    "Throughput Change:",
    "Test Result:",
];

/// Sections of the comprehensive report, in order.
const SECTIONS: [&str; 7] = [
    "=== Phase 3.2C Comprehensive Performance Report ===",
    "STRESS TEST RESULTS:",
    "REMAP ENGINE:",
    "RESOURCES:",
    "TREND:",
    "VALIDATION TARGETS:",
    "OVERALL ASSESSMENT:",
];

const NOTHING: &str = "No test has run since the module was loaded.";

/// Names of validation targets about trust; the others are about speed.
const RELIABILITY: [&str; 5] = [
    "Worker threads",
    "Stability",
    "Error rate",
    "Memory growth",
    "Data mismatches",
];

/// A validation target in the report.
struct Row<'a> {
    name: &'a str,
    measured: &'a str,
    outcome: &'a str,
}

impl<'a> Row<'a> {
    /// The first columns are as wide as the report makes them.
    fn parse(line: &'a str) -> Option<Self> {
        let rest = line.get(38..)?;
        let words = [" PASS", " FAIL", " N/A ("];
        let place = words.iter().find_map(|word| rest.find(word))?;
        let (measured, outcome) = rest.split_at(place);
        Some(Self {
            name: line.get(2..25)?.trim(),
            measured: measured.trim(),
            outcome: outcome.trim(),
        })
    }
}

/// Fails where the words of `all` do not follow each other in `text`.
fn check_order(text: &str, all: &[&str]) {
    let mut rest = text;
    for words in all {
        match rest.split_once(words) {
            Some((_, behind)) => rest = behind,
            None => fail!("'{words}' is not where it should be: {text}"),
        }
    }
}

/// State when somebody began to read.
struct Before {
    active: Option<Active>,
    events: u64,
    figures: (u64, u64),
}

impl Unit {
    fn before(&self) -> Before {
        let module = &self.module;
        Before {
            active: module.active.get(),
            events: module.events.get(),
            figures: module.figures.get(),
        }
    }

    /// Fails where a test is told to run that does not, or the other way round.
    fn check_running(&self, running: bool, before: &Before) {
        let module = &self.module;
        let active = module.active.get();
        if running && before.active.is_none() && before.events == module.events.get() {
            fail!("a test is reported to run, and there is none");
        }
        let ran = active.filter(|test| test.returned() && before.active == active);
        if let Some(test) = ran.filter(|_| !running) {
            fail!(
                "no test is reported to run, and that with seed {} does",
                test.seed
            );
        }
    }

    /// Reads the status line.
    pub(crate) fn read_status(&'static self) {
        let before = self.before();
        let Some(text) = self.read_attribute("stress_test_status") else {
            return;
        };
        let line = text.trim_end();
        if line.contains('\n') || !text.ends_with('\n') {
            fail!("the status is no line: '{text}'");
        }
        let running = line.starts_with("RUNNING ");
        self.check_running(running, &before);
        if line == "STOPPED" {
            return;
        }
        let mut words = line.split(' ');
        let state = words.next().unwrap_or("");
        let mut keys: Vec<&str> = words
            .filter_map(|word| Some(word.split_once('=')?.0))
            .collect();
        let result = line.split_once(" result=").map(|(_, result)| result);
        if result.is_some() {
            keys.pop();
        }
        let expected = [
            "device",
            "type",
            "workers",
            "in_flight",
            "elapsed_ms",
            "duration_ms",
            "progress",
            "ops",
            "iops",
            "mb_s",
            "errors",
        ];
        let judged = match result {
            Some("PASSED" | "FAILED" | "STOPPED_EARLY") => !running,
            Some(_) => false,
            None => running,
        };
        if keys != expected || !judged || !["RUNNING", "STOPPED"].contains(&state) {
            fail!("no status line: '{line}'");
        }
        if !running && number_after(line, "in_flight=") != Some(0) {
            fail!("a test has ended with bios in flight: '{line}'");
        }
        let (ops, errors) = (number_after(line, " ops="), number_after(line, " errors="));
        self.check_counts(ops.unwrap_or(u64::MAX), errors.unwrap_or(u64::MAX));
        if result == Some("PASSED") && ops == Some(0) {
            fail!("a test has passed that has done nothing: '{line}'");
        }
    }

    /// Fails where a test counts more than the device was asked for.
    fn check_counts(&self, ops: u64, errors: u64) {
        let (device, module) = (self.device(), &self.module);
        let submitted = module.submitted.get() + device.openers.submitted.get();
        let failed = module.failed.get() + device.openers.failed.get();
        if ops.saturating_add(errors) > submitted {
            fail!("{ops} operations and {errors} errors are counted of {submitted} bios");
        }
        if errors > failed {
            fail!("{errors} errors are counted, and {failed} bios have failed");
        }
    }

    /// Reads the results.
    pub(crate) fn read_results(&'static self) {
        let before = self.before();
        let Some(text) = self.read_attribute("stress_test_results") else {
            return;
        };
        if text.contains(NOTHING) {
            return self.check_running(false, &before);
        }
        check_order(&text, &RESULTS);
        let result = line_of(&text, "Test Result").unwrap_or("");
        self.check_running(result == "N/A (running)", &before);
        let reason = line_of(&text, "Failure Reason").unwrap_or("");
        self.check_reason(result, reason);
        if result == "N/A (running)" {
            return;
        }
        let seed = line_of(&text, "Seed").unwrap_or("").to_owned();
        let known = self
            .module
            .results
            .replace(Some((seed.clone(), text.clone())));
        match known {
            Some((of, known)) if of == seed && known != text => {
                fail!("results change after the end, from {known} to {text}");
            }
            _ => {}
        }
    }

    /// Fails where a test has failed for something that was not there.
    fn check_reason(&self, result: &str, reason: &str) {
        let module = &self.module;
        if result == "PASSED" && reason != "None" || result == "FAILED" && reason == "None" {
            fail!("the result is {result}, and the reason '{reason}'");
        }
        // Sectors may be lost by a message, too.
        let disturbed = self.main().has_failed
            || self.spare().has_failed
            || module.replaced.get() > 0
            || self.settings.messengers > 0;
        let explained = [
            (
                "somebody else wrote to the device",
                module.user_writes.get() > 0,
            ),
            ("somebody else opened the device", module.opened.get() > 0),
            (
                "the device became read-only",
                module.set_read_only.get() > 0,
            ),
            ("the table was replaced", module.replaced.get() > 0),
            ("workers gave up", disturbed),
            ("Data mismatches", module.ended_beside_write.get()),
            ("Memory growth", false),
            ("ranges could not be read again", disturbed),
        ];
        for (words, explained) in explained {
            if reason.contains(words) && !explained {
                fail!("a test has failed without a reason: {reason}");
            }
        }
    }

    /// Reads the comprehensive report.
    pub(crate) fn read_comprehensive(&'static self) {
        let before = self.before();
        let Some(text) = self.read_attribute("comprehensive_report") else {
            return;
        };
        if text.contains(NOTHING) {
            return self.check_running(false, &before);
        }
        check_order(&text, &SECTIONS);
        let result = line_of(&text, "Test Result").unwrap_or("");
        self.check_running(result == "N/A (running)", &before);
        let reason = line_of(&text, "Failure Reason").unwrap_or("");
        self.check_reason(result, reason);
        let (_, rows) = text.split_once("VALIDATION TARGETS:\n").unwrap_or(("", ""));
        let rows: Vec<Row<'_>> = rows.lines().map_while(Row::parse).collect();
        if rows.len() != 13 {
            fail!("{} targets are reported: {text}", rows.len());
        }
        for row in &rows {
            if row.measured == "-" && !row.outcome.starts_with("N/A") {
                fail!("{} is {}, and nothing was measured", row.name, row.outcome);
            }
            let failed = row.outcome == "FAIL";
            if failed && (result == "PASSED" || !reason.contains(row.name)) {
                fail!(
                    "{} has failed, and the result is {result}: {reason}",
                    row.name
                );
            }
        }
        check_assessment(&text, &rows);
        if line_of(&text, "Operations") == Some("0") && result == "PASSED" {
            fail!("a test has passed that has done nothing: {text}");
        }
    }

    /// Reads the record of the test; returns its seed and its operations, where it has ended.
    pub(crate) fn read_record(&'static self) -> Option<(u64, u64)> {
        let before = self.before();
        let text = self.read_document("results.json")?;
        if text == "{}\n" {
            self.check_running(false, &before);
            return None;
        }
        if !text.starts_with("{\"status\":") || !text.ends_with("]}\n") {
            fail!("no record: {text}");
        }
        let running = text.contains("\"status\":\"RUNNING\"");
        self.check_running(running, &before);
        let number = |key: &str| number_after(&text, &format!("\"{key}\":")).unwrap_or(u64::MAX);
        let (seed, ops, errors) = (number("seed"), number("operations"), number("errors"));
        self.check_counts(ops, errors);
        let (known, floor) = before.figures;
        if known == seed && ops < floor {
            fail!("{ops} operations of the test with seed {seed}, and there were {floor}");
        }
        if self.module.figures.get().0 != seed || self.module.figures.get().1 < ops {
            self.module.figures.set((seed, ops));
        }
        let count = |kind: &str| {
            number_after(&text, &format!("\"{kind}_latency\":{{\"count\":")).unwrap_or(0)
        };
        if count("read") + count("write") != ops {
            fail!(
                "{ops} operations, and times of {} reads and {} writes",
                count("read"),
                count("write")
            );
        }
        let verified = number_after(&text, "\"verified\":").unwrap_or(0);
        check_measured(
            &text,
            &[
                ("Average added latency", count("added")),
                ("99.9 % added latency", count("added")),
                ("Error rate", ops + errors),
                ("Data mismatches", verified),
                ("Throughput", u64::from(number("elapsed_ms") >= 1000)),
            ],
        );
        // Whoever did not hear of other users' writes finds what was there.
        let mismatches = number_after(&text, "\"mismatches\":").unwrap_or(0);
        if mismatches > 0 && self.module.user_writes.get() == 0 {
            fail!("{mismatches} ranges have changed, and nobody has written to them");
        }
        (!running).then_some((seed, ops))
    }

    /// Reads histograms and trend of a test that has ended, which have to add up to its operations.
    pub(crate) fn read_charts(&'static self) {
        let Some((seed, ops)) = self.read_record() else {
            return;
        };
        let Some(histograms) = self.read_document("histograms.json") else {
            return;
        };
        let Some(trend) = self.read_document("trend.json") else {
            return;
        };
        if self.read_record().is_none_or(|(other, _)| other != seed) {
            // Another one has begun.
            return;
        }
        let times = pairs(&histograms, "read_latency") + pairs(&histograms, "write_latency");
        if times != ops {
            fail!("{ops} operations, and {times} times in the histograms: {histograms}");
        }
        let sampled: u64 = trend
            .split("\"operations\":")
            .skip(1)
            .filter_map(|piece| number_after(&format!("#{piece}"), "#"))
            .sum();
        if sampled > ops {
            fail!("{ops} operations, and {sampled} in the trend: {trend}");
        }
    }
}

/// Fails where the assessment is not what the targets say.
fn check_assessment(text: &str, rows: &[Row<'_>]) {
    for (kind, trust) in [("Performance", false), ("Reliability", true)] {
        let said = line_of(text, kind).unwrap_or("");
        let has = |outcome: &str| {
            let mut of_kind = rows
                .iter()
                .filter(|row| RELIABILITY.contains(&row.name) == trust);
            of_kind.any(|row| row.outcome == outcome)
        };
        let expected = if has("FAIL") {
            "FAIL"
        } else if has("PASS") {
            "PASS"
        } else {
            "N/A"
        };
        if !said.starts_with(expected) {
            fail!("{kind} is {said}, and its targets say {expected}: {text}");
        }
    }
}

/// Fails where a target is PASS of which so much as nothing was measured.
fn check_measured(text: &str, targets: &[(&str, u64)]) {
    for (target, measured) in targets {
        let name = format!("\"name\":\"{target}\"");
        let (_, rest) = text.split_once(&name).unwrap_or(("", ""));
        let (row, _) = rest.split_once('}').unwrap_or(("", ""));
        if *measured == 0 && row.contains("\"outcome\":\"PASS\"") {
            fail!("{target} is PASS, and nothing was measured: {text}");
        }
    }
}

/// The sum of the second numbers of the pairs of an array.
fn pairs(text: &str, array: &str) -> u64 {
    let key = format!("\"{array}\":[");
    let Some((_, rest)) = text.split_once(&key) else {
        fail!("there is no {array}: {text}");
        return 0;
    };
    // "[6,1],[7,2]]..." or "]...".
    let (pairs, _) = rest.split_once("]]").unwrap_or(("", ""));
    if rest.starts_with(']') {
        return 0;
    }
    let count = |pair: &str| pair.split_once(',')?.1.parse::<u64>().ok();
    pairs.split("],").filter_map(count).sum()
}
