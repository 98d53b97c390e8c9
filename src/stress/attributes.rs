// SPDX-License-Identifier: GPL-2.0

//! Files of `/sys/kernel/dm_remap_stress_test/`, and of `dm_remap/stress/` in debugfs: a row for each.

use core::fmt::Write;

use kernel::{
    prelude::*,
    str::CStr, //
};
use remap_core::stress::{
    record,
    regression::Thresholds,
    report,
    request::{
        self,
        Adjustment,
        DeviceName,
        Refusal, //
    },
    stress_test::StressTest, //
};

use crate::linux::{
    debugfs::Document,
    random::random_u64,
    sysfs::Attribute, //
};

use super::{
    manager::Manager,
    refusal::refuse, //
};

/// Makes a file that starts a test. `$parse` makes the test from the user's text and a random seed.
macro_rules! test {
    ($name:literal, $parse:expr) => {
        Attribute::control(
            {
                const NAME: &CStr = $name;
                NAME
            },
            |manager, text| {
                let file = $name.to_str()?;
                let test = $parse(text, random_u64()).map_err(|why| invalid(file, why))?;
                Manager::start(manager, file, &test)
            },
        )
    };
}

/// Files of sysfs.
pub(super) static TABLE: &[Attribute<Manager>] = &[
    Attribute::setting(
        c"set_target",
        |manager, text| manager.show_target(text),
        |manager, text| {
            let file = "set_target";
            let device = DeviceName::parse(text).map_err(|why| invalid(file, why))?;
            manager.set_target(file, device.as_ref())
        },
    ),
    test!(c"stress_test_start", StressTest::start),
    Attribute::control(c"stress_test_stop", |manager, text| {
        request::parse_trigger(text).map_err(|why| invalid("stress_test_stop", why))?;
        manager.stop()
    }),
    Attribute::control(c"stress_test_adjust", |manager, text| {
        let file = "stress_test_adjust";
        let adjustment = Adjustment::parse(text).map_err(|why| invalid(file, why))?;
        manager.adjust(file, &adjustment)
    }),
    test!(c"quick_validation", StressTest::quick_validation),
    test!(c"regression_test", StressTest::regression_test),
    test!(c"memory_pressure_test", StressTest::memory_pressure_test),
    test!(
        c"high_concurrency_stress",
        StressTest::high_concurrency_stress
    ),
    test!(c"tb_scale_validation", StressTest::tb_scale_validation),
    test!(c"endurance_test", StressTest::endurance_test),
    test!(c"production_workload", StressTest::production_workload),
    test!(c"custom_workload", StressTest::custom_workload),
    Attribute::setting(
        c"baseline",
        |manager, text| {
            let written = manager.change_baselines(|baselines| writeln!(text, "{baselines}"));
            written.map_err(|_| EOVERFLOW)
        },
        |manager, text| {
            let read = manager.change_baselines(|baselines| baselines.read(text));
            read.map_err(|why| invalid("baseline", why))
        },
    ),
    Attribute::setting(
        c"regression_thresholds",
        |manager, text| writeln!(text, "{}", manager.thresholds()).map_err(|_| EOVERFLOW),
        |manager, text| {
            manager
                .set_thresholds(|before| Thresholds::parse(text, before))
                .map_err(|why| invalid("regression_thresholds", why))
        },
    ),
    Attribute::report(c"stress_test_status", |manager, text| {
        manager.report(|run, _| report::status(run, text))
    }),
    Attribute::report(c"stress_test_results", |manager, text| {
        manager.report(|run, _| report::results(run, text))
    }),
    Attribute::report(c"comprehensive_report", |manager, text| {
        manager.report(|run, _| report::comprehensive(run, text))
    }),
];

/// Files of debugfs.
pub(super) static RECORDS: &[Document<Manager>] = &[
    Document {
        name: c"results.json",
        size: 8 << 10,
        show: |manager, text| manager.report(|run, _| record::results(run, text)),
    },
    Document {
        name: c"histograms.json",
        size: 64 << 10,
        show: |manager, text| manager.report(|_, charts| record::histograms(charts, text)),
    },
    Document {
        name: c"trend.json",
        size: 64 << 10,
        show: |manager, text| manager.report(|_, charts| record::trend(charts, text)),
    },
];

/// Logs why the text that was written to `file` is invalid, and returns the error for it: `EINVAL`.
fn invalid(file: &str, why: Refusal) -> Error {
    refuse(file, format_args!("{why}"), EINVAL)
}
