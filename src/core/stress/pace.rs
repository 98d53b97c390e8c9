// SPDX-License-Identifier: GPL-2.0

//! Pace of a worker: limits of rate, and bursts.

use core::num::NonZeroU64;

use crate::stress::workload::Burst;

/// Longest delay that a worker may catch up on, in nanoseconds. Also allows a coarse clock to keep the rate.
const ARREARS_NS: u64 = 100_000_000;

/// Pace of one worker.
#[derive(Clone, Debug)]
pub struct Pace {
    on_ns: u64,
    period_ns: Option<NonZeroU64>,
    /// Time at which the next operation is due, in nanoseconds since the test's start.
    next_ns: u64,
}

impl Pace {
    /// Makes the pace of a worker that works in bursts, or all the time.
    pub fn new(burst: Option<Burst>) -> Self {
        let ns = |ms: u32| u64::from(ms) * 1_000_000;
        let (on, off) = burst.map_or((0, 0), |burst| (ns(burst.on_ms), ns(burst.off_ms)));
        Self {
            on_ns: on,
            // Without a rest there are no bursts, and without activity no operation would ever start.
            period_ns: NonZeroU64::new(on + off).filter(|_| on > 0 && off > 0),
            next_ns: 0,
        }
    }

    /// Returns the nanoseconds from one operation of a worker to the next if `workers` workers together start
    /// `rate_iops` operations a second; 0 for no limit.
    pub fn interval_ns(rate_iops: u32, workers: u32) -> u64 {
        let workers = u64::from(workers.max(1));
        let interval = workers.saturating_mul(1_000_000_000);
        interval.checked_div(u64::from(rate_iops)).unwrap_or(0)
    }

    /// Admits an operation at `now_ns`, in nanoseconds since the test's start. On error returns the nanoseconds
    /// after which the caller may try again.
    pub fn start(&mut self, now_ns: u64, interval_ns: u64) -> Result<(), u64> {
        if let Some(period) = self.period_ns {
            let passed = now_ns % period;
            if passed >= self.on_ns {
                return Err(period.get() - passed);
            }
        }
        if interval_ns == 0 {
            return Ok(());
        }
        match self.next_ns.checked_sub(now_ns) {
            // After a change of the rate, the worker must not wait for the old interval.
            Some(left) if left > 0 && left <= interval_ns => return Err(left),
            _ => {}
        }
        let due = self
            .next_ns
            .clamp(now_ns.saturating_sub(ARREARS_NS), now_ns);
        self.next_ns = due.saturating_add(interval_ns);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: u64 = 1_000_000_000;

    /// Returns the number of operations from `from` to `to` by a worker that reads the clock every `tick`.
    fn started(pace: &mut Pace, (from, to): (u64, u64), tick: u64, interval: u64) -> u64 {
        let mut count = 0;
        let mut now = from;
        while now < to {
            // The loop ends at the queue depth.
            for _ in 0..64 {
                if interval == 0 && count > 1_000_000 || pace.start(now, interval).is_err() {
                    break;
                }
                count += 1;
            }
            now += tick;
        }
        count
    }

    #[test]
    fn rates_are_shared_by_the_workers() {
        assert_eq!(Pace::interval_ns(0, 4), 0);
        assert_eq!(Pace::interval_ns(1000, 4), 4_000_000);
        assert_eq!(Pace::interval_ns(1000, 0), 1_000_000);
        assert_eq!(Pace::interval_ns(1, 32), 32 * SECOND);
    }

    #[test]
    fn a_coarse_clock_keeps_the_rate() {
        for tick in [1_000_000, 4_000_000, 10_000_000] {
            let count = started(&mut Pace::new(None), (0, 10 * SECOND), tick, 500_000);
            assert!((19_900..=20_100).contains(&count), "{tick}: {count}");
        }
    }

    #[test]
    fn what_was_missed_long_ago_is_not_made_good() {
        let mut pace = Pace::new(None);
        assert_eq!(pace.start(0, 1_000_000), Ok(()));
        let count = started(&mut pace, (60 * SECOND, 61 * SECOND), 1_000_000, 1_000_000);
        assert!((1000..=1101).contains(&count), "{count}");
    }

    #[test]
    fn a_new_rate_counts_at_once() {
        let mut pace = Pace::new(None);
        assert_eq!(pace.start(0, 60 * SECOND), Ok(()));
        assert_eq!(pace.start(1, 60 * SECOND), Err(60 * SECOND - 1));
        assert_eq!(pace.start(2, 1000), Ok(()));
        assert_eq!(pace.start(3, 0), Ok(()));
    }

    #[test]
    fn bursts_come_and_go() {
        let burst = |on_ms, off_ms| Pace::new(Some(Burst { on_ms, off_ms }));
        let mut pace = burst(400, 600);
        assert_eq!(pace.start(399_999_999, 0), Ok(()));
        assert_eq!(pace.start(400_000_000, 0), Err(600_000_000));
        assert_eq!(pace.start(999_999_999, 0), Err(1));
        assert_eq!(pace.start(SECOND, 0), Ok(()));
        assert_eq!(burst(0, 5).start(3, 0), Ok(()));
        assert_eq!(burst(5, 0).start(7_000_000, 0), Ok(()));
    }

    proptest! {
        #[test]
        fn a_wait_is_never_without_end(on: u32, off: u32, now: u64, then: u64, interval: u64) {
            let mut pace = Pace::new(Some(Burst { on_ms: on, off_ms: off }));
            for at in [now, then] {
                if let Err(wait) = pace.start(at, interval) {
                    let period = (u64::from(on) + u64::from(off)) * 1_000_000;
                    prop_assert!(wait > 0 && wait <= period.max(interval));
                }
            }
        }
    }
}
