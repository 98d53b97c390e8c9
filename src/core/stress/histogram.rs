// SPDX-License-Identifier: GPL-2.0

//! Log-linear histogram of times in nanoseconds.
//!
//! Times below 64 ns have a bucket each. Above, every octave is divided into 64 buckets of equal
//! width, so a bucket is never wider than 1/64 (1.6 %) of the times in it. The histogram gives every
//! percentile without the single times, and two histograms are merged by adding their buckets.

/// Base-two logarithm of the number of buckets in an octave.
const OCTAVE_SHIFT: u32 = 6;

/// Number of buckets in an octave.
const PER_OCTAVE: u64 = 1 << OCTAVE_SHIFT;

/// Largest number of bits of a time that has its regular bucket: times up to 2^40 ns, 18 minutes. Longer ones
/// are counted in the last bucket; the maximum stays exact.
const MAX_BITS: u32 = 40;

/// Longest time that has its regular bucket, in nanoseconds.
const MAX_TIME: u64 = (1 << MAX_BITS) - 1;

/// Number of buckets.
pub const BUCKETS: usize = bucket_of(MAX_TIME) + 1;

/// Returns the bucket of a time of at most [`MAX_TIME`] nanoseconds.
///
/// There is no branch: `shift` is zero for times that have a bucket each.
#[inline]
const fn bucket_of(ns: u64) -> usize {
    let shift = (u64::BITS - 1 - OCTAVE_SHIFT) - (ns | PER_OCTAVE).leading_zeros();
    ((shift as u64) << OCTAVE_SHIFT) as usize + (ns >> shift) as usize
}

/// Returns the longest time that is counted in `bucket`, in nanoseconds.
const fn longest_in(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < 2 * PER_OCTAVE {
        return bucket;
    }
    let shift = (bucket >> OCTAVE_SHIFT) - 1;
    let first = PER_OCTAVE + (bucket & (PER_OCTAVE - 1));
    ((first + 1) << shift) - 1
}

/// Histogram of times in nanoseconds. Its size is 18 KiB, so it is never a local variable in the kernel.
///
/// All bytes zero is the empty histogram. Counters wrap at 2^64: a million times a second would take half a
/// million years.
///
/// # Examples
///
/// ```
/// use remap_core::stress::histogram::Histogram;
///
/// let mut times = Histogram::new();
/// for ns in 1..=1000 {
///     times.record(ns);
/// }
/// assert_eq!(times.min(), 1);
/// assert_eq!(times.max(), 1000);
/// let median = times.percentile(500);
/// assert!((500..=508).contains(&median));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Histogram {
    count: u64,
    sum: u64,
    max: u64,
    /// Complement of the shortest time; zero if there is none yet.
    min_complement: u64,
    buckets: [u64; BUCKETS],
}

impl Default for Histogram {
    fn default() -> Self {
        Self::new()
    }
}

impl Histogram {
    /// Makes an empty histogram.
    pub const fn new() -> Self {
        Self {
            count: 0,
            sum: 0,
            max: 0,
            min_complement: 0,
            buckets: [0; BUCKETS],
        }
    }

    /// Counts a time of `ns` nanoseconds. For hot paths: takes no lock and does not divide. The caller
    /// serialises writers.
    #[inline]
    pub fn record(&mut self, ns: u64) {
        self.count = self.count.wrapping_add(1);
        self.sum = self.sum.wrapping_add(ns);
        self.max = self.max.max(ns);
        self.min_complement = self.min_complement.max(!ns);
        if let Some(bucket) = self.buckets.get_mut(bucket_of(ns.min(MAX_TIME))) {
            *bucket = bucket.wrapping_add(1);
        }
    }

    /// Adds the counts of `other`.
    pub fn merge(&mut self, other: &Histogram) {
        self.count = self.count.wrapping_add(other.count);
        self.sum = self.sum.wrapping_add(other.sum);
        self.max = self.max.max(other.max);
        self.min_complement = self.min_complement.max(other.min_complement);
        for (mine, theirs) in self.buckets.iter_mut().zip(&other.buckets) {
            *mine = mine.wrapping_add(*theirs);
        }
    }

    /// Makes this a copy of `other`.
    pub fn copy_from(&mut self, other: &Histogram) {
        self.clear();
        self.merge(other);
    }

    /// Makes the histogram empty.
    pub fn clear(&mut self) {
        self.count = 0;
        self.sum = 0;
        self.max = 0;
        self.min_complement = 0;
        self.buckets.fill(0);
    }

    /// Returns the number of times counted.
    #[inline]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Returns the sum of all times, in nanoseconds.
    #[inline]
    pub const fn sum(&self) -> u64 {
        self.sum
    }

    /// Returns the exact shortest time in nanoseconds; 0 if none was counted.
    pub const fn min(&self) -> u64 {
        if self.count == 0 {
            0
        } else {
            !self.min_complement
        }
    }

    /// Returns the exact longest time in nanoseconds; 0 if none was counted.
    pub const fn max(&self) -> u64 {
        self.max
    }

    /// Returns the average in nanoseconds, rounded down; 0 if no time was counted.
    pub const fn average(&self) -> u64 {
        match self.sum.checked_div(self.count) {
            Some(average) => average,
            None => 0,
        }
    }

