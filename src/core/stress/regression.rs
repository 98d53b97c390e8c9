// SPDX-License-Identifier: GPL-2.0

//! Baselines, and the comparison of a run with them.
//!
//! The first run of a kind sets the baseline of its kind. Later runs are compared with it. Only figures from
//! the time while the throughput was steady count.

use core::fmt;

use crate::stress::{
    name::{
        Name,
        Printable, //
    },
    request::{
        Pairs,
        Reason,
        Refusal,
        MAX_NAME, //
    },
    trend::{
        change,
        BasisPoints,
        Typical, //
    }, //
};

/// Largest number of baselines. A further one replaces the oldest. With the longest names they fit a page.
pub const MAX_BASELINES: usize = 6;

/// Kind of a run. Runs of the same kind are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// Name of the device.
    pub device: Name,
    /// Number of the test in reports.
    pub test: u8,
    /// Number of worker threads.
    pub workers: u32,
    /// Number of operations that all workers together keep in flight.
    pub queue_depth: u32,
}

/// Baseline of a kind of run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Baseline {
    /// Kind of run.
    pub kind: Kind,
    /// Typical figures of the run that set the baseline.
    pub typical: Typical,
}

/// List of baselines, the oldest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Baselines {
    slots: [Option<Baseline>; MAX_BASELINES],
}

impl Default for Baselines {
    fn default() -> Self {
        Self::new()
    }
}

const KEYS: [&str; 6] = [
    "device",
    "type",
    "workers",
    "queue_depth",
    "latency_ns",
    "bytes_per_second",
];

/// Text of an empty list.
const NONE: &[u8] = b"none";

impl Baselines {
    /// Makes an empty list.
    pub const fn new() -> Self {
        Self {
            slots: [None; MAX_BASELINES],
        }
    }

    /// Returns the baseline of a kind.
    pub fn of(&self, kind: &Kind) -> Option<&Baseline> {
        self.iter().find(|baseline| baseline.kind == *kind)
    }

    /// Adds a baseline. It replaces the one of its kind, or the oldest one if the list is full.
    pub fn set(&mut self, baseline: Baseline) {
        let same = |slot: &Option<Baseline>| slot.is_some_and(|known| known.kind == baseline.kind);
        let place = self
            .slots
            .iter()
            .position(same)
            .or_else(|| self.slots.iter().position(Option::is_none));
        let place = place.unwrap_or_else(|| {
            self.slots.rotate_left(1);
            MAX_BASELINES - 1
        });
        if let Some(slot) = self.slots.get_mut(place) {
            *slot = Some(baseline);
        }
    }

    fn iter(&self) -> impl Iterator<Item = &Baseline> {
        self.slots.iter().flatten()
    }

    /// Replaces the list by the one in `text`, which has the form that [`Baselines`] prints: baselines separated
    /// by ` ; `, or `none`. Changes nothing if the text is refused.
    pub fn read(&mut self, text: &[u8]) -> Result<(), Refusal> {
        let text = text.strip_suffix(b"\n").unwrap_or(text);
        // Checked first, because the stack has no room for a second list.
        each_baseline(text, |_| {})?;
        self.slots = [None; MAX_BASELINES];
        each_baseline(text, |baseline| self.set(baseline))
    }
}

/// Calls `take` with each of the baselines in `text`, until one is refused.
fn each_baseline(text: &[u8], mut take: impl FnMut(Baseline)) -> Result<(), Refusal> {
    let mut rest = (text != NONE).then_some(text);
    let mut count = 0;
    while let Some(text) = rest {
        let separator = text.windows(3).position(|window| window == b" ; ");
        let (one, next) = match separator.and_then(|at| text.split_at_checked(at)) {
            Some((one, next)) => (one, next.get(3..)),
            None => (text, None),
        };
        if count == MAX_BASELINES {
            return Err(Refusal {
                field: "baseline",
                reason: Reason::TooMany,
            });
        }
        take(Baseline::parse(one)?);
        count += 1;
        rest = next;
    }
    Ok(())
}

impl fmt::Display for Baselines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for baseline in self.iter() {
            write!(f, "{separator}{baseline}")?;
            separator = " ; ";
        }
        if separator.is_empty() {
            f.write_str("none")?;
        }
        Ok(())
    }
}

