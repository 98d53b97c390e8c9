// SPDX-License-Identifier: GPL-2.0

//! Fuzzes texts that users write into the attributes of the stress manager.

use remap_core::{
    interface::device_number::DeviceNumber,
    stress::{
        generator::{
            Generator,
            Plan, //
        },
        pace::Pace,
        production::Production,
        regression::{
            Baselines,
            Thresholds, //
        },
        request::{
            self,
            Adjustment,
            DeviceName,
            Refusal,
            MAX_NAME, //
        },
        stress_test::{
            Limit,
            StressTest, //
        },
        workload::TestType, //
    }, //
};

type Parser = fn(&[u8], u64) -> Result<StressTest, Refusal>;
type Writer = fn(&StressTest) -> String;

/// Attribute that starts a test.
struct Attribute {
    /// Byte of the input that chooses the attribute.
    letter: u8,
    parser: Parser,
    /// Writes a test as a text for the attribute.
    writer: Writer,
    /// Fields that a refusal may name.
    fields: &'static [&'static str],
}

const TESTS: &[Attribute] = &[
    Attribute {
        letter: b's',
        parser: StressTest::start,
        writer: |test| format!("{} {} {}", test.number, test.workload.workers(), ms(test)),
        fields: &["test_type", "num_workers", "duration_ms", "end of line"],
    },
    Attribute {
        letter: b'q',
        parser: StressTest::quick_validation,
        writer: |test| format!("1 {}", ms(test)),
        fields: &["value", "duration_ms", "end of line"],
    },
    Attribute {
        letter: b'r',
        parser: StressTest::regression_test,
        writer: |test| format!("1 {}", ms(test)),
        fields: &["value", "duration_ms", "end of line"],
    },
    Attribute {
        letter: b'p',
        parser: StressTest::memory_pressure_test,
        writer: |test| format!("{} {}", test.pressure_bytes >> 20, ms(test)),
        fields: &["pressure_mb", "duration_ms", "end of line"],
    },
    Attribute {
        letter: b'h',
        parser: StressTest::high_concurrency_stress,
        writer: |test| format!("{} {}", in_flight(test), whole(ms(test), 1000)),
        fields: &["in_flight", "duration_sec", "end of line"],
    },
    Attribute {
        letter: b'v',
        parser: StressTest::tb_scale_validation,
        writer: |test| match test.limit {
            Limit::Volume(bytes) => format!("{} {}", whole(bytes, 1_000_000_000), test.number),
            Limit::Time(_) => panic!("a test of so many GB ends by time"),
        },
        fields: &["dataset_gb", "test_type", "end of line"],
    },
    Attribute {
        letter: b'e',
        parser: StressTest::endurance_test,
        writer: |test| format!("{} {}", whole(ms(test), 3_600_000), test.number),
        fields: &["hours", "test_type", "end of line"],
    },
    Attribute {
        letter: b'w',
        parser: StressTest::production_workload,
        writer: production,
        fields: &["type", "intensity", "minutes", "end of line"],
    },
    Attribute {
        letter: b'c',
        parser: StressTest::custom_workload,
        writer: custom,
        fields: &[
            "read",
            "random",
            "bs",
            "queue_depth",
            "workers",
            "duration_ms",
            "hot",
            "fsync",
            "rate_iops",
            "seed",
            "key=value",
        ],
    },
];

/// Checks a text for the attribute that the letter stands for.
pub(crate) fn check(letter: u8, text: &[u8]) {
    match letter {
        b'a' => adjustment(text),
        b'b' => baselines(text),
        b'd' => device(text),
        b'g' => thresholds(text),
        b'1' => trigger(text),
        _ => {
            if let Some(attribute) = TESTS.iter().find(|test| test.letter == letter) {
                test(attribute, text);
            }
        }
    }
}

/// Returns the text without one newline at its end, which parsers ignore. A text that ends with two is
/// returned unchanged.
fn without_newline(text: &[u8]) -> &[u8] {
    let bare = text.strip_suffix(b"\n");
    bare.filter(|bare| !bare.ends_with(b"\n")).unwrap_or(text)
}

fn check_refusal(refusal: &Refusal, fields: &[&str]) {
    assert!(fields.contains(&refusal.field), "{refusal}");
    let words = refusal.to_string();
    let reason = words
        .strip_prefix(refusal.field)
        .and_then(|rest| rest.strip_prefix(": "));
    assert!(reason.is_some_and(|reason| !reason.is_empty()));
}

