// SPDX-License-Identifier: GPL-2.0

//! Fuzzes command lines of remapctl: durations, sizes, and requests to the stress manager.

use clap::Parser;
use remap_core::stress::{
    request::Adjustment,
    stress_test::StressTest, //
};

use crate::{
    arguments::{
        Arguments,
        Command,
        StressCommand, //
    },
    duration,
    failure::Failure,
    request::Request,
    size, //
};

/// Duration of the longest test, in milliseconds.
const DAY: u128 = 86_400_000;

pub(crate) fn duration(text: &str) {
    let whole = duration::parse(text);
    if let Ok(time) = &whole {
        assert!(time.as_millis() > 0);
        // Every duration is a whole number of milliseconds.
        let again = format!("{}ms", time.as_millis());
        assert_eq!(duration::parse(&again).as_ref(), Ok(time));
    }
    if let Ok(time) = duration::of_test(text) {
        assert!(time.as_millis() <= DAY && whole.as_ref() == Ok(&time));
    }
    if let Ok(time) = duration::of_whole_seconds(text) {
        assert!((1..=3600).contains(&time.as_secs()) && time.subsec_nanos() == 0);
    }
    if let Ok(time) = duration::of_interval(text) {
        assert!((100..=3_600_000).contains(&time.as_millis()));
    }
}

pub(crate) fn size(text: &str) {
    if let Ok(bytes) = size::of_operation(text) {
        assert!((512..=1 << 20).contains(&bytes));
    }
    if let Ok(mebibytes) = size::of_memory(text) {
        // The limits of memory_pressure_test.
        assert!((1..=1 << 30).contains(&mebibytes));
    }
    if let (Ok(number), Ok(sectors)) = (remap_size::parse(text), remap_size::sectors(text)) {
        assert_eq!(remap_size::parse(&number.to_string()), Ok(number));
        assert!(sectors == number || sectors == number / 512);
    }
}

/// Checks a command line. `text` has the words after `remapctl stress`, one on each line.
pub(crate) fn request(text: &str) {
    let words = ["remapctl", "stress"].into_iter().chain(text.lines());
    let Ok(arguments) = Arguments::try_parse_from(words) else {
        return;
    };
    let request = match arguments.command {
        Command::Stress(StressCommand::Run(run)) => match run.kind.request() {
            Ok(request) => request,
            Err(failure) => return assert!(matches!(failure, Failure::Usage(_))),
        },
        Command::Stress(StressCommand::Adjust(adjust)) => adjust.request(),
        _ => return,
    };
    assert!(is_taken(&request), "{request:?}");
}

fn is_taken(request: &Request) -> bool {
    let parse = match request.file {
        "stress_test_start" => StressTest::start,
        "quick_validation" => StressTest::quick_validation,
        "regression_test" => StressTest::regression_test,
        "memory_pressure_test" => StressTest::memory_pressure_test,
        "high_concurrency_stress" => StressTest::high_concurrency_stress,
        "tb_scale_validation" => StressTest::tb_scale_validation,
        "endurance_test" => StressTest::endurance_test,
        "production_workload" => StressTest::production_workload,
        "custom_workload" => StressTest::custom_workload,
        _ => {
            assert_eq!(request.file, "stress_test_adjust");
            return Adjustment::parse(request.text.as_bytes()).is_ok();
        }
    };
    parse(request.text.as_bytes(), 0).is_ok()
}
