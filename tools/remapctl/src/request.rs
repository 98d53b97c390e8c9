// SPDX-License-Identifier: GPL-2.0

//! Requests to the stress manager: a file, and the text to write into it (docs/interface.md).

use std::time::Duration;

use crate::{
    arguments::{
        AdjustArguments,
        CustomArguments,
        Production,
        RunKind,
        TestType, //
    },
    failure::Failure,
};

/// Largest number of operations in flight, all workers together.
const MAX_IN_FLIGHT: u32 = 50_000;

/// Largest number of different sizes of operations.
const MAX_SIZES: usize = 8;

/// Request to the stress manager.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Request {
    /// Name of the file.
    pub(crate) file: &'static str,
    /// Text to write into the file.
    pub(crate) text: String,
}

impl TestType {
    const fn number(self) -> u8 {
        match self {
            TestType::SequentialRead => 0,
            TestType::RandomRead => 1,
            TestType::SequentialWrite => 2,
            TestType::RandomWrite => 3,
            TestType::Mixed => 4,
            TestType::RemapHeavy => 5,
        }
    }
}

impl Production {
    const fn number(self) -> u8 {
        match self {
            Production::Database => 0,
            Production::FileServer => 1,
            Production::Virtualization => 2,
            Production::All => 3,
        }
    }
}

impl RunKind {
    /// Returns the request that starts this test.
    pub(crate) fn request(&self) -> Result<Request, Failure> {
        let (file, text) = match self {
            RunKind::Type {
                test_type,
                workers,
                duration,
            } => (
                "stress_test_start",
                format!("{} {workers} {}", test_type.number(), duration.as_millis()),
            ),
            RunKind::Quick { duration } => ("quick_validation", preset(*duration)),
            RunKind::Regression { duration } => ("regression_test", preset(*duration)),
            RunKind::MemoryPressure { memory, duration } => (
                "memory_pressure_test",
                format!("{memory} {}", duration.as_millis()),
            ),
            RunKind::HighConcurrency {
                in_flight,
                duration,
            } => (
                "high_concurrency_stress",
                format!("{in_flight} {}", duration.as_secs()),
            ),
            RunKind::TbScale {
                gigabytes,
                test_type,
            } => (
                "tb_scale_validation",
                format!("{gigabytes} {}", test_type.number()),
            ),
            RunKind::Endurance { hours, test_type } => {
                ("endurance_test", format!("{hours} {}", test_type.number()))
            }
            RunKind::Production {
                workload,
                intensity,
                minutes,
            } => (
                "production_workload",
                format!("{} {intensity} {minutes}", workload.number()),
            ),
            RunKind::Custom(custom) => ("custom_workload", made_to_measure(custom)?),
        };
        Ok(Request { file, text })
    }
}

/// Returns the text for a test whose duration the module chooses if there is none.
fn preset(duration: Option<Duration>) -> String {
    match duration {
        None => String::from("1"),
        Some(duration) => format!("1 {}", duration.as_millis()),
    }
}

fn made_to_measure(custom: &CustomArguments) -> Result<String, Failure> {
    if custom.bs.len() > MAX_SIZES {
        return Err(Failure::Usage(format!(
            "--bs takes up to {MAX_SIZES} sizes"
        )));
    }
    if custom.workers.saturating_mul(custom.queue_depth) > MAX_IN_FLIGHT {
        return Err(Failure::Usage(format!(
            "--workers times --queue-depth is more than {MAX_IN_FLIGHT}"
        )));
    }
    let sizes: Vec<String> = custom.bs.iter().map(u64::to_string).collect();
    let mut text = format!(
        "read={} random={} bs={} queue_depth={} workers={} duration_ms={}",
        custom.read,
        custom.random,
        sizes.join(","),
        custom.queue_depth,
        custom.workers,
        custom.duration.as_millis()
    );
    for (key, value) in [
        ("hot", custom.hot.map(u64::from)),
        ("fsync", custom.fsync.map(u64::from)),
        ("rate_iops", custom.rate_iops.map(u64::from)),
        ("seed", custom.seed),
    ] {
        append(&mut text, key, value);
    }
    Ok(text)
}

fn append(text: &mut String, key: &str, value: Option<u64>) {
    if let Some(value) = value {
        let separator = if text.is_empty() { "" } else { " " };
        text.push_str(&format!("{separator}{key}={value}"));
    }
}

