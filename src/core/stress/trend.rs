// SPDX-License-Identifier: GPL-2.0

//! Course of a test's figures over its run.
//!
//! The number of samples is fixed, however long the run is. When all are used, neighbours are merged in
//! pairs, and from then on a sample covers twice the time.

use core::num::NonZeroU64;

/// Number of samples that are kept.
pub const SAMPLES: usize = 512;

/// Change in hundredths of a percent.
pub type BasisPoints = i64;

/// Largest change of the throughput of a steady run over its window, in addition to the change that its
/// scatter may cause.
const STEADY: BasisPoints = 500;

/// Largest standard error of the throughput with which a run is compared.
const PRECISE: BasisPoints = 250;

/// Smallest number of samples for quarters.
const FEWEST: usize = 4;

/// Figures of one span of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// Length of the span in nanoseconds.
    pub ns: u64,
    /// Number of operations that completed in the span.
    pub ops: u64,
    /// Number of bytes that these operations moved.
    pub bytes: u64,
    /// Number of bios whose added latency was measured.
    pub added_count: u64,
    /// Sum of their added latencies, in nanoseconds.
    pub added_ns: u64,
    /// Memory of the stress manager at the end of the span, in bytes. Of spans that were merged, the largest.
    pub memory: u64,
}

impl Sample {
    const EMPTY: Sample = Sample {
        ns: 0,
        ops: 0,
        bytes: 0,
        added_count: 0,
        added_ns: 0,
        memory: 0,
    };

    /// Returns the figures of both spans together.
    fn plus(self, other: Sample) -> Sample {
        Sample {
            ns: self.ns.saturating_add(other.ns),
            ops: self.ops.saturating_add(other.ops),
            bytes: self.bytes.saturating_add(other.bytes),
            added_count: self.added_count.saturating_add(other.added_count),
            added_ns: self.added_ns.saturating_add(other.added_ns),
            memory: self.memory.max(other.memory),
        }
    }

    /// Returns the number of operations a second.
    pub fn iops(&self) -> u64 {
        per_second(self.ops, self.ns)
    }

    /// Returns the number of bytes a second.
    pub fn bytes_per_second(&self) -> u64 {
        per_second(self.bytes, self.ns)
    }

    /// Returns the average added latency in nanoseconds; `None` if none was measured.
    pub const fn added(&self) -> Option<u64> {
        self.added_ns.checked_div(self.added_count)
    }
}

/// Returns the rate per second of `amount` in `ns` nanoseconds; 0 for a time below a microsecond.
pub fn per_second(amount: u64, ns: u64) -> u64 {
    let microseconds = ns / 1000;
    if microseconds == 0 {
        return 0;
    }
    match amount.checked_mul(1_000_000) {
        Some(scaled) => scaled / microseconds,
        None => (amount / microseconds).saturating_mul(1_000_000),
    }
}

/// Samples of a run. Their size is 24 KiB, so they are never a local variable in the kernel. All bytes zero is
/// the empty trend.
#[derive(Clone, Debug)]
#[repr(C)]
pub struct Trend {
    len: usize,
    /// Base-two logarithm of the number of the caller's spans in a sample.
    merge_shift: u32,
    /// Number of spans in `gathering`.
    gathered: u32,
    gathering: Sample,
    samples: [Sample; SAMPLES],
}

impl Default for Trend {
    fn default() -> Self {
        Self::new()
    }
}

/// Typical figures of a steady run: medians over the samples of its window, which a single disturbed second
/// does not change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Typical {
    /// Average added latency of a sample, in nanoseconds.
    pub added_ns: u64,
    /// Number of bytes a second.
    pub bytes_per_second: u64,
}

/// Course of the throughput over a window, in hundredths of a percent of its mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Course {
    /// Change over the window along the fitted line.
    pub slope: BasisPoints,
    /// Standard deviation of the samples from that line.
    pub scatter: BasisPoints,
    /// Number of samples.
    pub samples: i64,
}

