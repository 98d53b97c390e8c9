// SPDX-License-Identifier: GPL-2.0

//! Baselines: figures that regression tests are compared with. The module keeps them until it is unloaded.

use std::{
    collections::HashMap,
    fs,
    io::{
        self,
        Write, //
    },
    path::Path,
};

use serde::Serialize;

use crate::{
    failure::Failure,
    figures::{
        nanoseconds,
        printable, //
    },
    name::{
        known_as,
        unescaped, //
    },
    output,
    sysfs::Sysfs,
    table,
    Answer, //
};

const FILE: &str = "baseline";

/// Baseline of a device, a test type, a number of workers and a queue depth.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Baseline {
    /// Name of the device, as its user knows it.
    device: String,
    #[serde(rename = "type")]
    test: u64,
    workers: u64,
    queue_depth: u64,
    latency_ns: u64,
    bytes_per_second: u64,
}

impl Baseline {
    fn parse(text: &str) -> Option<Self> {
        let pairs: HashMap<&str, &str> = text
            .split_whitespace()
            .map(|word| word.split_once('='))
            .collect::<Option<_>>()?;
        // A key that occurs twice shows that a separator is missing.
        if pairs.len() != text.split_whitespace().count() {
            return None;
        }
        let number = |key| pairs.get(key)?.parse().ok();
        Some(Self {
            device: known_as(&unescaped(pairs.get("device")?)?),
            test: number("type")?,
            workers: number("workers")?,
            queue_depth: number("queue_depth")?,
            latency_ns: number("latency_ns")?,
            bytes_per_second: number("bytes_per_second")?,
        })
    }
}

/// Parses the module's line: baselines separated by ` ; `, or `none`.
pub(crate) fn parse(line: &str) -> Option<Vec<Baseline>> {
    match line.trim() {
        "none" => Some(Vec::new()),
        line => line.split(" ; ").map(Baseline::parse).collect(),
    }
}

/// Runs `remapctl baseline save`.
pub(crate) fn save(sysfs: &Sysfs, file: &Path, out: &mut dyn Write) -> Result<Answer, Failure> {
    output::write(Some(file), &sysfs.report(FILE)?, out)?;
    Ok(Answer::Good)
}

/// Runs `remapctl baseline load`.
pub(crate) fn load(sysfs: &Sysfs, file: &Path) -> Result<Answer, Failure> {
    let text = if file == Path::new("-") {
        io::read_to_string(io::stdin())
    } else {
        fs::read_to_string(file)
    };
    let text = text.map_err(|error| Failure::file("read", file, &error))?;
    let line = text.trim_end_matches('\n');
    // The module would refuse the text, too, but without the name of the file.
    if parse(line).is_none() {
        return Err(Failure::Undone(format!(
            "{} holds no baselines",
            file.display()
        )));
    }
    sysfs.control(FILE, line)?;
    Ok(Answer::Good)
}

/// Runs `remapctl baseline show`.
pub(crate) fn show(sysfs: &Sysfs, json: bool, out: &mut dyn Write) -> Result<Answer, Failure> {
    let line = sysfs.report(FILE)?;
    let baselines = parse(&line)
        .ok_or_else(|| Failure::Undone(format!("cannot make sense of the baselines: {line}")))?;
    if json {
        output::json(&baselines, out)?;
        return Ok(Answer::Good);
    }
    if baselines.is_empty() {
        writeln!(
            out,
            "There is no baseline: the first regression test sets one."
        )?;
        return Ok(Answer::Good);
    }
    let headings = [
        "DEVICE",
        "TYPE",
        "WORKERS",
        "QUEUE DEPTH",
        "ADDED LATENCY",
        "THROUGHPUT",
    ];
    let mut rows = vec![headings.map(String::from).to_vec()];
    rows.extend(baselines.iter().map(|baseline| {
        vec![
            printable(&baseline.device),
            baseline.test.to_string(),
            baseline.workers.to_string(),
            baseline.queue_depth.to_string(),
            nanoseconds(baseline.latency_ns),
            format!("{} MB/s", baseline.bytes_per_second / 1_000_000),
        ]
    }));
    table::write(&rows, out)?;
    Ok(Answer::Good)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "device=a\\x20b type=4 workers=16 queue_depth=512 latency_ns=104 \
        bytes_per_second=409000000";

    #[test]
    fn a_line_holds_any_number_of_baselines() {
        assert_eq!(parse("none\n"), Some(Vec::new()));
        let two = parse(&format!("{ONE} ; {ONE}\n")).unwrap();
        assert_eq!(two.len(), 2);
        assert_eq!(two[1].device, "a b");
        assert_eq!(
            (two[1].test, two[1].workers, two[1].queue_depth),
            (4, 16, 512)
        );
        assert_eq!(
            (two[1].latency_ns, two[1].bytes_per_second),
            (104, 409_000_000)
        );
    }

    #[test]
    fn what_is_no_baseline_is_refused() {
        for text in [
            String::new(),
            String::from("nothing"),
            format!("{ONE} ; "),
            format!("{ONE};{ONE}"),
            ONE.replace("type=4", "type=x"),
            ONE.replace(" workers=16", ""),
        ] {
            assert_eq!(parse(&text), None, "{text}");
        }
    }
}
