// SPDX-License-Identifier: GPL-2.0

//! Detection of a device that fails as a whole, and not block by block.
//!
//! A broken cable or controller makes every write fail. Moving block after block to the spare would use the
//! spare up for nothing. A breaker prevents this: it trips when blocks fail faster than any medium wears
//! out, and no write to the device succeeds in between.

/// Largest number of blocks that may be relocated within [`WINDOW_MS`] while no write succeeds.
pub const LIMIT: usize = 64;

/// Time within which relocated blocks count, in milliseconds.
pub const WINDOW_MS: u64 = 10_000;

/// Breaker of one device.
#[derive(Clone, Debug)]
pub struct Breaker {
    /// Ring of the times of the last relocations, in milliseconds.
    times: [u64; LIMIT],
    /// Number of relocations since a write has succeeded.
    count: usize,
    tripped: bool,
}

impl Default for Breaker {
    fn default() -> Self {
        Self::new()
    }
}

impl Breaker {
    /// Makes a breaker that is armed.
    pub const fn new() -> Self {
        Self {
            times: [0; LIMIT],
            count: 0,
            tripped: false,
        }
    }

    /// Returns whether the breaker has tripped: no block is relocated any more.
    pub const fn is_tripped(&self) -> bool {
        self.tripped
    }

    /// Trips the breaker.
    pub fn trip(&mut self) {
        self.tripped = true;
    }

    /// Arms the breaker again.
    pub fn arm(&mut self) {
        *self = Self::new();
    }

    /// Counts from zero again, since a write to the device has succeeded.
    pub fn wrote(&mut self) {
        self.count = 0;
    }

    /// Admits the relocation of another block at the time `now` in milliseconds. Trips if that would be one
    /// too many; `None` if tripped.
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

    /// Takes an admission back whose block could not be relocated. The last admission is taken back first.
    pub fn take_back(&mut self, admission: Admission) {
        if let Some(time) = self.times.get_mut(admission.place) {
            *time = admission.before;
            self.count = self.count.saturating_sub(1);
        }
    }
}

/// Admission of a relocation, which can be taken back.
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