impl Baseline {
    /// Parses one baseline.
    // Not inlined: it would make the stack frames of its callers large.
    #[inline(never)]
    fn parse(text: &[u8]) -> Result<Self, Refusal> {
        let pairs = Pairs::parse(text, KEYS)?;
        let small = |key, most: u32| -> Result<u32, Refusal> {
            let value = pairs.required(key, 0, u64::from(most))?;
            Ok(u32::try_from(value).unwrap_or(most))
        };
        let device = pairs.text("device").and_then(unescaped).ok_or(Refusal {
            field: "device",
            reason: Reason::Missing,
        })?;
        Ok(Self {
            kind: Kind {
                device,
                test: small("type", u32::from(u8::MAX))?.min(u32::from(u8::MAX)) as u8,
                workers: small("workers", u32::MAX)?,
                queue_depth: small("queue_depth", u32::MAX)?,
            },
            typical: Typical {
                added_ns: pairs.required("latency_ns", 0, u64::MAX)?,
                bytes_per_second: pairs.required("bytes_per_second", 0, u64::MAX)?,
            },
        })
    }
}

impl fmt::Display for Baseline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Kind {
            device,
            test,
            workers,
            queue_depth,
        } = &self.kind;
        let Typical {
            added_ns,
            bytes_per_second,
        } = &self.typical;
        write!(
            f,
            "device={} type={test} workers={workers} queue_depth={queue_depth} \
             latency_ns={added_ns} bytes_per_second={bytes_per_second}",
            Printable(device)
        )
    }
}

/// Returns the name that [`Printable`] has printed as `text`; `None` if the text is not valid.
fn unescaped(text: &[u8]) -> Option<Name> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).map(|digit| digit as u8);
    let mut name = [0; MAX_NAME];
    let mut len = 0;
    let mut rest = text;
    while let Some((&first, behind)) = rest.split_first() {
        let byte = match (first, behind) {
            (b'\\', [b'x', high, low, behind @ ..]) => {
                rest = behind;
                digit(high)? << 4 | digit(low)?
            }
            (b'\\', _) => return None,
            _ => {
                rest = behind;
                first
            }
        };
        *name.get_mut(len)? = byte;
        len += 1;
    }
    (len > 0).then_some(Name::new(name.get(..len)?))
}

/// Thresholds in percent by which a run may be worse than the baseline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// Threshold of the added latency.
    pub latency: u32,
    /// Threshold of the throughput.
    pub throughput: u32,
}

impl Thresholds {
    /// Thresholds before a user sets others.
    pub const DEFAULT: Thresholds = Thresholds {
        latency: 10,
        throughput: 10,
    };

    /// Parses `latency=<%> throughput=<%>`, in any order. A threshold that is left out is taken from `before`.
    pub fn parse(text: &[u8], before: Self) -> Result<Self, Refusal> {
        let pairs = Pairs::parse(text, ["latency", "throughput"])?;
        if pairs.text("latency").or(pairs.text("throughput")).is_none() {
            return Err(Refusal {
                field: "key=value",
                reason: Reason::Missing,
            });
        }
        let percent = |key, most, before| -> Result<u32, Refusal> {
            let value = pairs.number(key, 1, u64::from(most))?;
            Ok(value.map_or(before, |value| u32::try_from(value).unwrap_or(most)))
        };
        Ok(Self {
            latency: percent("latency", 1000, before.latency)?,
            throughput: percent("throughput", 99, before.throughput)?,
        })
    }
}

impl fmt::Display for Thresholds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "latency={} throughput={}", self.latency, self.throughput)
    }
}

/// Comparison of a run with its baseline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// Typical figures of the run that set the baseline.
    pub baseline: Typical,
    /// Typical figures of this run.
    pub run: Typical,
    /// Thresholds that apply.
    pub thresholds: Thresholds,
}

impl Comparison {
    /// Returns the change of the added latency; `None` if that of the baseline is zero.
    pub fn latency_change(&self) -> Option<BasisPoints> {
        change(self.baseline.added_ns, self.run.added_ns)
    }

    /// Returns the change of the throughput; `None` if that of the baseline is zero.
    pub fn throughput_change(&self) -> Option<BasisPoints> {
        change(self.baseline.bytes_per_second, self.run.bytes_per_second)
    }

