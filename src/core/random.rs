// SPDX-License-Identifier: GPL-2.0

//! Reproducible pseudo-random numbers.

use core::num::NonZeroU64;

/// Pseudo-random number generator: SplitMix64 (Steele, Lea, Flood: "Fast splittable
/// pseudorandom number generators", OOPSLA 2014).
#[derive(Clone, Debug)]
pub struct Random {
    state: u64,
}

impl Random {
    /// Makes a generator. Each `stream` of a `seed` is a sequence of its own.
    pub fn new(seed: u64, stream: u64) -> Self {
        let mut random = Self { state: seed };
        let start = random.draw();
        random.state = start ^ stream.wrapping_add(1).wrapping_mul(0xd1b5_4a32_d192_ed03);
        random.draw();
        random
    }

    /// Returns the next number.
    pub fn draw(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Returns a number below `bound`. All are nearly equally likely.
    pub fn below(&mut self, bound: NonZeroU64) -> u64 {
        self.draw() % bound
    }

    /// Returns `true` in `percent` of 100 cases.
    pub fn chance(&mut self, percent: u8) -> bool {
        self.draw() % 100 < u64::from(percent)
    }
}
