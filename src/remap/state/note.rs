// SPDX-License-Identifier: GPL-2.0

//! What goes along with a bio that is not as most are.

use super::lost::LostPart;
use crate::linux::stopwatch::Stopwatch;

/// What a bio carries along besides its tag, if anything.
#[derive(Clone, Copy)]
pub(crate) struct Note {
    /// Nanoseconds that `map` took, while a test measures.
    pub(in crate::remap) mapped_in: Option<u32>,
    /// Whether somebody wants to know how it ends.
    pub(in crate::remap) watched: bool,
    /// Lost sectors that it gives contents again.
    pub(in crate::remap) fills: Option<LostPart>,
}

/// What the gate wants to know of a bio.
pub(in crate::remap) struct Observation {
    pub(in crate::remap) start: Option<Stopwatch>,
    pub(in crate::remap) watched: bool,
}

impl Observation {
    pub(in crate::remap) const NONE: Self = Self {
        start: None,
        watched: false,
    };

    /// The note of a bio, where it needs one.
    pub(in crate::remap) fn note(&self, fills: Option<LostPart>) -> Option<Note> {
        (self.start.is_some() || self.watched || fills.is_some()).then(|| Note {
            mapped_in: self.start.as_ref().map(Stopwatch::read),
            watched: self.watched,
            fills,
        })
    }
}
