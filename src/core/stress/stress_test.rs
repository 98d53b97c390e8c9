// SPDX-License-Identifier: GPL-2.0

//! Tests that the stress manager's files start.
//!
//! For each file a function makes the test, with workload and limit, from the user's text and the seed of the
//! random numbers.

use crate::stress::{
    production::Production,
    request::{
        number,
        Fields,
        Pairs,
        Reason,
        Refusal,
        MAX_QUEUE_DEPTH,
        MAX_RATE_IOPS, //
    },
    workload::{
        BlockSizes,
        Stream,
        TestType,
        Workload,
        MAX_BLOCK,
        MAX_IN_FLIGHT,
        MAX_WORKERS, //
    }, //
};

/// Longest time of a test, in milliseconds: a day.
pub const MAX_DURATION_MS: u64 = 86_400_000;

/// Largest amount of memory that a test may hold, in MiB. In bytes it fits into 64 bits.
const MAX_PRESSURE_MB: u64 = 1 << 30;

/// Number of workers of the tests with much data or a long time.
const ENDURING_WORKERS: u32 = 8;

/// Number of custom_workload in reports, behind the test types. The numbers of production follow.
const CUSTOM: u8 = TestType::ALL.len() as u8;

/// Limit at which a test ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Time in milliseconds.
    Time(u64),
    /// Number of bytes moved.
    Volume(u64),
}

/// Test that a user has asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StressTest {
    /// Number in reports: the test type, or a number beyond those.
    pub number: u8,
    /// Name in reports.
    pub name: &'static str,
    /// Limit of the test.
    pub limit: Limit,
    /// Workload of the test.
    pub workload: Workload,
    /// The test is compared with a baseline.
    pub compared: bool,
    /// Memory to hold during the test, in bytes.
    pub pressure_bytes: u64,
}

impl StressTest {
    /// Makes a test of a test type.
    const fn of(test: TestType, limit: Limit, workload: Workload) -> Self {
        Self {
            number: test.number(),
            name: test.name(),
            limit,
            workload,
            compared: false,
            pressure_bytes: 0,
        }
    }

    /// Makes the test of `stress_test_start`: `<test_type> <num_workers> <duration_ms>`.
    pub fn start(text: &[u8], seed: u64) -> Result<Self, Refusal> {
        let mut fields = Fields::new(text);
        let test = test_type(&mut fields)?;
        let workers = small(fields.number("num_workers", 1, u64::from(MAX_WORKERS))?);
        let duration = Limit::Time(fields.number("duration_ms", 1, MAX_DURATION_MS)?);
        fields.end("end of line")?;
        Ok(Self::of(test, duration, test.workload(workers, seed)))
    }

    /// Makes the test of `quick_validation`: `1 [<duration_ms>]`. Mixed workload, 4 workers, 30 s.
    pub fn quick_validation(text: &[u8], seed: u64) -> Result<Self, Refusal> {
        Self::mixed(text, 4, 30_000, seed)
    }

    /// Makes the test of `regression_test`: `1 [<duration_ms>]`. Mixed workload, 16 workers, 60 s, then a
    /// comparison with the baseline.
    pub fn regression_test(text: &[u8], seed: u64) -> Result<Self, Refusal> {
        Ok(Self {
            compared: true,
            ..Self::mixed(text, 16, 60_000, seed)?
        })
    }

    /// Makes a test of the mixed workload: `1 [<duration_ms>]`.
    fn mixed(text: &[u8], workers: u32, default_ms: u64, seed: u64) -> Result<Self, Refusal> {
        let mut fields = Fields::new(text);
        fields.number("value", 1, 1)?;
        let duration = fields.optional_number("duration_ms", 1, MAX_DURATION_MS)?;
        fields.end("end of line")?;
        let test = TestType::Mixed;
        let limit = Limit::Time(duration.unwrap_or(default_ms));
        Ok(Self::of(test, limit, test.workload(workers, seed)))
    }

    /// Makes the test of `memory_pressure_test`: `<pressure_mb> <duration_ms>`. Mixed workload, 8 workers,
    /// while `pressure_mb` MiB are held.
    pub fn memory_pressure_test(text: &[u8], seed: u64) -> Result<Self, Refusal> {
        let mut fields = Fields::new(text);
        let pressure = fields.number("pressure_mb", 1, MAX_PRESSURE_MB)?;
        let duration = fields.number("duration_ms", 1, MAX_DURATION_MS)?;
        fields.end("end of line")?;
        let test = TestType::Mixed;
        Ok(Self {
            pressure_bytes: pressure << 20,
            ..Self::of(test, Limit::Time(duration), test.workload(8, seed))
        })
    }

