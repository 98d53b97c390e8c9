// SPDX-License-Identifier: GPL-2.0

use super::*;
use crate::stress::{
    histogram::Summary,
    measurement::{
        Engine,
        Integrity,
        Resources, //
    },
    regression::{
        Comparison,
        Thresholds, //
    },
    trend::{
        Quarters,
        Sample,
        Typical, //
    }, //
};
use std::{
    format,
    string::{
        String,
        ToString, //
    },
    vec::Vec,
};

fn judged(change: impl FnOnce(&mut Measurement)) -> (TestResult, Vec<String>) {
    let mut run = Measurement::example();
    change(&mut run);
    let verdict = Verdict::new(&run);
    (
        verdict.result(),
        verdict.reasons().map(|reason| reason.to_string()).collect(),
    )
}

fn outcome(name: &str, change: impl FnOnce(&mut Measurement)) -> Outcome {
    let mut run = Measurement::example();
    change(&mut run);
    let verdict = Verdict::new(&run);
    let row = verdict.rows().find(|row| row.name == name);
    row.unwrap().outcome
}

#[test]
fn a_good_run_passes() {
    assert_eq!(judged(|_| {}), (TestResult::Passed, Vec::new()));
}

#[test]
fn a_test_that_did_nothing_has_failed() {
    for progress in [Progress::Completed, Progress::GaveUp] {
        let (result, reasons) = judged(|run| {
            run.progress = progress;
            run.ops = 0;
        });
        assert_eq!(result, TestResult::Failed);
        assert!(reasons.contains(&String::from("no operation was completed")));
    }
    let (result, reasons) = judged(|run| {
        run.progress = Progress::Running;
        run.ops = 0;
    });
    assert_eq!((result, reasons), (TestResult::Pending, Vec::new()));
}

#[test]
fn a_test_that_could_harm_others_has_failed_and_says_why() {
    for (hazard, reason) in [
        (Hazard::Shared, "somebody else opened the device"),
        (Hazard::Written, "somebody else wrote to the device"),
        (Hazard::ReadOnly, "the device became read-only"),
        (Hazard::Replaced, "the table was replaced"),
    ] {
        let (result, reasons) = judged(|run| {
            run.progress = Progress::GaveUp;
            run.hazard = Some(hazard);
        });
        assert_eq!(
            (result, reasons),
            (TestResult::Failed, Vec::from([String::from(reason)]))
        );
    }
}

#[test]
fn every_missed_target_is_a_reason() {
    let (result, reasons) = judged(|run| {
        run.added = Some(Summary {
            count: 1,
            average: 612,
            p99_9: 2000,
            ..Summary::default()
        });
        run.variation = Some(1000);
        run.bytes = 1000;
        run.queue_depth = 1024;
        run.errors = 3_000_000;
        run.resources.memory_after = 4096;
        run.integrity = Some(Integrity {
            verified: 5,
            mismatches: 2,
            ..Integrity::default()
        });
    });
    assert_eq!(result, TestResult::Failed);
    assert_eq!(
        reasons,
        [
            "Average added latency 612 ns (target < 500 ns)",
            "99.9 % added latency 2000 ns (target < 2000 ns)",
            "Latency variance 10.00 % (target < 10 %)",
            "Throughput 0 MB/s (target >= 100 MB/s)",
            "Peak in flight 128 (target >= 1000)",
            "Error rate 50.0000 % (target < 0.01 %)",
            "Memory growth 4096 bytes (target 0 bytes)",
            "Data mismatches 2 (target 0)",
        ]
    );
}

#[test]
fn memory_is_judged_when_it_was_given_back() {
    let mut run = Measurement::example();
    run.resources.memory_after = run.resources.memory_before + 4096;
    for (progress, outcome) in [
        (Progress::Running, Outcome::NotJudged("running")),
        (Progress::Completed, Outcome::Fail),
    ] {
        run.progress = progress;
        let mut rows = Verdict::new(&run).rows();
        let row = rows.find(|row| row.name == "Memory growth").unwrap();
        assert_eq!(row.outcome, outcome);
    }
}

