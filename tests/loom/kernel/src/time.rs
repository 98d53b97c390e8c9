// SPDX-License-Identifier: GPL-2.0

//! Time, which goes on only while tasks sleep.

mod instant;

use crate::execution;

pub use self::instant::{Delta, Instant, Monotonic};

fn now() -> i64 {
    execution::with(|execution| execution.now)
}

pub mod delay {
    use super::Delta;

    pub fn fsleep(delta: Delta) {
        crate::execution::with(|execution| execution.now += delta.as_nanos());
        loom::thread::yield_now();
    }
}
