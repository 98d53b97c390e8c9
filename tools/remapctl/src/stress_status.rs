// SPDX-License-Identifier: GPL-2.0

//! Parses the line of `stress_test_status`.

use std::collections::HashMap;

use crate::{
    failure::Failure,
    name::{
        known_as,
        unescaped, //
    },
};

/// Word for the result of a test that has passed.
pub(crate) const PASSED: &str = "PASSED";

/// Known words for the result of a test. Later modules may have others.
pub(crate) const RESULTS: [&str; 3] = [PASSED, "FAILED", "STOPPED_EARLY"];

/// Figures of the running test, or of the last one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    /// Name of the device, as its user knows it.
    pub(crate) device: String,
    /// Number of the test type.
    pub(crate) test: u64,
    /// Number of worker threads.
    pub(crate) workers: u64,
    /// Operations in flight.
    pub(crate) in_flight: u64,
    /// Time since the start, in milliseconds.
    pub(crate) elapsed_ms: u64,
    /// Duration of the whole test, in milliseconds.
    pub(crate) duration_ms: u64,
    /// Progress, in percent.
    pub(crate) progress: u64,
    /// Operations that have succeeded.
    pub(crate) operations: u64,
    /// Operations a second, since the start.
    pub(crate) iops: u64,
    /// MB (10^6 bytes) a second, since the start.
    pub(crate) megabytes_per_second: u64,
    /// Operations that failed.
    pub(crate) errors: u64,
    /// Word for the result, if the test has ended.
    pub(crate) result: Option<String>,
}

impl Run {
    /// Returns whether the test has ended and passed.
    pub(crate) fn has_passed(&self) -> bool {
        self.result.as_deref() == Some(PASSED)
    }
}

/// Status of the stress manager.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StressStatus {
    /// True while a test runs.
    pub(crate) running: bool,
    /// Running test, or the last one; `None` before the first.
    pub(crate) run: Option<Run>,
}

impl StressStatus {
    /// Parses the line. Takes unknown keys: later modules may have more.
    pub(crate) fn parse(line: &str) -> Result<Self, Failure> {
        words(line).ok_or_else(|| {
            Failure::Undone(format!(
                "cannot make sense of the status of the stress manager: {line}"
            ))
        })
    }
}

fn words(line: &str) -> Option<StressStatus> {
    let mut words = line.split_whitespace();
    let running = match words.next()? {
        "RUNNING" => true,
        "STOPPED" => false,
        _ => return None,
    };
    let pairs: HashMap<&str, &str> = words
        .map(|word| word.split_once('='))
        .collect::<Option<_>>()?;
    if pairs.is_empty() {
        return (!running).then_some(StressStatus { running, run: None });
    }
    let number = |key| pairs.get(key).and_then(|value| value.parse().ok());
    let result = pairs.get("result").map(|word| (*word).to_owned());
    let run = Run {
        device: known_as(&unescaped(pairs.get("device")?)?),
        test: number("type")?,
        workers: number("workers")?,
        in_flight: number("in_flight")?,
        elapsed_ms: number("elapsed_ms")?,
        duration_ms: number("duration_ms")?,
        progress: pairs.get("progress")?.strip_suffix('%')?.parse().ok()?,
        operations: number("ops")?,
        iops: number("iops")?,
        megabytes_per_second: number("mb_s")?,
        errors: number("errors")?,
        result,
    };
    // A test that has ended has a result.
    (running || run.result.is_some()).then_some(StressStatus {
        running,
        run: Some(run),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUNNING: &str = "RUNNING device=stress type=4 workers=16 in_flight=128 elapsed_ms=1500 \
        duration_ms=5500 progress=27% ops=61234 iops=40822 mb_s=167 errors=3";

    #[test]
    fn a_running_test_has_figures() {
        let status = StressStatus::parse(RUNNING).unwrap();
        assert!(status.running);
        let run = status.run.unwrap();
        assert_eq!(run.device, "stress");
        assert_eq!((run.test, run.workers, run.in_flight), (4, 16, 128));
        assert_eq!(
            (run.elapsed_ms, run.duration_ms, run.progress),
            (1500, 5500, 27)
        );
        assert_eq!((run.operations, run.iops), (61_234, 40_822));
        assert_eq!((run.megabytes_per_second, run.errors), (167, 3));
        assert_eq!(run.result, None);
    }

    #[test]
    fn a_test_that_ended_has_a_result() {
        for result in RESULTS.into_iter().chain(["INVENTED_LATER"]) {
            let line = RUNNING.replace("RUNNING", "STOPPED");
            let line = format!("{line} invented_later=x result={result}\n");
            let run = StressStatus::parse(&line).unwrap().run.unwrap();
            assert_eq!(run.result.as_deref(), Some(result));
            assert_eq!(run.has_passed(), result == "PASSED");
        }
        let nothing = StressStatus::parse("STOPPED\n").unwrap();
        assert!(!nothing.running && nothing.run.is_none());
    }

    #[test]
    fn a_device_is_called_as_its_user_calls_it() {
        // The name in the kernel is `odd\x20name`; the module prints its backslash as `\x5c`.
        let line = RUNNING.replace("=stress", r"=odd\x5cx20name");
        let run = StressStatus::parse(&line).unwrap().run.unwrap();
        assert_eq!(run.device, "odd name");
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for line in [
            String::new(),
            String::from("RUNNING"),
            String::from("PAUSED device=x"),
            RUNNING.replace("RUNNING", "STOPPED"),
            RUNNING.replace("27%", "27"),
            RUNNING.replace(" errors=3", ""),
            RUNNING.replace("ops=61234", "ops=many"),
        ] {
            assert!(StressStatus::parse(&line).is_err(), "{line}");
        }
    }
}