    /// Makes the test of `high_concurrency_stress`: `<in_flight> <duration_sec>`. Mixed workload, 32 workers.
    pub fn high_concurrency_stress(text: &[u8], seed: u64) -> Result<Self, Refusal> {
        let mut fields = Fields::new(text);
        let in_flight = small(fields.number("in_flight", 100, u64::from(MAX_IN_FLIGHT))?);
        let seconds = fields.number("duration_sec", 1, 3600)?;
        fields.end("end of line")?;
        let stream = Stream {
            workers: MAX_WORKERS,
            in_flight,
            read_percent: 70,
            ..Stream::PLAIN
        };
        Ok(Self::of(
            TestType::Mixed,
            Limit::Time(seconds * 1000),
            Workload::one(stream, seed),
        ))
    }

    /// Makes the test of `tb_scale_validation`: `<dataset_gb> <test_type>`. Ends when `dataset_gb` GB (10^9
    /// bytes) have been moved. Sequential types use blocks of [`MAX_BLOCK`].
    pub fn tb_scale_validation(text: &[u8], seed: u64) -> Result<Self, Refusal> {
        let mut fields = Fields::new(text);
        let gigabytes = fields.number("dataset_gb", 1, 10_000)?;
        let test = test_type(&mut fields)?;
        fields.end("end of line")?;
        Ok(Self::of(
            test,
            Limit::Volume(gigabytes * 1_000_000_000),
            test.workload_of(ENDURING_WORKERS, MAX_BLOCK, seed),
        ))
    }

    /// Makes the test of `endurance_test`: `<hours> <test_type>`.
    pub fn endurance_test(text: &[u8], seed: u64) -> Result<Self, Refusal> {
        let mut fields = Fields::new(text);
        let hours = fields.number("hours", 1, 24)?;
        let test = test_type(&mut fields)?;
        fields.end("end of line")?;
        Ok(Self::of(
            test,
            Limit::Time(hours * 3_600_000),
            test.workload(ENDURING_WORKERS, seed),
        ))
    }

    /// Makes the test of `production_workload`: `<type> <intensity> <minutes>`.
    pub fn production_workload(text: &[u8], seed: u64) -> Result<Self, Refusal> {
        let most = Production::KINDS.len() as u64 - 1;
        let mut fields = Fields::new(text);
        let number = fields.number("type", 0, most)?;
        let intensity = fields.number("intensity", 1, u64::from(Production::MAX_INTENSITY))?;
        let minutes = fields.number("minutes", 1, 1440)?;
        fields.end("end of line")?;
        let kind = Production::from_number(number).ok_or(Refusal {
            field: "type",
            reason: Reason::Range(0, most),
        })?;
        Ok(Self {
            number: CUSTOM + 1 + kind as u8,
            name: kind.name(),
            limit: Limit::Time(minutes * 60_000),
            workload: kind.workload(small(intensity), seed),
            compared: false,
            pressure_bytes: 0,
        })
    }