#[test]
fn limits_are_exact() {
    let added = |average, p99_9| {
        move |run: &mut Measurement| {
            run.added = Some(Summary {
                count: 1,
                average,
                p99_9,
                ..Summary::default()
            })
        }
    };
    assert_eq!(
        outcome("Average added latency", added(499, 0)),
        Outcome::Pass
    );
    assert_eq!(
        outcome("Average added latency", added(500, 0)),
        Outcome::Fail
    );
    assert_eq!(
        outcome("99.9 % added latency", added(0, 1999)),
        Outcome::Pass
    );
    assert_eq!(
        outcome("99.9 % added latency", added(0, 2000)),
        Outcome::Fail
    );
    let rate = |bytes| move |run: &mut Measurement| run.bytes = bytes;
    assert_eq!(outcome("Throughput", rate(3_000_000_000)), Outcome::Pass);
    assert_eq!(outcome("Throughput", rate(2_999_000_000)), Outcome::Fail);
    let errors = |errors| {
        move |run: &mut Measurement| {
            run.ops = 1_000_000 - errors;
            run.errors = errors;
        }
    };
    assert_eq!(outcome("Error rate", errors(99)), Outcome::Pass);
    assert_eq!(outcome("Error rate", errors(100)), Outcome::Fail);
    let drift = |last_bytes| {
        move |run: &mut Measurement| {
            let quarter = |bytes| Sample {
                ns: 1_000_000_000,
                bytes,
                ..Sample::default()
            };
            run.quarters = Some(Quarters {
                first: quarter(1_000_000),
                last: quarter(last_bytes),
            });
        }
    };
    assert_eq!(outcome("Throughput drift", drift(950_100)), Outcome::Pass);
    assert_eq!(outcome("Throughput drift", drift(950_000)), Outcome::Fail);
    assert_eq!(outcome("Throughput drift", drift(2_000_000)), Outcome::Pass);
}

#[test]
fn what_cannot_be_judged_never_passes() {
    type Change = fn(&mut Measurement);
    let cases: [(&str, Change); 14] = [
        ("Peak throughput", |_| {}),
        ("Remap entries", |run| run.engine = None),
        ("Remap entries", |_| {}),
        ("Worker threads", |run| run.workers = 31),
        ("Stability", |_| {}),
        ("Average added latency", |run| run.added = None),
        ("99.9 % added latency", |run| {
            run.added = Some(Summary::default())
        }),
        ("Latency variance", |run| run.variation = None),
        ("Throughput", |run| run.elapsed_ns = 999_000_000),
        ("Throughput drift", |run| run.quarters = None),
        ("Throughput drift", |run| {
            run.quarters = Some(Quarters::default())
        }),
        ("Peak in flight", |run| run.queue_depth = 999),
        ("Error rate", |run| run.ops = 0),
        ("Data mismatches", |run| run.integrity = None),
    ];
    for (name, change) in cases {
        assert!(
            matches!(outcome(name, change), Outcome::NotJudged(_)),
            "{name}"
        );
    }
    let synchronous = |run: &mut Measurement| {
        run.queue_depth = 1024;
        run.synchronous = true;
    };
    assert!(matches!(
        outcome("Peak in flight", synchronous),
        Outcome::NotJudged(_)
    ));
}

#[test]
fn many_remaps_are_judged_by_comparison() {
    let with = |entries, last: u64| {
        move |run: &mut Measurement| {
            run.engine = run.engine.map(|engine| Engine { entries, ..engine });
            let typical = |bytes_per_second| Typical {
                added_ns: 100,
                bytes_per_second,
            };
            run.regression = Regression::Compared(Comparison {
                baseline: typical(1_000_000),
                run: typical(last),
                thresholds: Thresholds::DEFAULT,
            });
        }
    };
    assert_eq!(
        outcome("Remap entries", with(10_001, 1_000_000)),
        Outcome::Pass
    );
    assert_eq!(
        outcome("Remap entries", with(10_001, 800_000)),
        Outcome::Fail
    );
    let few = outcome("Remap entries", with(10_000, 1_000_000));
    assert!(matches!(few, Outcome::NotJudged(_)));
}

