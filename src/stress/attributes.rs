// SPDX-License-Identifier: GPL-2.0

//! The files of `/sys/kernel/dm_remap_stress_test/` and `dm_remap/stress/` of debugfs: a row for
//! each.

use core::fmt::Write;

use kernel::{
    prelude::*,
    sync::ArcBorrow, //
};
use remap_core::{
    record,
    regression::Thresholds,
    report,
    request::{
        self,
        Adjustment,
        DeviceName,
        Refusal, //
    },
    stress_test::StressTest,
};

use crate::linux::{
    debugfs::Document,
    random::random_u64,
    sysfs::Attribute, //
};

use super::manager::{
    refuse,
    Manager, //
};

/// The files of sysfs.
pub(super) static TABLE: &[Attribute<Manager>] = &[
    Attribute::control(c"set_target", |manager, text| {
        let file = "set_target";
        let device = DeviceName::parse(text).map_err(|why| invalid(file, why))?;
        manager.set_target(file, &device)
    }),
    Attribute::control(c"stress_test_start", |manager, text| {
        start(manager, "stress_test_start", StressTest::start, text)
    }),
    Attribute::control(c"stress_test_stop", |manager, text| {
        request::parse_trigger(text).map_err(|why| invalid("stress_test_stop", why))?;
        manager.stop()
    }),
    Attribute::control(c"stress_test_adjust", |manager, text| {
        let file = "stress_test_adjust";
        let adjustment = Adjustment::parse(text).map_err(|why| invalid(file, why))?;
        manager.adjust(file, &adjustment)
    }),
    Attribute::control(c"quick_validation", |manager, text| {
        start(
            manager,
            "quick_validation",
            StressTest::quick_validation,
            text,
        )
    }),
    Attribute::control(c"regression_test", |manager, text| {
        start(
            manager,
            "regression_test",
            StressTest::regression_test,
            text,
        )
    }),
    Attribute::control(c"memory_pressure_test", |manager, text| {
        start(
            manager,
            "memory_pressure_test",
            StressTest::memory_pressure_test,
            text,
        )
    }),
    Attribute::control(c"high_concurrency_stress", |manager, text| {
        start(
            manager,
            "high_concurrency_stress",
            StressTest::high_concurrency_stress,
            text,
        )
    }),
    Attribute::control(c"tb_scale_validation", |manager, text| {
        start(
            manager,
            "tb_scale_validation",
            StressTest::tb_scale_validation,
            text,
        )
    }),
    Attribute::control(c"endurance_test", |manager, text| {
        start(manager, "endurance_test", StressTest::endurance_test, text)
    }),
    Attribute::control(c"production_workload", |manager, text| {
        start(
            manager,
            "production_workload",
            StressTest::production_workload,
            text,
        )
    }),
    Attribute::control(c"custom_workload", |manager, text| {
        start(
            manager,
            "custom_workload",
            StressTest::custom_workload,
            text,
        )
    }),
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

/// The files of debugfs.
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

fn invalid(file: &str, why: Refusal) -> Error {
    refuse(file, format_args!("{why}"), EINVAL)
}

/// Starts what `parse` makes of the text, a test with random numbers of its own.
fn start(
    manager: ArcBorrow<'_, Manager>,
    file: &str,
    parse: fn(&[u8], u64) -> Result<StressTest, Refusal>,
    text: &[u8],
) -> Result {
    let test = parse(text, random_u64()).map_err(|why| invalid(file, why))?;
    Manager::start(manager, file, &test)
}
