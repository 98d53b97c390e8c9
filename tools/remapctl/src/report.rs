// SPDX-License-Identifier: GPL-2.0

//! Writes reports on the running test, or on the last one.

use std::io::Write;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::{
    arguments::ReportArguments,
    charts,
    failure::Failure,
    output,
    page,
    record::{
        self,
        Record, //
    },
    stress,
    sysfs::Sysfs,
    Answer, //
};

/// All records in one JSON document, as the module wrote them.
#[derive(Serialize)]
struct Records {
    results: Box<RawValue>,
    histograms: Box<RawValue>,
    trend: Box<RawValue>,
}

/// Runs `remapctl stress report`.
pub(crate) fn run(
    sysfs: &Sysfs,
    asked: &ReportArguments,
    out: &mut dyn Write,
) -> Result<Answer, Failure> {
    // Before the first test, the module has reports, too, but they are empty.
    if stress::status(sysfs)?.run.is_none() {
        return Err(no_test());
    }
    let text = if asked.json {
        json(sysfs)?
    } else if asked.html {
        page::html(&recorded(sysfs)?)?
    } else if asked.svg {
        charts::svg(&recorded(sysfs)?)?
    } else {
        sysfs.report("comprehensive_report")?
    };
    output::write(asked.output.as_deref(), &text, out)?;
    Ok(Answer::Good)
}

fn recorded(sysfs: &Sysfs) -> Result<Record, Failure> {
    Record::read(sysfs)?.ok_or_else(no_test)
}

fn no_test() -> Failure {
    Failure::Nothing(String::from("no test has run since the module was loaded"))
}

fn json(sysfs: &Sysfs) -> Result<String, Failure> {
    let part = |file| record::parse(file, &sysfs.record(file)?);
    let records = Records {
        results: part("results.json")?,
        histograms: part("histograms.json")?,
        trend: part("trend.json")?,
    };
    serde_json::to_string(&records)
        .map(|text| text + "\n")
        .map_err(|error| Failure::Undone(format!("cannot write JSON: {error}")))
}