    /// Returns whether the added latency has grown by more than the threshold.
    pub fn latency_regressed(&self) -> bool {
        let limit = i64::from(self.thresholds.latency) * 100;
        self.latency_change().is_some_and(|change| change > limit)
    }

    /// Returns whether the throughput has fallen by more than the threshold.
    pub fn throughput_regressed(&self) -> bool {
        let limit = i64::from(self.thresholds.throughput) * -100;
        self.throughput_change()
            .is_some_and(|change| change < limit)
    }
}

/// Result of the comparison of a run with its baseline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Regression {
    /// The test is not one that is compared.
    NotAsked,
    /// The test is still running.
    Pending,
    /// The run cannot be compared, for this reason.
    NotJudged(&'static str),
    /// The run has set the baseline.
    First(Typical),
    /// The run was compared.
    Compared(Comparison),
}

impl Regression {
    /// Compares a run that has ended with the baseline of its kind, or makes it the baseline.
    pub fn judge(
        run: Result<Typical, &'static str>,
        kind: &Kind,
        baselines: &mut Baselines,
        thresholds: Thresholds,
    ) -> Self {
        let run = match run {
            Ok(run) => run,
            Err(why) => return Regression::NotJudged(why),
        };
        match baselines.of(kind) {
            Some(known) => Regression::Compared(Comparison {
                baseline: known.typical,
                run,
                thresholds,
            }),
            None => {
                baselines.set(Baseline {
                    kind: *kind,
                    typical: run,
                });
                Regression::First(run)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::{
        format,
        string::ToString, //
    };

    fn kind(device: &[u8], workers: u32) -> Kind {
        Kind {
            device: Name::new(device),
            test: 4,
            workers,
            queue_depth: 512,
        }
    }

    fn typical(added_ns: u64, bytes_per_second: u64) -> Typical {
        Typical {
            added_ns,
            bytes_per_second,
        }
    }

    fn read(text: &[u8]) -> Result<Baselines, Refusal> {
        let mut baselines = Baselines::new();
        baselines.read(text).map(|()| baselines)
    }

    fn judge(baselines: &mut Baselines, run: Typical) -> Regression {
        Regression::judge(Ok(run), &kind(b"a", 16), baselines, Thresholds::DEFAULT)
    }

    #[test]
    fn the_first_run_sets_the_baseline() {
        let mut baselines = Baselines::new();
        let first = typical(100, 1000);
        assert_eq!(judge(&mut baselines, first), Regression::First(first));
        let Regression::Compared(comparison) = judge(&mut baselines, typical(110, 900)) else {
            panic!("not compared");
        };
        assert_eq!(comparison.baseline, first);
        assert_eq!(comparison.latency_change(), Some(1000));
        assert_eq!(comparison.throughput_change(), Some(-1000));
        assert!(!comparison.latency_regressed() && !comparison.throughput_regressed());
        // Each kind has a baseline of its own.
        let other = Regression::judge(
            Ok(typical(7, 7)),
            &kind(b"a", 8),
            &mut baselines,
            Thresholds::DEFAULT,
        );
        assert_eq!(other, Regression::First(typical(7, 7)));
    }

    #[test]
    fn what_is_worse_than_may_be_has_regressed() {
        let mut baselines = Baselines::new();
        judge(&mut baselines, typical(1000, 10_000));
        let regressed = |baselines: &mut Baselines, run| match judge(baselines, run) {
            Regression::Compared(it) => (it.latency_regressed(), it.throughput_regressed()),
            other => panic!("{other:?}"),
        };
        assert_eq!(
            regressed(&mut baselines, typical(1101, 10_000)),
            (true, false)
        );
        assert_eq!(
            regressed(&mut baselines, typical(1000, 8_999)),
            (false, true)
        );
        // An improvement is not a regression.
        assert_eq!(
            regressed(&mut baselines, typical(1, 1_000_000)),
            (false, false)
        );
    }

    #[test]
    fn what_cannot_be_judged_sets_nothing() {
        let mut baselines = Baselines::new();
        let judged = Regression::judge(
            Err("why"),
            &kind(b"a", 1),
            &mut baselines,
            Thresholds::DEFAULT,
        );
        assert_eq!(judged, Regression::NotJudged("why"));
        assert_eq!(baselines, Baselines::new());
    }

    #[test]
    fn the_oldest_goes_when_there_is_no_room() {
        let mut baselines = Baselines::new();
        for workers in 0..=MAX_BASELINES as u32 {
            baselines.set(Baseline {
                kind: kind(b"a", workers),
                typical: typical(1, 1),
            });
        }
        assert_eq!(baselines.of(&kind(b"a", 0)), None);
        for workers in 1..=MAX_BASELINES as u32 {
            assert!(baselines.of(&kind(b"a", workers)).is_some());
        }
    }

    #[test]
    fn a_line_is_taken_as_it_was_printed() {
        let mut baselines = Baselines::new();
        assert_eq!(baselines.to_string(), "none");
        assert_eq!(read(b"none\n"), Ok(baselines));
        baselines.set(Baseline {
            kind: kind(b"a \xff;\\", 16),
            typical: typical(5, u64::MAX),
        });
        assert_eq!(
            baselines.to_string(),
            "device=a\\x20\\xff;\\x5c type=4 workers=16 queue_depth=512 latency_ns=5 \
             bytes_per_second=18446744073709551615"
        );
        baselines.set(Baseline {
            kind: kind(b";", 2),
            typical: typical(0, 1),
        });
        let line = format!("{baselines}\n");
        assert_eq!(read(line.as_bytes()), Ok(baselines));
    }

    #[test]
    fn wrong_lines_are_refused_by_name() {
        let good = "device=a type=4 workers=1 queue_depth=1 latency_ns=1 bytes_per_second=1";
        assert!(read(good.as_bytes()).is_ok());
        let many = [good; MAX_BASELINES + 1].join(" ; ");
        for (text, why) in [
            ("", "device: missing"),
            ("device=a", "type: missing"),
            (&good.replace("=a", "="), "device: missing"),
            (&good.replace("=a", "=\\x2"), "device: missing"),
            (
                &good.replace("type=4", "type=256"),
                "type: not within 0 to 255",
            ),
            (&format!("{good} ; "), "device: missing"),
            (&format!("{good} color=1"), "key=value: an unknown key"),
            (&many, "baseline: too many"),
        ] {
            let refusal = read(text.as_bytes()).unwrap_err();
            assert_eq!(refusal.to_string(), why, "{text}");
        }
        let mut baselines = read(good.as_bytes()).unwrap();
        let before = baselines;
        assert!(baselines
            .read(format!("{good} ; {good}x").as_bytes())
            .is_err());
        assert_eq!(baselines, before);
        assert_eq!(baselines.read(b"none"), Ok(()));
        assert_eq!(baselines, Baselines::new());
    }

    #[test]
    fn thresholds_are_percents() {
        let default = Thresholds::DEFAULT;
        assert_eq!(default.to_string(), "latency=10 throughput=10");
        let parse = |text: &str| Thresholds::parse(text.as_bytes(), default);
        let five = Thresholds {
            latency: 5,
            throughput: 10,
        };
        assert_eq!(parse("latency=5\n"), Ok(five));
        assert_eq!(parse("throughput=10 latency=5"), Ok(five));
        for text in [
            "",
            "5",
            "latency=0",
            "latency=1001",
            "throughput=100",
            "throughput=1 throughput=1",
            "latency=5 x=1",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken_or_refused(text in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&text);
            let _ = Thresholds::parse(&text, Thresholds::DEFAULT);
        }

        #[test]
        fn any_baseline_survives(
            device in proptest::collection::vec(1..=255_u8, 1..=MAX_NAME),
            numbers: (u8, u32, u32, u64, u64),
        ) {
            let mut baselines = Baselines::new();
            let (test, workers, queue_depth, added_ns, bytes_per_second) = numbers;
            baselines.set(Baseline {
                kind: Kind { device: Name::new(&device), test, workers, queue_depth },
                typical: Typical { added_ns, bytes_per_second },
            });
            let line = baselines.to_string();
            prop_assert_eq!(read(line.as_bytes()), Ok(baselines));
            prop_assert!((line.len() + 3) * MAX_BASELINES <= 4096);
        }
    }
}