fn ms(test: &StressTest) -> u64 {
    match test.limit {
        Limit::Time(ms) => ms,
        Limit::Volume(_) => panic!("a test of so many milliseconds ends by volume"),
    }
}

fn whole(number: u64, unit: u64) -> u64 {
    assert_eq!(number % unit, 0);
    number / unit
}

fn in_flight(test: &StressTest) -> u32 {
    let streams = test.workload.streams().iter();
    streams.map(|stream| stream.in_flight).sum()
}

fn production(test: &StressTest) -> String {
    let number = test.number - 7;
    let kind = Production::from_number(number.into()).expect("a workload of production");
    let seed = test.workload.seed;
    let intensity = (1..=4).find(|intensity| kind.workload(*intensity, seed) == test.workload);
    let intensity = intensity.expect("an intensity");
    format!("{number} {intensity} {}", whole(ms(test), 60_000))
}

fn custom(test: &StressTest) -> String {
    let [stream] = test.workload.streams() else {
        panic!("a workload made to measure has one stream");
    };
    let sizes: Vec<String> = stream
        .sizes
        .iter()
        .map(|(size, _)| size.to_string())
        .collect();
    format!(
        "read={} random={} bs={} queue_depth={} workers={} duration_ms={} hot={} fsync={} \
         rate_iops={} seed={}",
        stream.read_percent,
        stream.random_percent,
        sizes.join(","),
        whole(stream.in_flight.into(), stream.workers.into()),
        stream.workers,
        ms(test),
        stream.hot_percent,
        stream.flush_every,
        test.workload.rate_iops,
        test.workload.seed
    )
}

fn test(attribute: &Attribute, text: &[u8]) {
    let parsed = (attribute.parser)(text, 7);
    let bare = without_newline(text);
    assert_eq!((attribute.parser)(bare, 7), parsed);
    let test = match parsed {
        Ok(test) => test,
        Err(refusal) => return check_refusal(&refusal, attribute.fields),
    };
    let written = (attribute.writer)(&test);
    assert_eq!((attribute.parser)(written.as_bytes(), 7), Ok(test));
    check_limits(&test);
    check_operations(&test, text.len() as u64);
}

/// Checks the limits that docs/interface.md and docs/workloads.md state.
fn check_limits(test: &StressTest) {
    match test.limit {
        Limit::Time(ms) => assert!((1..=86_400_000).contains(&ms)),
        Limit::Volume(bytes) => assert!((1..=10_000).contains(&whole(bytes, 1_000_000_000))),
    }
    assert!(test.number <= 10 && !test.name.is_empty());
    let workload = &test.workload;
    assert!((1..=32).contains(&workload.workers()));
    assert!(in_flight(test) <= 50_000);
    assert!(workload.rate_iops <= 100_000_000);
    assert!(whole(test.pressure_bytes, 1 << 20) <= 1 << 30);
    for stream in workload.streams() {
        assert!(stream.workers >= 1 && stream.in_flight >= 1);
        assert!(stream.read_percent <= 100 && stream.random_percent <= 100);
        assert!(stream.hot_percent <= 99 && stream.zero_percent <= 100);
        let mut sizes = stream.sizes.iter().map(|(size, _)| size);
        assert!(sizes.all(|size| (512..=1 << 20).contains(&size)));
    }
}

/// Checks that the operations of a test lie within a device, in whole logical blocks.
fn check_operations(test: &StressTest, chance: u64) {
    let sectors = [1, 7, 8, 2048, 100_001, u64::MAX][chance as usize % 6];
    let logical = [512, 4096][chance as usize / 6 % 2];
    let Ok(plan) = Plan::new(&test.workload, sectors, logical) else {
        assert!(sectors < 8 && logical > 512);
        return;
    };
    for worker in [0, 31, test.workload.workers() - 1] {
        let seat = test.workload.seat(worker).expect("a seat for everybody");
        assert!((1..=50_000).contains(&seat.queue_depth));
        let mut generator = Generator::new(&plan, &seat, worker);
        let mut pace = Pace::new(seat.stream.burst);
        let interval = Pace::interval_ns(test.workload.rate_iops, test.workload.workers());
        for now in 0..8 {
            let operation = generator.next_operation(None);
            let end = operation.sector.checked_add(operation.sectors.into());
            assert!(end.is_some_and(|end| end <= sectors));
            assert_eq!(operation.sector % u64::from(logical / 512), 0);
            let _ = pace.start(now * 1_000_000_007, interval);
        }
    }
}

