// SPDX-License-Identifier: GPL-2.0

//! The files of `/sys/kernel/dm_remap_stress_test/`: a row for each.

use kernel::{
    prelude::*,
    sync::ArcBorrow, //
};
use remap_core::{
    report,
    request::{
        self,
        DeviceName,
        Refusal,
        Start, //
    },
    workload::TestType,
};

use crate::linux::{
    random::random_u64,
    sysfs::Attribute, //
};

use super::{
    manager::{
        refuse,
        Manager, //
    },
    run::Request,
};

/// A test with a file of its own.
struct Preset {
    file: &'static str,
    test: TestType,
    workers: u32,
    duration_ms: u64,
}

const QUICK_VALIDATION: Preset = Preset {
    file: "quick_validation",
    test: TestType::Mixed,
    workers: 4,
    duration_ms: 30_000,
};

/// The files.
pub(super) static TABLE: &[Attribute<Manager>] = &[
    Attribute::control(c"set_target", |manager, text| {
        let file = "set_target";
        let device = DeviceName::parse(text).map_err(|why| invalid(file, why))?;
        manager.set_target(file, &device)
    }),
    Attribute::control(c"stress_test_start", |manager, text| {
        let file = "stress_test_start";
        let start = Start::parse(text).map_err(|why| invalid(file, why))?;
        launch(manager, file, start)
    }),
    Attribute::control(c"stress_test_stop", |manager, text| {
        request::parse_trigger(text).map_err(|why| invalid("stress_test_stop", why))?;
        manager.stop()
    }),
    Attribute::control(c"quick_validation", |manager, text| {
        launch_preset(manager, text, &QUICK_VALIDATION)
    }),
    Attribute::report(c"stress_test_status", |manager, text| {
        manager.report(|run| report::status(run, text))
    }),
    Attribute::report(c"stress_test_results", |manager, text| {
        manager.report(|run| report::results(run, text))
    }),
    Attribute::report(c"comprehensive_report", |manager, text| {
        manager.report(|run| report::comprehensive(run, text))
    }),
];

fn invalid(file: &str, why: Refusal) -> Error {
    refuse(file, format_args!("{why}"), EINVAL)
}

fn launch(manager: ArcBorrow<'_, Manager>, file: &str, start: Start) -> Result {
    let request = Request {
        test: start.test.number(),
        test_name: start.test.name(),
        duration_ms: start.duration_ms,
    };
    let workload = start.test.workload(start.workers, random_u64());
    Manager::start(manager, file, request, workload)
}

fn launch_preset(manager: ArcBorrow<'_, Manager>, text: &[u8], preset: &Preset) -> Result {
    let duration_ms = request::parse_timed_trigger(text, preset.duration_ms)
        .map_err(|why| invalid(preset.file, why))?;
    let start = Start {
        test: preset.test,
        workers: preset.workers,
        duration_ms,
    };
    launch(manager, preset.file, start)
}
