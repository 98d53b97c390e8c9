// SPDX-License-Identifier: GPL-2.0

//! The clock of the scrubs and retries that a table starts of its own accord.

use kernel::{
    new_mutex,
    prelude::*,
    sync::Mutex,
    time::{
        Instant,
        Monotonic, //
    }, //
};
use remap_core::table::upkeep::Upkeep;

/// Clock of a table, with the times of runs.
#[pin_data]
pub(in crate::remap) struct Clock {
    began: Instant<Monotonic>,
    #[pin]
    pub(in crate::remap) upkeep: Mutex<Upkeep>,
}

impl Clock {
    /// Starts a clock.
    pub(in crate::remap) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            began: Instant::now(),
            upkeep <- new_mutex!(Upkeep::default(), "dm_remap::upkeep"),
        })
    }

    /// Returns the milliseconds since the clock was started.
    pub(in crate::remap) fn now(&self) -> u64 {
        self.began.elapsed().as_millis().unsigned_abs()
    }
}
