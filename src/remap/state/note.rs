// SPDX-License-Identifier: GPL-2.0

//! Notes of bios that are not as most are.

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
        })
    }
}