    /// Returns the time in nanoseconds that `per_mille` of 1000 times do not exceed; 0 if no time was counted.
    ///
    /// The result is the upper end of a bucket: never below the exact percentile, and at most 1.6 % above it.
    pub fn percentile(&self, per_mille: u32) -> u64 {
        let per_mille = u64::from(per_mille.min(1000));
        // ceil(count * per_mille / 1000), in parts that do not overflow.
        let whole = (self.count / 1000).wrapping_mul(per_mille);
        let rest = (self.count % 1000 * per_mille).div_ceil(1000);
        let rank = whole.wrapping_add(rest).max(1);
        let mut seen: u64 = 0;
        for (index, &counted) in self.buckets.iter().enumerate() {
            seen = seen.wrapping_add(counted);
            if seen >= rank {
                let end = if index + 1 == BUCKETS {
                    self.max
                } else {
                    longest_in(index)
                };
                return end.min(self.max).max(self.min());
            }
        }
        self.max
    }

    /// Returns the buckets that are not empty, in order: the longest time of each in nanoseconds, and its count.
    pub fn counted(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let all = self.buckets.iter().enumerate();
        all.filter(|(_, &count)| count > 0)
            .map(|(bucket, &count)| match bucket + 1 {
                BUCKETS => (self.max, count),
                _ => (longest_in(bucket), count),
            })
    }

    /// Returns the figures that a report prints.
    pub fn summary(&self) -> Summary {
        Summary {
            count: self.count,
            min: self.min(),
            average: self.average(),
            p50: self.percentile(500),
            p90: self.percentile(900),
            p99: self.percentile(990),
            p99_9: self.percentile(999),
            max: self.max,
        }
    }
}

/// Figures of a histogram for a report. Times are in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Number of times counted. If it is 0, the other figures are 0 and mean nothing.
    pub count: u64,
    /// Shortest time.
    pub min: u64,
    /// Average.
    pub average: u64,
    /// Median.
    pub p50: u64,
    /// Time that 90 % do not exceed.
    pub p90: u64,
    /// Time that 99 % do not exceed.
    pub p99: u64,
    /// Time that 99.9 % do not exceed.
    pub p99_9: u64,
    /// Longest time.
    pub max: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    fn filled(times: &[u64]) -> Histogram {
        let mut histogram = Histogram::new();
        times.iter().for_each(|&ns| histogram.record(ns));
        histogram
    }

    #[test]
    fn buckets_are_contiguous_and_narrow() {
        for bucket in 0..BUCKETS {
            let last = longest_in(bucket);
            assert_eq!(bucket_of(last), bucket);
            if last < MAX_TIME {
                assert_eq!(bucket_of(last + 1), bucket + 1);
            }
            let first = if bucket == 0 {
                0
            } else {
                longest_in(bucket - 1) + 1
            };
            assert!(last - first <= first / PER_OCTAVE, "bucket {bucket}");
        }
        assert_eq!(longest_in(BUCKETS - 1), MAX_TIME);
    }

    #[test]
    fn empty_is_all_zero() {
        let empty = Histogram::new();
        assert_eq!(empty.summary(), Summary::default());
        assert_eq!(empty.min_complement, 0);
    }

    #[test]
    fn longer_than_any_bucket_is_counted_in_the_last() {
        let histogram = filled(&[5, u64::MAX]);
        assert_eq!(histogram.count(), 2);
        assert_eq!(histogram.max(), u64::MAX);
        assert_eq!(histogram.percentile(1000), u64::MAX);
        assert_eq!(histogram.percentile(500), 5);
    }

    fn times() -> impl Strategy<Value = Vec<u64>> {
        let time = prop_oneof![0..200_u64, 0..100_000_u64, 0..MAX_TIME, any::<u64>()];
        proptest::collection::vec(time, 1..400)
    }

    proptest! {
        #[test]
        fn percentiles_agree_with_a_sorted_list(mut times in times(), per_mille in 0..=1000_u32) {
            let histogram = filled(&times);
            times.sort_unstable();
            let rank = (times.len() * per_mille as usize).div_ceil(1000).max(1);
            let exact = times[rank - 1];
            let got = histogram.percentile(per_mille);
            prop_assert!(got >= exact.min(MAX_TIME));
            if exact <= longest_in(BUCKETS - 2) {
                prop_assert!(got - exact <= exact / PER_OCTAVE, "{} for {}", got, exact);
            }
            prop_assert_eq!(histogram.min(), times[0]);
            prop_assert_eq!(histogram.max(), times[times.len() - 1]);
        }

        #[test]
        fn average_is_exact(times in proptest::collection::vec(0..MAX_TIME, 1..400)) {
            let histogram = filled(&times);
            prop_assert_eq!(histogram.average(), times.iter().sum::<u64>() / times.len() as u64);
        }

        #[test]
        fn merging_is_recording_everything(a in times(), b in times()) {
            let mut merged = filled(&a);
            merged.merge(&filled(&b));
            let all: Vec<u64> = a.into_iter().chain(b).collect();
            prop_assert_eq!(&merged, &filled(&all));
            merged.clear();
            prop_assert_eq!(merged, Histogram::new());
        }
    }
}
