// SPDX-License-Identifier: GPL-2.0

use super::*;
use crate::{
    interface::device_number::DeviceNumber,
    stress::{
        measurement::{
            Engine,
            Hazard,
            Integrity,
            Resources, //
        },
        name::Name,
        regression::Thresholds,
        trend::Typical, //
    }, //
};
use std::{
    format,
    string::String,
    vec::Vec, //
};

type Report = fn(Option<&Measurement>, &mut dyn Write) -> fmt::Result;

fn text(report: Report, run: Option<&Measurement>) -> String {
    let mut text = String::new();
    report(run, &mut text).unwrap();
    text
}

/// Returns results whose texts are the longest possible.
fn extreme() -> Measurement {
    let summary = Summary {
        count: u64::MAX,
        min: u64::MAX,
        average: u64::MAX,
        p50: u64::MAX,
        p90: u64::MAX,
        p99: u64::MAX,
        p99_9: u64::MAX,
        max: u64::MAX,
    };
    let quarter = |ops| Sample {
        ns: 1000,
        ops,
        bytes: ops,
        added_count: 1,
        added_ns: u64::MAX - ops,
        memory: ops,
    };
    Measurement {
        name: Name::new(&[0xff; 127]),
        device: DeviceNumber {
            major: u32::MAX,
            minor: u32::MAX,
        },
        test: u8::MAX,
        test_name: "Sequential Write",
        limit: Limit::Time(u64::MAX),
        workers: u32::MAX,
        queue_depth: u32::MAX,
        seed: u64::MAX,
        progress: Progress::StoppedEarly,
        elapsed_ns: u64::MAX,
        ops: u64::MAX,
        bytes: u64::MAX,
        flushes: u64::MAX,
        zeroed: u64::MAX,
        errors: u64::MAX,
        in_flight: u64::MAX,
        peak_in_flight: 999,
        synchronous: false,
        added: Some(summary),
        read: summary,
        write: summary,
        delays: Some(DelayFigures {
            relocation: summary,
            stall: summary,
        }),
        quarters: Some(Quarters {
            first: quarter(u64::MAX),
            last: quarter(1),
        }),
        variation: Some(i64::MAX),
        peak_bytes_per_second: Some(u64::MAX),
        slope: Some(i64::MIN),
        regression: Regression::Compared(Comparison {
            baseline: Typical {
                added_ns: 1,
                bytes_per_second: u64::MAX,
            },
            run: Typical {
                added_ns: u64::MAX,
                bytes_per_second: 1,
            },
            thresholds: Thresholds {
                latency: 1000,
                throughput: 99,
            },
        }),
        integrity: Some(Integrity {
            verified: u64::MAX,
            mismatches: u64::MAX,
            unreadable: u64::MAX,
            shared: false,
        }),
        engine: Some(Engine {
            entries: u64::MAX,
            spare_blocks: u64::MAX,
            fast: u64::MAX,
            slow: u64::MAX,
            reads: u64::MAX,
            writes: u64::MAX,
            remapped_reads: u64::MAX,
            remapped_writes: u64::MAX,
        }),
        resources: Resources {
            memory_before: 0,
            memory_peak: u64::MAX,
            memory_after: u64::MAX,
            cpu_ns: u64::MAX,
            pressure_bytes: u64::MAX,
        },
        failed_workers: u32::MAX,
        left_remapped: u64::MAX,
        hazard: Some(Hazard::Written),
        remap_errors: u64::MAX,
    }
}

fn keys(text: &str) -> Vec<&str> {
    text.lines()
        .filter(|line| !line.is_empty())
        .map(|line| line.split_once(':').map_or(line, |(key, _)| key))
        .collect()
}

#[test]
fn every_report_fits_a_page() {
    let mut run = extreme();
    for report in [status as Report, results, comprehensive] {
        for progress in [Progress::Running, Progress::StoppedEarly, Progress::GaveUp] {
            run.progress = progress;
            let length = text(report, Some(&run)).len();
            assert!(length < MAX_BYTES, "{length}");
        }
        assert!(text(report, None).len() < MAX_BYTES);
    }
}