#[test]
fn a_day_and_all_workers_are_judged_where_they_are_asked_for() {
    let all = |run: &mut Measurement| run.workers = 32;
    assert_eq!(outcome("Worker threads", all), Outcome::Pass);
    let day = |run: &mut Measurement| run.elapsed_ns = 86_400_000_000_000;
    assert_eq!(outcome("Stability", day), Outcome::Pass);
    let gave_up = |run: &mut Measurement| {
        run.workers = 32;
        run.failed_workers = 1;
    };
    assert_eq!(outcome("Worker threads", gave_up), Outcome::Fail);
}

#[test]
fn a_mismatch_on_a_shared_device_is_not_judged() {
    let mismatch = |shared| {
        move |run: &mut Measurement| {
            run.integrity = Some(Integrity {
                verified: 9,
                mismatches: 1,
                unreadable: 0,
                shared,
            })
        }
    };
    assert_eq!(outcome("Data mismatches", mismatch(false)), Outcome::Fail);
    assert!(matches!(
        outcome("Data mismatches", mismatch(true)),
        Outcome::NotJudged(_)
    ));
    let clean = |run: &mut Measurement| {
        run.integrity = Some(Integrity {
            verified: 9,
            shared: true,
            ..Integrity::default()
        })
    };
    assert_eq!(outcome("Data mismatches", clean), Outcome::Pass);
}

#[test]
fn an_unfinished_run_does_not_pass() {
    assert_eq!(
        judged(|run| run.progress = Progress::Running).0,
        TestResult::Pending
    );
    let (result, reasons) = judged(|run| {
        run.progress = Progress::StoppedEarly;
        run.elapsed_ns = 1_500_000_000;
        run.bytes = 1_000_000_000;
    });
    assert_eq!(result, TestResult::Failed);
    assert_eq!(reasons, ["stopped early after 1500 of 30000 ms"]);
    let (result, reasons) = judged(|run| {
        run.progress = Progress::GaveUp;
        run.failed_workers = 2;
        run.left_remapped = 3;
        run.remap_errors = 4;
    });
    assert_eq!(result, TestResult::Failed);
    assert_eq!(reasons.len(), 3);
}

#[test]
fn a_test_by_volume_says_how_much_was_moved() {
    let (_, reasons) = judged(|run| {
        run.progress = Progress::StoppedEarly;
        run.limit = Limit::Volume(1_000_000_000_000);
    });
    assert_eq!(reasons, ["stopped early after 12288 of 1000000 MB"]);
}

#[test]
fn a_regression_fails_and_so_does_none_that_could_be_judged() {
    let typical = |added_ns, bytes_per_second| Typical {
        added_ns,
        bytes_per_second,
    };
    let compared = |added_ns, bytes_per_second| {
        move |run: &mut Measurement| {
            run.regression = Regression::Compared(Comparison {
                baseline: typical(100, 1_000_000),
                run: typical(added_ns, bytes_per_second),
                thresholds: Thresholds::DEFAULT,
            })
        }
    };
    assert_eq!(judged(compared(109, 910_000)).0, TestResult::Passed);
    let (result, reasons) = judged(compared(125, 800_000));
    assert_eq!(result, TestResult::Failed);
    assert_eq!(
        reasons,
        [
            "added latency changed by 25.00 % (threshold 10 %)",
            "throughput changed by -20.00 % (threshold 10 %)"
        ]
    );
    let (result, reasons) = judged(|run| run.regression = Regression::NotJudged("why"));
    assert_eq!(result, TestResult::Failed);
    assert_eq!(reasons, ["not compared with the baseline: why"]);
    let first = judged(|run| run.regression = Regression::First(typical(1, 1)));
    assert_eq!(first.0, TestResult::Passed);
}

#[test]
fn figures_have_their_units() {
    assert_eq!(format!("{}", Figure::BasisPoints(-5)), "-0.05 %");
    assert_eq!(format!("{}", Figure::PartsPerMillion(100)), "0.0100 %");
    assert_eq!(format!("{}", Figure::Bytes(-8)), "-8 bytes");
    assert_eq!(format!("{}", Outcome::NotJudged("why")), "N/A (why)");
    let _ = Resources::default();
}
