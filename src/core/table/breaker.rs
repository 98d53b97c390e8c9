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
    pub fn admit(&mut self, now: u64) -> Option<Admission> {
        let place = self.count % LIMIT;
        let oldest = self.times.get_mut(place).filter(|_| !self.tripped)?;
        if self.count >= LIMIT && now.saturating_sub(*oldest) < WINDOW_MS {
            self.tripped = true;
            return None;
        }
        let before = core::mem::replace(oldest, now);
        self.count = self.count.saturating_add(1);
        Some(Admission { place, before })
    }

    /// A block that was admitted could not be relocated after all. The last one first.
    pub fn take_back(&mut self, admission: Admission) {
        if let Some(time) = self.times.get_mut(admission.place) {
            *time = admission.before;
            self.count = self.count.saturating_sub(1);
        }
    }
}

/// What it takes to take an admission back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admission {
    place: usize,
    before: u64,
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
            assert!(breaker.admit(1000 + n).is_some());
        }
        assert!(breaker.admit(1000 + WINDOW_MS - 1).is_none());
        assert!(breaker.is_tripped());
        assert!(breaker.admit(u64::MAX).is_none(), "it stays so");
        breaker.wrote();
        assert!(breaker.is_tripped(), "whatever is written");
        breaker.arm();
        assert!(breaker.admit(1000 + WINDOW_MS).is_some());
    }

    #[test]
    fn a_write_that_goes_well_begins_anew() {
        let mut breaker = Breaker::new();
        for _ in 0..100 {
            for _ in 0..LIMIT {
                assert!(breaker.admit(5).is_some());
            }
            breaker.wrote();
        }
    }

    proptest! {
        #[test]
        fn agrees_with_a_list(
            steps in prop::collection::vec((0..600_u64, 0..100_u32), 1..600),
        ) {
            let mut breaker = Breaker::new();
            let mut now = 0;
            let mut relocated: Vec<u64> = Vec::new();
            for (pause, what) in steps {
                now += pause;
                if what == 0 {
                    breaker.wrote();
                    relocated.clear();
                }
                let recent = relocated.iter().filter(|then| now - **then < WINDOW_MS).count();
                let admitted = breaker.admit(now);
                prop_assert_eq!(admitted.is_some(), recent < LIMIT);
                match admitted {
                    None => break,
                    Some(admission) if what < 10 => breaker.take_back(admission),
                    Some(_) => relocated.push(now),
                }
            }
        }
    }
}
