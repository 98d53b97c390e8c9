// SPDX-License-Identifier: GPL-2.0

//! Detection of a device that fails as a whole, and not block by block.
//!
//! A broken cable or controller makes every write fail. Moving block after block to the spare would use the
//! spare up for nothing. A breaker prevents this: it trips when blocks fail faster than any medium wears
//! out, and no write to the device succeeds in between.
//!
//! Relocations are counted in *spans*, of which a window has sixteen, and not by their times: so a large limit needs
//! no more memory. A relocation counts for the window, and for as much of a span as it takes until that ends.

/// Limits of a breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest number of blocks that may be relocated within the window while no write succeeds.
    pub count: u32,
    /// Time within which relocated blocks count, in milliseconds.
    pub window_ms: u32,
}

/// Number of spans of a window.
const SPANS: u64 = 16;

/// Number of spans that are counted: those of a window, and the one that has begun.
const COUNTED: usize = SPANS as usize + 1;

impl Limits {
    /// Returns the length of a span in milliseconds.
    fn span_ms(&self) -> u64 {
        u64::from(self.window_ms).div_ceil(SPANS).max(1)
    }
}

/// Breaker of one device.
#[derive(Clone, Debug)]
pub struct Breaker {
    /// Number of relocations in each of the last spans, in a ring.
    counts: [u32; COUNTED],
    /// Number of the last span in which a relocation was admitted.
    newest: u64,
    /// Length of a span in milliseconds.
    span_ms: u64,
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
            counts: [0; COUNTED],
            newest: 0,
            span_ms: 0,
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
        self.counts = [0; COUNTED];
    }

    /// Admits the relocation of another block at the time `now` in milliseconds. Trips if that would be one
    /// too many; `None` if tripped. Counts from zero with another window than before.
    pub fn admit(&mut self, now: u64, limits: Limits) -> Option<Admission> {
        if self.tripped {
            return None;
        }
        if self.span_ms != limits.span_ms() {
            self.arm();
            self.span_ms = limits.span_ms();
            self.newest = now / self.span_ms;
        }
        let span = now / self.span_ms;
        // Forgets what the ring has of spans before.
        let passed = span.saturating_sub(self.newest).min(COUNTED as u64);
        for gone in 0..passed {
            *self.count_of(span.saturating_sub(gone))? = 0;
        }
        self.newest = self.newest.max(span);
        let recent: u64 = self.counts.iter().map(|count| u64::from(*count)).sum();
        if recent >= u64::from(limits.count) {
            self.tripped = true;
            return None;
        }
        let count = self.count_of(span)?;
        *count = count.saturating_add(1);
        Some(Admission {
            span,
            span_ms: self.span_ms,
        })
    }

    /// Takes an admission back whose block could not be relocated.
    pub fn take_back(&mut self, admission: Admission) {
        let known = admission.span_ms == self.span_ms;
        if known && self.newest.saturating_sub(admission.span) < COUNTED as u64 {
            if let Some(count) = self.count_of(admission.span) {
                *count = count.saturating_sub(1);
            }
        }
    }

    fn count_of(&mut self, span: u64) -> Option<&mut u32> {
        self.counts.get_mut((span % COUNTED as u64) as usize)
    }
}

/// Admission of a relocation, which can be taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admission {
    /// Number of the span that it counts in.
    span: u64,
    /// Length of that span in milliseconds.
    span_ms: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    const USUAL: Limits = Limits {
        count: 64,
        window_ms: 10_000,
    };

    #[test]
    fn the_block_after_the_last_one_trips_it() {
        let mut breaker = Breaker::new();
        for n in 0..64 {
            assert!(breaker.admit(1000 + n, USUAL).is_some());
        }
        assert!(breaker.admit(1000 + 9_999, USUAL).is_none());
        assert!(breaker.is_tripped());
        assert!(breaker.admit(u64::MAX, USUAL).is_none(), "it stays so");
        breaker.wrote();
        assert!(breaker.is_tripped(), "whatever is written");
        breaker.arm();
        assert!(breaker.admit(1000 + 10_000, USUAL).is_some());
    }

    #[test]
    fn a_write_that_goes_well_begins_anew() {
        let mut breaker = Breaker::new();
        for _ in 0..100 {
            for _ in 0..64 {
                assert!(breaker.admit(5, USUAL).is_some());
            }
            breaker.wrote();
        }
    }

    #[test]
    fn any_number_is_counted() {
        let mut breaker = Breaker::new();
        let limits = Limits {
            count: 65_536,
            window_ms: 3_600_000,
        };
        for n in 0..65_536 {
            assert!(breaker.admit(n * 50, limits).is_some());
        }
        assert!(breaker.admit(65_536 * 50, limits).is_none());
    }

    #[test]
    fn another_window_begins_anew_and_another_count_does_not() {
        let mut breaker = Breaker::new();
        let more = Limits { count: 66, ..USUAL };
        let longer = Limits {
            window_ms: 20_000,
            ..USUAL
        };
        let mut admission = None;
        for _ in 0..64 {
            admission = breaker.admit(5, USUAL);
        }
        assert!(breaker.admit(5, more).is_some());
        for _ in 0..64 {
            assert!(breaker.admit(5, longer).is_some());
        }
        // It is of spans that are not counted any more.
        breaker.take_back(admission.unwrap());
        assert!(breaker.admit(5, longer).is_none());
    }

    proptest! {
        #[test]
        fn agrees_with_a_list(
            steps in prop::collection::vec((0..600_u64, 0..100_u32), 1..600),
            count in 1..80_u32,
            window_ms in prop_oneof![Just(10_000_u32), 1..40_u32, 1_000..20_000_u32],
        ) {
            let limits = Limits { count, window_ms };
            let span = u64::from(window_ms).div_ceil(16);
            let mut breaker = Breaker::new();
            let mut now = 0;
            let mut relocated: Vec<u64> = Vec::new();
            for (pause, what) in steps {
                now += pause;
                if what == 0 {
                    breaker.wrote();
                    relocated.clear();
                }
                let within = |age: u64| relocated.iter().filter(|then| now - **then < age).count();
                let counts = |then: &&u64| now / span - **then / span <= 16;
                let recent = relocated.iter().filter(counts).count();
                let admitted = breaker.admit(now, limits);
                prop_assert_eq!(admitted.is_some(), recent < count as usize);
                // As long as the window, and not longer than a span more.
                prop_assert!(recent >= within(u64::from(window_ms)));
                prop_assert!(recent <= within(17 * span));
                match admitted {
                    None => break,
                    Some(admission) if what < 10 => breaker.take_back(admission),
                    Some(_) => relocated.push(now),
                }
            }
        }
    }
}