impl AdjustArguments {
    /// Returns the request that changes the test.
    pub(crate) fn request(&self) -> Request {
        let mut text = String::new();
        for (key, value) in [
            ("workers", self.workers),
            ("queue_depth", self.queue_depth),
            ("rate_iops", self.rate_iops),
            ("write_percent", self.write_percent),
        ] {
            append(&mut text, key, value.map(u64::from));
        }
        Request {
            file: "stress_test_adjust",
            text,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::arguments::{
        Arguments,
        Command,
        StressCommand, //
    };
    use clap::Parser;
    use remap_core::stress::{
        request::Adjustment,
        stress_test::StressTest, //
    };

    /// Returns the request of a command line as `<file>: <text>`, or the error of the command line.
    fn asked(line: &str) -> Result<String, String> {
        let words = ["remapctl", "stress"].into_iter().chain(line.split(' '));
        let arguments = Arguments::try_parse_from(words).map_err(|error| error.to_string())?;
        let request = match arguments.command {
            Command::Stress(StressCommand::Run(run)) => {
                run.kind.request().map_err(|failure| failure.to_string())?
            }
            Command::Stress(StressCommand::Adjust(adjust)) => adjust.request(),
            other => return Err(format!("{other:?}")),
        };
        Ok(format!("{}: {}", request.file, request.text))
    }

    /// Returns whether the module takes a request. The module parses with the same functions.
    fn is_taken(request: &str) -> bool {
        let Some((file, text)) = request.split_once(": ") else {
            return false;
        };
        let parse = match file {
            "stress_test_start" => StressTest::start,
            "quick_validation" => StressTest::quick_validation,
            "regression_test" => StressTest::regression_test,
            "memory_pressure_test" => StressTest::memory_pressure_test,
            "high_concurrency_stress" => StressTest::high_concurrency_stress,
            "tb_scale_validation" => StressTest::tb_scale_validation,
            "endurance_test" => StressTest::endurance_test,
            "production_workload" => StressTest::production_workload,
            "custom_workload" => StressTest::custom_workload,
            "stress_test_adjust" => return Adjustment::parse(text.as_bytes()).is_ok(),
            _ => return false,
        };
        parse(text.as_bytes(), 0).is_ok()
    }

    /// Command lines and their requests.
    const REQUESTS: &[(&str, &str)] = &[
        (
            "run type --type random-write --workers 16 --duration 2m",
            "stress_test_start: 3 16 120000",
        ),
        (
            "run type --type sequential-read",
            "stress_test_start: 0 4 30000",
        ),
        ("run quick", "quick_validation: 1"),
        ("run quick --duration 500ms", "quick_validation: 1 500"),
        ("run regression --duration 90s", "regression_test: 1 90000"),
        (
            "run memory-pressure --memory 2G --duration 5m",
            "memory_pressure_test: 2048 300000",
        ),
        (
            "run high-concurrency --in-flight 50000 --duration 1h",
            "high_concurrency_stress: 50000 3600",
        ),
        (
            "run tb-scale --gigabytes 1000 --type sequential-write",
            "tb_scale_validation: 1000 2",
        ),
        (
            "run endurance --hours 24 --type remap-heavy",
            "endurance_test: 24 5",
        ),
        (
            "run production --workload all --intensity 4 --minutes 1440",
            "production_workload: 3 4 1440",
        ),
        (
            "run production --workload file-server",
            "production_workload: 1 1 1",
        ),
        (
            "run custom --read 70 --random 100",
            "custom_workload: read=70 random=100 bs=4096 queue_depth=32 workers=4 \
                 duration_ms=30000",
        ),
        (
            "run custom --read 0 --random 5 --bs 512,4k,1M --queue-depth 1 --workers 2 \
                 --duration 1s --hot 20 --fsync 16 --rate-iops 1000 --seed 18446744073709551615",
            "custom_workload: read=0 random=5 bs=512,4096,1048576 queue_depth=1 workers=2 \
                 duration_ms=1000 hot=20 fsync=16 rate_iops=1000 seed=18446744073709551615",
        ),
        (
            "adjust --write-percent 0 --workers 8",
            "stress_test_adjust: workers=8 write_percent=0",
        ),
        (
            "adjust --queue-depth 4096 --rate-iops 0",
            "stress_test_adjust: queue_depth=4096 rate_iops=0",
        ),
    ];

    #[test]
    fn every_kind_has_its_file_and_form() {
        for (line, wanted) in REQUESTS {
            assert_eq!(asked(line).as_deref(), Ok(*wanted), "{line}");
            assert!(is_taken(wanted), "{wanted}");
        }
    }

    #[test]
    fn what_the_kernel_would_not_take_is_wrong_usage() {
        for line in [
            "run type",
            "run type --type mixed --workers 33",
            "run type --type mixed --workers 0",
            "run type --type mixed --duration 25h",
            "run type --type mixed --duration 30",
            "run type --type 4",
            "run quick --duration 0s",
            "run memory-pressure",
            "run memory-pressure --memory 100k",
            "run high-concurrency --in-flight 99",
            "run high-concurrency --duration 1500ms",
            "run tb-scale",
            "run endurance --hours 25",
            "run production --workload web",
            "run production --workload all --intensity 5",
            "run production --workload all --minutes 0",
            "run custom --read 70",
            "run custom --read 101 --random 0",
            "run custom --read 1 --random 0 --bs 2M",
            "run custom --read 1 --random 0 --bs 1k,1k,1k,1k,1k,1k,1k,1k,1k",
            "run custom --read 1 --random 0 --hot 100",
            "run custom --read 1 --random 0 --workers 32 --queue-depth 4096",
            "adjust",
            "adjust --workers 33",
            "adjust --queue-depth 0",
            "adjust --write-percent 101",
        ] {
            assert!(asked(line).is_err(), "{line}");
        }
    }
}