    /// Makes the test of `custom_workload`: `read=<%> random=<%> bs=<bytes>[,<bytes>...] queue_depth=<n>
    /// workers=<n> duration_ms=<n> [hot=<%>] [fsync=<n>] [rate_iops=<n>] [seed=<n>]`, in any
    /// order. The queue depth is that of each worker.
    pub fn custom_workload(text: &[u8], seed: u64) -> Result<Self, Refusal> {
        let pairs = Pairs::parse(
            text,
            [
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
            ],
        )?;
        let workers = small(pairs.required("workers", 1, u64::from(MAX_WORKERS))?);
        let depth = small(pairs.required("queue_depth", 1, u64::from(MAX_QUEUE_DEPTH))?);
        let in_flight = workers.saturating_mul(depth);
        if in_flight > MAX_IN_FLIGHT {
            return Err(Refusal {
                field: "queue_depth",
                reason: Reason::Range(1, u64::from(MAX_IN_FLIGHT / workers.max(1))),
            });
        }
        let stream = Stream {
            workers,
            in_flight,
            read_percent: percent(pairs.required("read", 0, 100)?),
            random_percent: percent(pairs.required("random", 0, 100)?),
            sizes: block_sizes(pairs.text("bs"))?,
            hot_percent: percent(pairs.number("hot", 0, 99)?.unwrap_or(0)),
            flush_every: small(pairs.number("fsync", 0, u64::from(u32::MAX))?.unwrap_or(0)),
            ..Stream::PLAIN
        };
        let seed = pairs.number("seed", 0, u64::MAX)?.unwrap_or(seed);
        let mut workload = Workload::one(stream, seed);
        let rate = pairs.number("rate_iops", 0, u64::from(MAX_RATE_IOPS))?;
        workload.rate_iops = small(rate.unwrap_or(0));
        Ok(Self {
            number: CUSTOM,
            name: "Custom",
            limit: Limit::Time(pairs.required("duration_ms", 1, MAX_DURATION_MS)?),
            workload,
            compared: false,
            pressure_bytes: 0,
        })
    }
}