fn adjustment(text: &[u8]) {
    let parsed = Adjustment::parse(text);
    assert_eq!(Adjustment::parse(without_newline(text)), parsed);
    let change = match parsed {
        Ok(change) => change,
        Err(refusal) => {
            let fields = ["workers", "queue_depth", "rate_iops", "write_percent"];
            return check_refusal(&refusal, &[&fields[..], &["key=value"]].concat());
        }
    };
    let within =
        |value: Option<u32>, least, most| value.is_none_or(|v| (least..=most).contains(&v));
    assert!(within(change.workers, 1, 32) && within(change.queue_depth, 1, 4096));
    assert!(within(change.rate_iops, 0, 100_000_000));
    assert!(within(change.write_percent.map(u32::from), 0, 100));
    let pairs = [
        ("workers", change.workers),
        ("queue_depth", change.queue_depth),
        ("rate_iops", change.rate_iops),
        ("write_percent", change.write_percent.map(u32::from)),
    ];
    let words: Vec<String> = pairs
        .iter()
        .filter_map(|(key, value)| value.map(|value| format!("{key}={value}")))
        .collect();
    assert_eq!(Adjustment::parse(words.join(" ").as_bytes()), Ok(change));
    assert_eq!(Adjustment::default().then(change), change);
    // If there are more workers than seats, workers share seats.
    let workload = TestType::Mixed.workload(3, 7);
    assert!((0..change.workers.unwrap_or(1)).all(|worker| workload.seat(worker).is_some()));
}

fn baselines(text: &[u8]) {
    let mut read = Baselines::new();
    if let Err(refusal) = read.read(text) {
        assert_eq!(read, Baselines::new());
        let fields = [
            "device",
            "type",
            "workers",
            "queue_depth",
            "latency_ns",
            "bytes_per_second",
            "key=value",
            "baseline",
        ];
        return check_refusal(&refusal, &fields);
    }
    let printed = format!("{read}\n");
    // Users read it from a page of sysfs.
    assert!(printed.len() < 4096);
    let mut again = Baselines::new();
    assert_eq!(again.read(printed.as_bytes()), Ok(()));
    assert_eq!(again, read);
}

fn device(text: &[u8]) {
    let bare = text.strip_suffix(b"\n").unwrap_or(text);
    let name = match DeviceName::parse(text) {
        Ok(name) => name,
        Err(refusal) => {
            assert!(bare.len() > MAX_NAME);
            return check_refusal(&refusal, &["device"]);
        }
    };
    assert_eq!(name.is_none(), bare.is_empty());
    let Some(name) = name else { return };
    assert!(name.is_name(bare) && bare.len() <= MAX_NAME);
    if let Some(number) = DeviceNumber::parse(bare) {
        assert!(number.major < 1 << 12 && number.minor < 1 << 20);
        assert!(name.is_number(number));
        let printed = number.to_string();
        assert_eq!(DeviceNumber::parse(printed.as_bytes()), Some(number));
        let node = format!("dm-{}\n", number.minor);
        let node = DeviceName::parse(node.as_bytes());
        assert!(node.is_ok_and(|node| node.is_some_and(|node| node.is_number(number))));
    }
}

fn thresholds(text: &[u8]) {
    let before = Thresholds {
        latency: 77,
        throughput: 66,
    };
    let parsed = Thresholds::parse(text, before);
    assert_eq!(Thresholds::parse(without_newline(text), before), parsed);
    let read = match parsed {
        Ok(read) => read,
        Err(refusal) => return check_refusal(&refusal, &["latency", "throughput", "key=value"]),
    };
    assert!((1..=1000).contains(&read.latency) && (1..=99).contains(&read.throughput));
    let printed = read.to_string();
    assert_eq!(Thresholds::parse(printed.as_bytes(), before), Ok(read));
    let names = |key: &[u8]| text.windows(key.len()).any(|window| window == key);
    assert!(names(b"latency=") || read.latency == before.latency);
    assert!(names(b"throughput=") || read.throughput == before.throughput);
}

fn trigger(text: &[u8]) {
    match request::parse_trigger(text) {
        Ok(()) => {
            let digits: Vec<u8> = text
                .iter()
                .copied()
                .filter(|byte| !b" \t\n0".contains(byte))
                .collect();
            assert_eq!(digits, b"1");
        }
        Err(refusal) => check_refusal(&refusal, &["value", "end of line"]),
    }
}
