// SPDX-License-Identifier: GPL-2.0

//! The time of the simulated machine.

use std::{marker::PhantomData, ops::MulAssign};

use machine::scheduler::world;

pub type Msecs = u32;
pub type Jiffies = usize;

pub fn msecs_to_jiffies(ms: Msecs) -> Jiffies {
    (u64::from(ms) * 1_000_000).div_ceil(machine::c::JIFFY) as usize
}

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
    ns: u64,
    _clock: PhantomData<C>,
}

impl<C> Instant<C> {
    pub fn now() -> Self {
        Self {
            ns: world().now,
            _clock: PhantomData,
        }
    }

    pub fn elapsed(&self) -> Delta {
        Delta((world().now - self.ns) as i64)
    }
}

impl<C> std::ops::Sub for Instant<C> {
    type Output = Delta;

    fn sub(self, earlier: Self) -> Delta {
        Delta(self.ns as i64 - earlier.ns as i64)
    }
}

pub mod delay {
    use super::Delta;

    pub fn fsleep(delta: Delta) {
        machine::scheduler::may_sleep("fsleep");
        let world = machine::scheduler::world();
        let ns = delta.as_nanos().unsigned_abs();
        let more = world.random.below(ns / 4 + 1);
        machine::scheduler::sleep(ns + more);
    }
}
