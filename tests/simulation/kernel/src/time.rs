// SPDX-License-Identifier: GPL-2.0

//! The time of the simulated machine.

mod instant;

use machine::scheduler::world;

pub use self::instant::{Delta, Instant, Monotonic};

pub type Msecs = u32;
pub type Jiffies = usize;

pub fn msecs_to_jiffies(ms: Msecs) -> Jiffies {
    (u64::from(ms) * 1_000_000).div_ceil(machine::c::JIFFY) as usize
}

fn now() -> i64 {
    world().now as i64
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
