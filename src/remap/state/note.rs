// SPDX-License-Identifier: GPL-2.0

//! Notes of bios that are not as most are.

use kernel::time::{
    Instant,
    Monotonic, //
};

use super::lost::LostPart;
use crate::linux::stopwatch::Stopwatch;

/// Note that a bio carries along.
#[derive(Clone, Copy)]
pub(crate) struct Note {
    /// Nanoseconds that `map` took, if the bio is timed.
    pub(in crate::remap) mapped_in: Option<u32>,
    /// The end of the bio is watched: a success tells that main can be written.
    pub(in crate::remap) watched: bool,
    /// Lost sectors that the bio gives contents again.
    pub(in crate::remap) fills: Option<LostPart>,
    /// Time since which the bio waits for the target, if it does.
    waits_since: Option<Instant<Monotonic>>,
}

impl Note {
    /// Makes the note of a bio that waits from now on. Any context.
    pub(in crate::remap) fn waiting() -> Self {
        Self {
            mapped_in: None,
            watched: false,
            fills: None,
            waits_since: Some(Instant::now()),
        }
    }

    /// Returns how long the bio has waited, in nanoseconds, if it waits.
    pub(in crate::remap) fn waited_ns(&self) -> Option<u64> {
        let waited = self.waits_since?.elapsed().as_nanos();
        Some(u64::try_from(waited).unwrap_or(0))
    }
}

/// Observation of a bio on its way: timing, and a watch for its end.
pub(in crate::remap) struct Observation {
    pub(in crate::remap) start: Option<Stopwatch>,
    pub(in crate::remap) watched: bool,
}

impl Observation {
    pub(in crate::remap) const NONE: Self = Self {
        start: None,
        watched: false,
    };

    /// Returns the note of a bio, where it needs one.
    pub(in crate::remap) fn note(&self, fills: Option<LostPart>) -> Option<Note> {
        (self.start.is_some() || self.watched || fills.is_some()).then(|| Note {
            mapped_in: self.start.as_ref().map(Stopwatch::read),
            watched: self.watched,
            fills,
            waits_since: None,
        })
    }
}
