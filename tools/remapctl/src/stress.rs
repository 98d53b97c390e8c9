// SPDX-License-Identifier: GPL-2.0

//! Starts, follows, changes and stops stress tests.

use std::{
    io::Write,
    time::Duration, //
};

use crate::{
    arguments::{
        AdjustArguments,
        RunArguments,
        TargetArguments, //
    },
    device,
    failure::Failure,
    figures::{
        printable,
        seconds, //
    },
    interrupt::Interrupt,
    progress::Progress,
    stress_status::{
        Run,
        StressStatus, //
    },
    sysfs::Sysfs,
    Answer, //
};

/// Time between two looks at a running test: long enough not to disturb the test.
const BETWEEN_LOOKS: Duration = Duration::from_millis(200);

/// Reads the status of the stress manager.
pub(crate) fn status(sysfs: &Sysfs) -> Result<StressStatus, Failure> {
    StressStatus::parse(&sysfs.report("stress_test_status")?)
}

/// Runs `remapctl stress run`.
pub(crate) fn run(
    sysfs: &Sysfs,
    asked: &RunArguments,
    out: &mut dyn Write,
) -> Result<Answer, Failure> {
    let request = asked.kind.request()?;
    // Before the start: from then on a signal has to stop the test.
    let interrupt = Interrupt::catch()?;
    if let Some(device) = &asked.device {
        set_target(sysfs, device)?;
    }
    sysfs.control(request.file, &request.text)?;
    let ended = follow(sysfs, &interrupt)?;
    // The results say more than the status. If they cannot be read, the summary has the status alone.
    let results = sysfs.report("stress_test_results").unwrap_or_default();
    summary(&ended, &results, out)?;
    Ok(if ended.has_passed() {
        Answer::Good
    } else {
        Answer::Bad
    })
}

/// Follows the running test to its end. Stops the test when a signal comes.
fn follow(sysfs: &Sysfs, interrupt: &Interrupt) -> Result<Run, Failure> {
    let mut progress = Progress::new();
    loop {
        let StressStatus { running, run } = status(sysfs)?;
        let run = run.ok_or_else(|| {
            Failure::Undone(String::from(
                "the test is gone: was the module loaded anew?",
            ))
        })?;
        if !running {
            return Ok(run);
        }
        progress.show(&run);
        if interrupt.wait(BETWEEN_LOOKS) {
            progress.say("stopping the test");
            sysfs.control("stress_test_stop", "1")?;
        }
    }
}

/// Returns the value of `key` in a report.
fn value_of<'a>(report: &'a str, key: &str) -> Option<&'a str> {
    report.lines().find_map(|line| {
        let value = line.trim_start().strip_prefix(key)?.strip_prefix(':')?;
        Some(value.trim())
    })
}

fn summary(run: &Run, results: &str, out: &mut dyn Write) -> Result<(), Failure> {
    let result = run.result.as_deref().unwrap_or_default();
    let name = match value_of(results, "Test Type") {
        Some(name) => name.to_owned(),
        None => format!("test type {}", run.test),
    };
    let time = seconds(run.elapsed_ms);
    let device = printable(&run.device);
    writeln!(out, "{result}  {name} on {device}, {time}")?;
    let (operations, iops, rate) = (run.operations, run.iops, run.megabytes_per_second);
    writeln!(
        out,
        "  {operations} operations, {iops} IOPS, {rate} MB/s, {} errors",
        run.errors
    )?;
    if let Some(latency) = value_of(results, "Added Latency (ns)") {
        writeln!(out, "  added latency in ns: {latency}")?;
    }
    for line in results
        .lines()
        .filter_map(|line| line.strip_prefix("I/O Latency (ns):"))
    {
        writeln!(out, "  I/O latency in ns: {}", line.trim())?;
    }
    match value_of(results, "Failure Reason") {
        None | Some("None") => {}
        Some(reasons) => {
            for reason in reasons.split("; ") {
                writeln!(out, "  not met: {reason}")?;
            }
        }
    }
    Ok(())
}

/// Makes later tests run on the device that a user calls `name`.
fn set_target(sysfs: &Sysfs, name: &str) -> Result<(), Failure> {
    let devices = sysfs.devices()?;
    let device = device::find(&devices, name)?;
    // The module reads one line only.
    let name = match device.kernel_name.contains('\n') {
        true => &device.number,
        false => &device.kernel_name,
    };
    sysfs.control("set_target", name)
}

/// Runs `remapctl stress target`.
pub(crate) fn target(sysfs: &Sysfs, asked: &TargetArguments) -> Result<Answer, Failure> {
    match &asked.device {
        Some(name) => set_target(sysfs, name)?,
        None => sysfs.control("set_target", "")?,
    }
    Ok(Answer::Good)
}

/// Runs `remapctl stress stop`.
pub(crate) fn stop(sysfs: &Sysfs) -> Result<Answer, Failure> {
    sysfs.control("stress_test_stop", "1")?;
    Ok(Answer::Good)
}

/// Runs `remapctl stress adjust`.
pub(crate) fn adjust(sysfs: &Sysfs, asked: &AdjustArguments) -> Result<Answer, Failure> {
    let request = asked.request();
    sysfs.control(request.file, &request.text)?;
    Ok(Answer::Good)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_follow_their_keys() {
        let report = "Test Result:      FAILED\n  Total Errors:     0\nFailure Reason:   a; b\n";
        assert_eq!(value_of(report, "Failure Reason"), Some("a; b"));
        assert_eq!(value_of(report, "Total Errors"), Some("0"));
        assert_eq!(value_of(report, "Total"), None);
    }
}