#[test]
fn status_is_one_line() {
    let mut run = Measurement::example();
    assert_eq!(
        text(status, Some(&run)),
        "STOPPED device=test_device type=4 workers=4 in_flight=0 elapsed_ms=30000 \
         duration_ms=30000 progress=100% ops=3000000 iops=100000 mb_s=409 errors=0 \
         result=PASSED\n"
    );
    run.progress = Progress::StoppedEarly;
    assert!(text(status, Some(&run)).ends_with(" result=STOPPED_EARLY\n"));
    run.progress = Progress::GaveUp;
    run.failed_workers = 1;
    assert!(text(status, Some(&run)).ends_with(" result=FAILED\n"));
    run.progress = Progress::Running;
    run.name = Name::new(b"a b\n=\\");
    let running = text(status, Some(&run));
    assert!(running.starts_with("RUNNING device=a\\x20b\\x0a=\\x5c type=4 "));
    assert!(running.ends_with(" errors=0\n"));
    assert_eq!(text(status, None), "STOPPED\n");
}

#[test]
fn before_the_first_test_a_report_says_so_in_one_line() {
    assert_eq!(
        text(results, None),
        "=== Phase 3.2C Stress Test Results ===\n\n\
         No test has run since the module was loaded.\n"
    );
    assert_eq!(
        text(comprehensive, None),
        "=== Phase 3.2C Comprehensive Performance Report ===\n\n\
         No test has run since the module was loaded.\n"
    );
}

#[test]
fn results_keep_headings_and_keys() {
    let run = Measurement::example();
    let wanted = [
        "=== Phase 3.2C Stress Test Results ===",
        "Test Configuration",
        "  Device",
        "  Test Type",
        "  Duration",
        "  Worker Threads",
        "  Queue Depth",
        "  Seed",
        "Performance Metrics",
        "  Total Operations",
        "  Total Bytes",
        "  Total Errors",
        "  Average Latency",
        "  Throughput",
        "  IOPS",
        "  Peak In Flight",
        "Added Latency (ns)",
        "I/O Latency (ns)",
        "I/O Latency (ns)",
        "Relocation (us)",
        "Stall (us)",
        "Integrity",
        "  Blocks Verified",
        "  Mismatches",
        "Regression Analysis",
        "  Baseline Latency",
        "  Latency Change",
        "  Baseline Throughput",
        "  Throughput Change",
        "Test Result",
        "Failure Reason",
    ];
    let full = text(results, Some(&run));
    assert_eq!(keys(&full), wanted);
    for line in [
        "  Device:           test_device (253:0)",
        "  Test Type:        Mixed Workload (4)",
        "  Queue Depth:      128",
        "  Total Bytes:      12288000000 (12288 MB)",
        "  Average Latency:  120 ns",
        "  Throughput:       409 MB/s",
        "Added Latency (ns):  min=50 avg=120 p50=110 p90=200 p99=400 p99.9=900 max=5000",
        "Relocation (us):     count=0 p50=0 p99=0 max=0",
        "Stall (us):          count=0 p50=0 p99=0 max=0",
        "  Baseline Throughput: N/A (not a regression test)",
        "Test Result:      PASSED",
        "Failure Reason:   None",
    ] {
        assert!(full.lines().any(|got| got == line), "{line}\n{full}");
    }
}

#[test]
fn delays_are_in_microseconds() {
    let mut run = Measurement::example();
    let stall = Summary {
        count: 7,
        p50: 999,
        p99: 20_000,
        max: 1_000_001,
        ..Summary::default()
    };
    let delays = DelayFigures {
        relocation: Summary::default(),
        stall,
    };
    run.delays = Some(delays);
    let full = text(results, Some(&run));
    let line = "\nStall (us):          count=7 p50=1 p99=20 max=1001\n";
    assert!(full.contains(line), "{full}");
    run.delays = None;
    let full = text(results, Some(&run));
    let line = "\nRelocation (us):     N/A (the target took no times)\n";
    assert!(full.contains(line), "{full}");
}

