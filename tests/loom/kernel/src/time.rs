// SPDX-License-Identifier: GPL-2.0

//! Time, which goes on only where somebody sleeps.

use std::{marker::PhantomData, ops::MulAssign};

use crate::execution;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Delta(i64);

impl Delta {
    pub const fn from_micros(us: i64) -> Self {
        Self(us * 1_000)
    }

    pub const fn from_millis(ms: i64) -> Self {
        Self(ms * 1_000_000)
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
            ns: execution::with(|execution| execution.now),
            _clock: PhantomData,
        }
    }

    pub fn elapsed(&self) -> Delta {
        Delta(execution::with(|execution| execution.now) - self.ns)
    }
}

pub mod delay {
    use super::Delta;

    pub fn fsleep(delta: Delta) {
        crate::execution::with(|execution| execution.now += delta.0);
        loom::thread::yield_now();
    }
}