impl Course {
    /// Returns whether the throughput was steady: the slope is small, or within twice the standard error that
    /// the scatter gives it.
    pub fn is_steady(&self) -> bool {
        // The change along a fitted line has a standard error of scatter * sqrt(12 / samples).
        let error = self.scatter * (12 * 10_000 / self.samples.max(1)).isqrt() / 100;
        self.slope.abs() <= STEADY + 2 * error
    }

    /// Returns whether there are enough samples for their scatter.
    pub fn is_precise(&self) -> bool {
        let root = (self.samples.unsigned_abs() * 10_000).isqrt() as i64;
        self.scatter * 100 / root.max(1) <= PRECISE
    }
}

/// First and last quarter of a run, to compare them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quarters {
    /// First quarter.
    pub first: Sample,
    /// Last quarter.
    pub last: Sample,
}

impl Quarters {
    /// Returns the change of the operations a second; `None` if the first quarter had none.
    pub fn iops_drift(&self) -> Option<BasisPoints> {
        change(self.first.iops(), self.last.iops())
    }

    /// Returns the change of the throughput; `None` if that of the first quarter is zero.
    pub fn throughput_drift(&self) -> Option<BasisPoints> {
        change(self.first.bytes_per_second(), self.last.bytes_per_second())
    }

    /// Returns the change of the average added latency; `None` if a quarter has none, or that of the first is
    /// zero.
    pub fn added_drift(&self) -> Option<BasisPoints> {
        change(self.first.added()?, self.last.added()?)
    }
}

/// Returns the change from `from` to `to`, in hundredths of a percent of `from`; `None` if `from` is zero.
pub fn change(from: u64, to: u64) -> Option<BasisPoints> {
    let size = relative(to.abs_diff(from), NonZeroU64::new(from)?);
    Some(if to < from { -size } else { size })
}

/// Returns `part` of `whole` in hundredths of a percent, at most 10,000,000 (a thousandfold).
fn relative(part: u64, whole: NonZeroU64) -> BasisPoints {
    const MOST: u64 = 10_000_000;
    let scaled = match part.checked_mul(10_000) {
        Some(scaled) => scaled / whole,
        None => part / NonZeroU64::new(whole.get() / 10_000).unwrap_or(NonZeroU64::MIN),
    };
    scaled.min(MOST) as BasisPoints
}

/// Returns the median of some hundred values, the lower one of two. Needs no memory to sort them.
fn median<I: Iterator<Item = u64>>(values: impl Fn() -> I) -> Option<u64> {
    let count = values().count();
    values().find(|one| {
        let below = values().filter(|other| other < one).count();
        let equal = values().filter(|other| other == one).count();
        let rank = count.saturating_sub(1) / 2;
        below <= rank && rank < below + equal
    })
}

impl Trend {
    /// Makes an empty trend.
    pub const fn new() -> Self {
        Self {
            len: 0,
            merge_shift: 0,
            gathered: 0,
            gathering: Sample::EMPTY,
            samples: [Sample::EMPTY; SAMPLES],
        }
    }

    /// Makes this a copy of `other`.
    pub fn copy_from(&mut self, other: &Trend) {
        self.len = other.len;
        self.merge_shift = other.merge_shift;
        self.gathered = other.gathered;
        self.gathering = other.gathering;
        self.samples.copy_from_slice(&other.samples);
    }

    /// Adds the figures of the next span of time.
    pub fn push(&mut self, span: Sample) {
        if self.len >= SAMPLES {
            self.halve();
        }
        self.gathering = self.gathering.plus(span);
        self.gathered = self.gathered.saturating_add(1);
        if self.gathered >> self.merge_shift.min(31) == 0 {
            return;
        }
        if let Some(slot) = self.samples.get_mut(self.len) {
            *slot = self.gathering;
            self.len += 1;
        }
        self.gathering = Sample::EMPTY;
        self.gathered = 0;
    }