#[test]
fn the_comprehensive_report_keeps_headings_and_keys() {
    let run = Measurement::example();
    let full = text(comprehensive, Some(&run));
    let wanted = [
        "STRESS TEST RESULTS",
        "  Test Status",
        "  Duration",
        "  Workers",
        "  Operations",
        "  Data Processed",
        "  Errors",
        "  Avg Latency",
        "  Throughput",
        "  IOPS",
        "REMAP ENGINE",
        "  Remap Entries",
        "  Fast Path",
        "  Slow Path",
        "  Per-CPU Totals",
        "RESOURCES",
        "  Memory Before",
        "  Memory Peak",
        "  Memory After",
        "  Worker CPU Time",
        "TREND",
        "  First Quarter",
        "  Last Quarter",
        "  Drift",
        "  Steady State",
        "VALIDATION TARGETS",
    ];
    assert_eq!(keys(&full)[1..=wanted.len()], wanted);
    let last = [
        "  Test Result",
        "  Performance",
        "  Reliability",
        "  Failure Reason",
    ];
    assert!(keys(&full).ends_with(&last));
    assert!(
        full.contains("  Fast Path:        90 (90.00 %)\n"),
        "{full}"
    );
    assert!(
        full.contains("  Average added latency  < 500 ns     120 ns       PASS\n"),
        "{full}"
    );
}

#[test]
fn what_was_not_measured_is_not_made_up() {
    let mut run = Measurement::example();
    run.added = None;
    run.write = Summary::default();
    run.integrity = None;
    run.engine = None;
    run.quarters = None;
    run.progress = Progress::Running;
    let short = text(results, Some(&run));
    assert!(short.contains("  Average Latency:  N/A\n"));
    assert!(short.contains("I/O Latency (ns):    write N/A\n"));
    assert!(short.contains("  Blocks Verified:  N/A (read again at the end)\n"));
    assert!(short.contains("Test Result:      N/A (running)\n"));
    let long = text(comprehensive, Some(&run));
    assert!(long.contains("  Remap Entries:    N/A (the table is gone)\n"));
    assert!(long.contains("  Memory After:     N/A (running)\n"));
    assert!(long.contains("  First Quarter:    N/A (run shorter than 4 samples)\n"));
}

#[test]
fn a_comparison_has_changes_with_their_signs() {
    let typical = |added_ns, bytes_per_second| Typical {
        added_ns,
        bytes_per_second,
    };
    let mut run = Measurement::example();
    run.regression = Regression::Compared(Comparison {
        baseline: typical(100, 200_000_000),
        run: typical(104, 150_000_000),
        thresholds: Thresholds::DEFAULT,
    });
    let compared = text(results, Some(&run));
    for line in [
        "  Baseline Latency: 100 ns",
        "  Latency Change:   +4 ns (+4%)",
        "  Baseline Throughput: 200 MB/s",
        "  Throughput Change: -50 MB/s (-25%)",
        "Test Result:      FAILED",
    ] {
        assert!(
            compared.lines().any(|got| got == line),
            "{line}\n{compared}"
        );
    }
    run.regression = Regression::First(typical(100, 200_000_000));
    let first = text(results, Some(&run));
    assert!(first.contains("  Baseline Latency: 100 ns\n"));
    assert!(first.contains("  Latency Change:   N/A (this run is the baseline)\n"));
}

#[test]
fn a_test_by_volume_counts_what_was_moved() {
    let mut run = Measurement::example();
    run.limit = Limit::Volume(24_576_000_000);
    let line = text(status, Some(&run));
    assert!(line.contains(" duration_ms=30000 progress=50% "), "{line}");
    let long = text(comprehensive, Some(&run));
    assert!(
        long.contains("  Duration:         30000 ms, until 24576 MB\n"),
        "{long}"
    );
    run.resources.pressure_bytes = 5 << 20;
    let long = text(comprehensive, Some(&run));
    assert!(long.contains("  Memory Pressure:  5 MiB held\n"), "{long}");
}

#[test]
fn a_shared_device_is_named_beside_its_mismatches() {
    let mut run = Measurement::example();
    run.integrity = Some(Integrity {
        verified: 5,
        mismatches: 1,
        unreadable: 0,
        shared: true,
    });
    let wanted = "  Mismatches:       1 (N/A: somebody else wrote to the device)\n";
    assert!(text(results, Some(&run)).contains(wanted));
    assert_eq!(format!("{}", known(None::<u8>, "why")), "N/A (why)");
}
