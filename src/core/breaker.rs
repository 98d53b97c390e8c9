// SPDX-License-Identifier: GPL-2.0

//! When a device fails wholesale, and no longer block by block.
//!
//! A cable or a controller that dies makes every write fail. To move block after block to the spare
//! would use it up for nothing, so a breaker stops that: it trips when blocks fail faster than any
//! medium wears out, and not one write to the device goes well in between.

/// Most blocks in [`WINDOW_MS`] that may be relocated while no write goes well.
pub const LIMIT: usize = 64;

/// The time in which they count, in milliseconds.
pub const WINDOW_MS: u64 = 10_000;

/// The breaker of one device.
#[derive(Clone, Debug)]
pub struct Breaker {
    /// When the last blocks were relocated, in milliseconds; a ring.
    times: [u64; LIMIT],
    /// How many there were since a write went well.
    count: usize,
    tripped: bool,
}

impl Default for Breaker {
    fn default() -> Self {
        Self::new()
    }
}

impl Breaker {
    /// A breaker that is armed.
    pub const fn new() -> Self {
        Self {
            times: [0; LIMIT],
            count: 0,
            tripped: false,
        }
    }

    /// Whether nothing is relocated any more.
    pub const fn is_tripped(&self) -> bool {
        self.tripped
    }

    /// Stops all relocations.
    pub fn trip(&mut self) {
        self.tripped = true;
    }

    /// Arms it again.
    pub fn arm(&mut self) {
        *self = Self::new();
    }

    /// A write to the device went well.
    pub fn wrote(&mut self) {
        self.count = 0;
    }

    /// Whether another block may be relocated at `now`, in milliseconds since any moment. It trips
    /// where that would be one too many.
    pub fn admit(&mut self, now: u64) -> bool {
        if self.tripped {
            return false;
        }
        let Some(oldest) = self.times.get_mut(self.count % LIMIT) else {
            return false;
        };
        if self.count >= LIMIT && now.saturating_sub(*oldest) < WINDOW_MS {
            self.tripped = true;
            return false;
        }
        *oldest = now;
        self.count = self.count.saturating_add(1);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    #[test]
    fn the_block_after_the_last_one_trips_it() {
        let mut breaker = Breaker::new();
        for n in 0..LIMIT as u64 {
            assert!(breaker.admit(1000 + n));
        }
        assert!(!breaker.admit(1000 + WINDOW_MS - 1));
        assert!(breaker.is_tripped());
        assert!(!breaker.admit(u64::MAX), "it stays so");
        breaker.wrote();
        assert!(breaker.is_tripped(), "whatever is written");
        breaker.arm();
        assert!(breaker.admit(1000 + WINDOW_MS));
    }

    #[test]
    fn a_write_that_goes_well_begins_anew() {
        let mut breaker = Breaker::new();
        for _ in 0..100 {
            for _ in 0..LIMIT {
                assert!(breaker.admit(5));
            }
            breaker.wrote();
        }
    }

    proptest! {
        #[test]
        fn agrees_with_a_list(
            steps in prop::collection::vec((0..600_u64, prop::bool::weighted(0.01)), 1..600),
        ) {
            let mut breaker = Breaker::new();
            let mut now = 0;
            let mut relocated: Vec<u64> = Vec::new();
            for (pause, wrote) in steps {
                now += pause;
                if wrote {
                    breaker.wrote();
                    relocated.clear();
                }
                let recent = relocated.iter().filter(|then| now - **then < WINDOW_MS).count();
                let admitted = breaker.admit(now);
                prop_assert_eq!(admitted, recent < LIMIT);
                if !admitted {
                    break;
                }
                relocated.push(now);
            }
        }
    }
}