    /// Merges neighbours, which frees half of the samples.
    fn halve(&mut self) {
        for index in 0..SAMPLES / 2 {
            let pair = (self.samples.get(2 * index), self.samples.get(2 * index + 1));
            if let (Some(&a), Some(&b)) = pair {
                if let Some(slot) = self.samples.get_mut(index) {
                    *slot = a.plus(b);
                }
            }
        }
        self.len = SAMPLES / 2;
        self.merge_shift = self.merge_shift.saturating_add(1);
    }

    /// Returns the samples, oldest first. All cover the same number of spans.
    pub fn samples(&self) -> &[Sample] {
        self.samples.get(..self.len).unwrap_or(&self.samples)
    }

    /// Returns the highest throughput of a sample, in bytes a second; `None` if there are no samples.
    pub fn peak(&self) -> Option<u64> {
        self.samples().iter().map(Sample::bytes_per_second).max()
    }

    /// Returns the first and last quarter; `None` if there are fewer than four samples.
    pub fn quarters(&self) -> Option<Quarters> {
        let samples = self.samples();
        let quarter = samples.len() / FEWEST;
        if quarter == 0 {
            return None;
        }
        let sum = |part: &[Sample]| part.iter().fold(Sample::EMPTY, |sum, one| sum.plus(*one));
        Some(Quarters {
            first: sum(samples.get(..quarter)?),
            last: sum(samples.get(samples.len() - quarter..)?),
        })
    }

    /// Returns the window that has to be steady: the later half of the samples; `None` if it has fewer than four.
    fn window(&self) -> Option<&[Sample]> {
        let samples = self.samples();
        let window = samples.get(samples.len() / 2..)?;
        (window.len() >= FEWEST).then_some(window)
    }

    /// Returns the course of the throughput over the window; `None` if there are too few samples, or the
    /// throughput is zero.
    ///
    /// The line is fitted by least squares, as in fio's `steadystate=bw_slope`.
    pub fn course(&self) -> Option<Course> {
        let window = self.window()?;
        let count = window.len() as i64;
        let rate = |sample: &Sample| sample.bytes_per_second().min(1 << 50);
        let sum = window.iter().map(rate).sum::<u64>();
        let mean = sum
            .checked_div(window.len() as u64)
            .filter(|mean| *mean > 0)?;
        // `x` is twice the distance from the middle, so that it is an integer. No sum overflows: there are
        // 2^8 samples, and no rate is more than 2^24 basis points off the mean.
        let (mut products, mut squares, mut deviations) = (0_i64, 0_i64, 0_i64);
        for (index, sample) in window.iter().enumerate() {
            let x = 2 * index as i64 - (count - 1);
            let y = change(mean, rate(sample))?;
            products += x * y;
            squares += x * x;
            deviations += y * y;
        }
        // The rest is the variance that the line does not explain. products / squares is the slope for half
        // a sample, and the window is count - 1 samples long.
        let explained = products.checked_mul(products.checked_div(squares)?)?;
        let unexplained = deviations.checked_sub(explained)?.max(0).unsigned_abs();
        let rest = unexplained.checked_div(window.len() as u64)?;
        let length = 2 * (count - 1);
        Some(Course {
            slope: products.checked_mul(length)?.checked_div(squares)?,
            scatter: rest.isqrt() as BasisPoints,
            samples: count,
        })
    }

