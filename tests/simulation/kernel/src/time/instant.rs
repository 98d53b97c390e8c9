// SPDX-License-Identifier: GPL-2.0

//! Instants of a simulated clock, and the time between them. `super::now` reads the clock, in nanoseconds.

use std::{marker::PhantomData, ops::MulAssign};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Delta(i64);

impl Delta {
    pub const fn from_micros(us: i64) -> Self {
        Self(us * 1_000)
    }

    pub const fn from_millis(ms: i64) -> Self {
        Self(ms * 1_000_000)
    }

    pub const fn from_secs(s: i64) -> Self {
        Self(s * 1_000_000_000)
    }

    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    pub const fn as_millis(self) -> i64 {
        self.0 / 1_000_000
    }
}

impl MulAssign<i64> for Delta {
    fn mul_assign(&mut self, by: i64) {
        self.0 *= by;
    }
}

#[derive(Clone, Copy)]
pub struct Monotonic;

#[derive(Clone, Copy)]
pub struct Instant<C> {
    ns: i64,
    _clock: PhantomData<C>,
}

impl<C> Instant<C> {
    pub fn now() -> Self {
        Self {
            ns: super::now(),
            _clock: PhantomData,
        }
    }

    pub fn elapsed(&self) -> Delta {
        Delta(super::now() - self.ns)
    }
}

impl<C> std::ops::Sub for Instant<C> {
    type Output = Delta;

    fn sub(self, earlier: Self) -> Delta {
        Delta(self.ns - earlier.ns)
    }
}