/// Converts a number that was checked to be within 32 bits.
fn small(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

/// Converts a number that was checked to be 100 at most.
fn percent(value: u64) -> u8 {
    value.min(100) as u8
}

/// Parses the number of a test type.
fn test_type(fields: &mut Fields<'_>) -> Result<TestType, Refusal> {
    let most = TestType::ALL.len() as u64 - 1;
    let number = fields.number("test_type", 0, most)?;
    TestType::from_number(number).ok_or(Refusal {
        field: "test_type",
        reason: Reason::Range(0, most),
    })
}

/// Parses `<bytes>[,<bytes>...]`.
fn block_sizes(text: Option<&[u8]>) -> Result<BlockSizes, Refusal> {
    let refuse = |reason| Refusal {
        field: "bs",
        reason,
    };
    let text = text.ok_or(refuse(Reason::Missing))?;
    let mut sizes = [(0, 1); BlockSizes::MOST];
    let mut count = 0;
    for part in text.split(|&byte| byte == b',') {
        let slot = sizes.get_mut(count).ok_or(refuse(Reason::TooMany))?;
        slot.0 = small(number("bs", part, 512, u64::from(MAX_BLOCK))?);
        count += 1;
    }
    let sizes = sizes.get(..count).and_then(BlockSizes::several);
    sizes.ok_or(refuse(Reason::Missing))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interface::decimal;
    use proptest::prelude::*;
    use std::{
        format,
        string::String,
        vec::Vec, //
    };

    type Parser = fn(&[u8], u64) -> Result<StressTest, Refusal>;

    const PARSERS: [Parser; 9] = [
        StressTest::start,
        StressTest::quick_validation,
        StressTest::regression_test,
        StressTest::memory_pressure_test,
        StressTest::high_concurrency_stress,
        StressTest::tb_scale_validation,
        StressTest::endurance_test,
        StressTest::production_workload,
        StressTest::custom_workload,
    ];

    fn refused(parser: Parser, text: &str) -> (&'static str, Reason) {
        let refusal = parser(text.as_bytes(), 0).unwrap_err();
        (refusal.field, refusal.reason)
    }

    fn words(parser: Parser, text: &str) -> String {
        format!("{}", parser(text.as_bytes(), 0).unwrap_err())
    }

    #[test]
    fn takes_a_start_with_and_without_newline() {
        for text in ["4 16 120000", "4 16 120000\n", " 4\t16  120000 \n"] {
            let test = StressTest::start(text.as_bytes(), 7).unwrap();
            assert_eq!(test.limit, Limit::Time(120_000));
            assert_eq!(test.workload, TestType::Mixed.workload(16, 7));
            assert_eq!((test.number, test.name), (4, "Mixed Workload"));
            assert!(!test.compared && test.pressure_bytes == 0);
        }
        assert!(StressTest::start(b"0 1 1", 0).is_ok());
        assert!(StressTest::start(b"5 32 86400000", 0).is_ok());
    }

    #[test]
    fn names_the_field_and_the_reason() {
        let refused = |text| refused(StressTest::start, text);
        let not_decimal = Reason::Number(decimal::Error::NotDecimal);
        assert_eq!(refused(""), ("test_type", Reason::Missing));
        assert_eq!(refused("\n"), ("test_type", Reason::Missing));
        assert_eq!(refused("4"), ("num_workers", Reason::Missing));
        assert_eq!(refused("4 16"), ("duration_ms", Reason::Missing));
        assert_eq!(refused("4 16 1 1"), ("end of line", Reason::Surplus));
        assert_eq!(refused("6 16 1"), ("test_type", Reason::Range(0, 5)));
        assert_eq!(refused("4 0 1"), ("num_workers", Reason::Range(1, 32)));
        assert_eq!(refused("4 33 1"), ("num_workers", Reason::Range(1, 32)));
        for text in ["4 1 0", "4 1 86400001"] {
            assert_eq!(
                refused(text),
                ("duration_ms", Reason::Range(1, MAX_DURATION_MS))
            );
        }
        assert_eq!(refused("-4 1 1"), ("test_type", not_decimal));
        assert_eq!(refused("4 +1 1"), ("num_workers", not_decimal));
        assert_eq!(refused("4 1 0x10"), ("duration_ms", not_decimal));
        assert_eq!(refused("4 1 1\n\n"), ("duration_ms", not_decimal));
        assert_eq!(refused("4 1 1\0"), ("duration_ms", not_decimal));
        let huge = Reason::Number(decimal::Error::TooLarge);
        assert_eq!(refused("4 1 99999999999999999999"), ("duration_ms", huge));
    }

    #[test]
    fn presets_are_as_documented() {
        let quick = StressTest::quick_validation(b"1\n", 3).unwrap();
        assert_eq!(quick.limit, Limit::Time(30_000));
        assert_eq!(quick.workload, TestType::Mixed.workload(4, 3));
        assert!(!quick.compared);
        let quick = StressTest::quick_validation(b"1 5", 3).unwrap();
        assert_eq!(quick.limit, Limit::Time(5));

        let regression = StressTest::regression_test(b"1", 3).unwrap();
        assert_eq!(regression.limit, Limit::Time(60_000));
        assert_eq!(regression.workload, TestType::Mixed.workload(16, 3));
        assert!(regression.compared);

        let pressure = StressTest::memory_pressure_test(b"1024 300000", 3).unwrap();
        assert_eq!(pressure.pressure_bytes, 1 << 30);
        assert_eq!(pressure.limit, Limit::Time(300_000));
        assert_eq!(pressure.workload, TestType::Mixed.workload(8, 3));

        let concurrency = StressTest::high_concurrency_stress(b"50000 3600", 3).unwrap();
        assert_eq!(concurrency.limit, Limit::Time(3_600_000));
        let depths = (0..32).map(|worker| concurrency.workload.seat(worker).unwrap().queue_depth);
        assert_eq!(depths.sum::<u32>(), 50_000);

        let scale = StressTest::tb_scale_validation(b"1000 0", 3).unwrap();
        assert_eq!(scale.limit, Limit::Volume(1_000_000_000_000));
        assert_eq!(scale.workload.largest_block(), MAX_BLOCK);

        let endurance = StressTest::endurance_test(b"24 4", 3).unwrap();
        assert_eq!(endurance.limit, Limit::Time(MAX_DURATION_MS));

        let production = StressTest::production_workload(b"3 4 1440", 3).unwrap();
        assert_eq!(production.limit, Limit::Time(MAX_DURATION_MS));
        assert_eq!((production.number, production.name), (10, "All Production"));
    }

    #[test]
    fn presets_refuse_what_is_out_of_range() {
        for (parser, texts) in [
            (
                StressTest::quick_validation as Parser,
                &["", "0", "1 0", "1 5 5", "2"] as &[&str],
            ),
            (StressTest::regression_test, &["", "0", "1 0", "1 5 5"]),
            (
                StressTest::memory_pressure_test,
                &["", "0 1", "1", "1 0", "1 86400001", "1073741825 1", "1 1 1"],
            ),
            (
                StressTest::high_concurrency_stress,
                &["", "99 1", "50001 1", "100", "100 0", "100 3601", "100 1 1"],
            ),
            (
                StressTest::tb_scale_validation,
                &["", "0 1", "10001 1", "1", "1 6", "1 1 1"],
            ),
            (
                StressTest::endurance_test,
                &["", "0 1", "25 1", "1", "1 6", "1 1 1"],
            ),
            (
                StressTest::production_workload,
                &[
                    "", "4 1 1", "0 0 1", "0 5 1", "0 1 0", "0 1 1441", "0 1", "0 1 1 1",
                ],
            ),
        ] {
            for text in texts {
                assert!(parser(text.as_bytes(), 0).is_err(), "{text}");
            }
        }
        assert_eq!(
            words(StressTest::high_concurrency_stress, "99 1"),
            "in_flight: not within 100 to 50000"
        );
    }

    #[test]
    fn custom_workloads_are_made_to_measure() {
        let text = b"read=60 random=100 bs=4096,65536 queue_depth=8 workers=4 duration_ms=1000 \
            hot=10 fsync=32 rate_iops=500 seed=9\n";
        let test = StressTest::custom_workload(text, 1).unwrap();
        let stream = Stream {
            workers: 4,
            in_flight: 32,
            read_percent: 60,
            sizes: BlockSizes::several(&[(4096, 1), (65536, 1)]).unwrap(),
            hot_percent: 10,
            flush_every: 32,
            ..Stream::PLAIN
        };
        assert_eq!(test.workload.streams(), [stream]);
        assert_eq!((test.workload.seed, test.workload.rate_iops), (9, 500));
        assert_eq!((test.number, test.name), (6, "Custom"));

        let least = "read=0 random=0 bs=512 queue_depth=1 workers=1 duration_ms=1";
        let test = StressTest::custom_workload(least.as_bytes(), 5).unwrap();
        assert_eq!((test.workload.seed, test.workload.rate_iops), (5, 0));
    }

    #[test]
    fn custom_workloads_are_refused_by_name() {
        let whole = "read=0 random=0 bs=512 queue_depth=1 workers=1 duration_ms=1";
        for word in whole.split(' ') {
            let without: Vec<&str> = whole.split(' ').filter(|other| *other != word).collect();
            let key = word.split_once('=').unwrap().0;
            let refusal = refused(StressTest::custom_workload, &without.join(" "));
            assert_eq!(refusal, (key, Reason::Missing));
        }
        for (from, to, why) in [
            ("read=0", "read=101", "read: not within 0 to 100"),
            ("bs=512", "bs=511", "bs: not within 512 to 1048576"),
            ("bs=512", "bs=1048577", "bs: not within 512 to 1048576"),
            ("bs=512", "bs=", "bs: number missing"),
            ("bs=512", "bs=512,", "bs: number missing"),
            (
                "bs=512",
                "bs=1,2,3,4,5,6,7,8,9",
                "bs: not within 512 to 1048576",
            ),
            (
                "bs=512",
                "bs=512,512,512,512,512,512,512,512,512",
                "bs: too many",
            ),
            ("workers=1", "workers=33", "workers: not within 1 to 32"),
            (
                "queue_depth=1 workers=1",
                "queue_depth=4096 workers=32",
                "queue_depth: not within 1 to 1562",
            ),
            (
                "duration_ms=1",
                "duration_ms=1 hot=100",
                "hot: not within 0 to 99",
            ),
            (
                "duration_ms=1",
                "duration_ms=1 color=1",
                "key=value: an unknown key",
            ),
        ] {
            assert_eq!(
                words(StressTest::custom_workload, &whole.replace(from, to)),
                why
            );
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken_or_refused(text in proptest::collection::vec(any::<u8>(), 0..96)) {
            for parser in PARSERS {
                let _ = parser(&text, 1);
            }
        }

        #[test]
        fn what_is_taken_is_within_limits(test: u8, workers: u8, ms: u32) {
            let text = format!("{test} {workers} {ms}\n");
            let valid = test < 6 && (1..=32).contains(&workers) && (1..=86_400_000).contains(&ms);
            prop_assert_eq!(StressTest::start(text.as_bytes(), 0).is_ok(), valid);
        }

        #[test]
        fn numbers_of_any_size_are_taken_or_refused(numbers in proptest::collection::vec(any::<u64>(), 0..4)) {
            let words: Vec<String> = numbers.iter().map(|number| format!("{number}")).collect();
            for parser in PARSERS {
                if let Ok(test) = parser(words.join(" ").as_bytes(), 1) {
                    prop_assert!(test.workload.workers() <= MAX_WORKERS);
                }
            }
        }
    }
}