    /// Returns the typical figures of the run, or the reason why it has none.
    pub fn typical(&self) -> Result<Typical, &'static str> {
        let window = self.window().ok_or("the run is too short")?;
        let course = self.course().ok_or("nothing was moved")?;
        if !course.is_precise() {
            return Err("the throughput varied too much");
        }
        if !course.is_steady() {
            return Err("the throughput was not steady");
        }
        let added = || window.iter().filter_map(Sample::added);
        Ok(Typical {
            added_ns: median(added).ok_or("the target took no times")?,
            bytes_per_second: median(|| window.iter().map(Sample::bytes_per_second))
                .ok_or("nothing was moved")?,
        })
    }

    /// Returns the variation of the added latency: the standard deviation of the samples' averages, in
    /// hundredths of a percent of their mean. `None` if fewer than four samples have a latency.
    pub fn latency_variation(&self) -> Option<BasisPoints> {
        let averages = || self.samples().iter().filter_map(Sample::added);
        let count = averages().count() as u64;
        if count < FEWEST as u64 {
            return None;
        }
        // Neither sum overflows: the averages are 2^40 ns at most, there are 2^9 of them, and a
        // relative deviation squared is below 2^47.
        let mean = averages().map(|ns| ns.min(1 << 40)).sum::<u64>() / count;
        let whole = NonZeroU64::new(mean).unwrap_or(NonZeroU64::MIN);
        let squares = averages()
            .map(|ns| relative(ns.abs_diff(mean), whole).unsigned_abs())
            .map(|deviation| deviation * deviation)
            .sum::<u64>();
        Some((squares / count).isqrt() as BasisPoints)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    fn second(ops: u64, added: u64) -> Sample {
        Sample {
            ns: 1_000_000_000,
            ops,
            bytes: ops * 4096,
            added_count: ops,
            added_ns: ops * added,
            memory: ops,
        }
    }

    fn trend(spans: impl IntoIterator<Item = Sample>) -> Trend {
        let mut trend = Trend::new();
        spans.into_iter().for_each(|span| trend.push(span));
        trend
    }

    #[test]
    fn steady_runs_neither_vary_nor_drift() {
        let steady = trend((0..30).map(|_| second(1000, 120)));
        assert_eq!(steady.latency_variation(), Some(0));
        assert_eq!(steady.peak(), Some(4_096_000));
        assert_eq!(Trend::new().peak(), None);
        let quarters = steady.quarters().unwrap();
        assert_eq!(quarters.first.iops(), 1000);
        assert_eq!(quarters.first.added(), Some(120));
        assert_eq!(quarters.iops_drift(), Some(0));
        assert_eq!(quarters.throughput_drift(), Some(0));
        assert_eq!(quarters.added_drift(), Some(0));
    }

    #[test]
    fn drift_is_the_last_quarter_against_the_first() {
        let slower = trend((0..8).map(|i| second(if i < 2 { 1000 } else { 900 }, 100 + i)));
        let quarters = slower.quarters().unwrap();
        assert_eq!(quarters.iops_drift(), Some(-1000));
        // Averages are whole nanoseconds: 100.5 and 106.5.
        assert_eq!(quarters.added_drift(), Some(600));
    }

    #[test]
    fn variation_is_the_relative_standard_deviation() {
        let spread = trend((0..8).map(|i| second(1000, if i % 2 == 0 { 90 } else { 110 })));
        assert_eq!(spread.latency_variation(), Some(1000));
    }

    #[test]
    fn too_short_a_run_says_nothing() {
        let short = trend((0..3).map(|_| second(1, 1)));
        assert_eq!(short.quarters(), None);
        assert_eq!(short.latency_variation(), None);
        let idle = trend((0..9).map(|_| second(0, 0)));
        assert_eq!(idle.latency_variation(), None);
        assert_eq!(idle.quarters().unwrap().iops_drift(), None);
    }

    #[test]
    fn medians_are_in_the_middle() {
        let of = |values: &'static [u64]| median(|| values.iter().copied());
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[5]), Some(5));
        assert_eq!(of(&[9, 1]), Some(1));
        assert_eq!(of(&[9, 1, 5]), Some(5));
        assert_eq!(of(&[2, 2, 2, 1, 9, 9]), Some(2));
    }

    #[test]
    fn the_slope_is_that_of_the_later_half() {
        // The start is not steady, then follow 1000, 1010, ..., 1090.
        let rising = trend((0..20).map(|i| second(if i < 10 { 1 } else { 900 + 10 * i }, 1)));
        // The change is 90, the mean 1045.
        let slope = rising.course().unwrap().slope;
        assert!((855..=866).contains(&slope), "{slope}");
        assert_eq!(rising.typical(), Err("the throughput was not steady"));
        let falling = trend((0..20).map(|i| second(2000 - 10 * i, 1)));
        let slope = falling.course().unwrap().slope;
        assert!((-490..=-480).contains(&slope), "{slope}");
        assert!(falling.typical().is_ok());
    }

    #[test]
    fn what_is_typical_is_not_moved_by_a_disturbed_second() {
        let run = trend((0..20).map(|i| match i {
            14 => second(900, 9999),
            _ => second(1000, 120),
        }));
        let typical = Typical {
            added_ns: 120,
            bytes_per_second: 4_096_000,
        };
        assert_eq!(run.typical(), Ok(typical));
    }

    #[test]
    fn scatter_is_no_slope() {
        // A device that completes in batches: 4, 5 or 6 of them in a sample.
        let batches = [5, 4, 5, 6, 5, 5, 4, 6, 5, 5, 4, 5, 6, 5, 4, 6, 5, 5, 5, 4];
        let run = trend((0..40).map(|i| second(1000 * batches[i % 20], 1)));
        let course = run.course().unwrap();
        assert_eq!(course.samples, 20);
        assert!((1000..1500).contains(&course.scatter), "{course:?}");
        assert_eq!(run.typical(), Err("the throughput varied too much"));
        let run = trend((0..200).map(|i| second(1000 * batches[i % 20], 1)));
        assert_eq!(run.typical().map(|it| it.bytes_per_second), Ok(5000 * 4096));
        let falling = trend((0..200).map(|i| second(1000 * batches[i % 20] * (400 - i as u64), 1)));
        assert_eq!(falling.typical(), Err("the throughput was not steady"));
    }

    #[test]
    fn a_run_that_says_too_little_is_not_typical() {
        let short = trend((0..6).map(|_| second(1000, 1)));
        assert_eq!(short.typical(), Err("the run is too short"));
        let idle = trend((0..20).map(|_| second(0, 0)));
        assert_eq!(idle.typical(), Err("nothing was moved"));
        let untimed = trend((0..20).map(|_| Sample {
            added_count: 0,
            ..second(1000, 0)
        }));
        assert_eq!(untimed.typical(), Err("the target took no times"));
    }

    #[test]
    fn a_day_of_seconds_is_kept_whole() {
        let day = trend((0..86_400).map(|i| second(i, 1)));
        assert!(day.samples().len() >= SAMPLES / 2);
        let ops: u64 = day.samples().iter().map(|sample| sample.ops).sum();
        let memory = day.samples().last().map(|sample| sample.memory);
        assert!(memory.is_some_and(|memory| memory > 86_000));
        let expected: u64 = (0..86_400).sum::<u64>() - day.gathering.ops;
        assert_eq!(ops, expected);
        let quarters = day.quarters().unwrap();
        assert!(quarters.first.iops() < 12_000 && quarters.last.iops() > 74_000);
    }

    #[test]
    fn rates_survive_extremes() {
        assert_eq!(per_second(5, 0), 0);
        assert_eq!(per_second(5, 1_000_000_000), 5);
        assert_eq!(per_second(u64::MAX, 1000), u64::MAX);
        assert_eq!(change(0, 5), None);
        assert_eq!(change(1, u64::MAX), Some(10_000_000));
        assert_eq!(change(u64::MAX, 0), Some(-10_000));
    }

    proptest! {
        #[test]
        fn nothing_overflows(spans in proptest::collection::vec(any::<[u64; 6]>(), 0..1200)) {
            let all: Vec<Sample> = spans
                .iter()
                .map(|&[ns, ops, bytes, added_count, added_ns, memory]| {
                    Sample { ns, ops, bytes, added_count, added_ns, memory }
                })
                .collect();
            let trend = trend(all);
            let _ = trend.latency_variation();
            let _ = (trend.course(), trend.typical());
            if let Some(quarters) = trend.quarters() {
                let _ = (quarters.iops_drift(), quarters.throughput_drift(), quarters.added_drift());
            }
        }
    }
}
