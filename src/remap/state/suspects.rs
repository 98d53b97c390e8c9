// SPDX-License-Identifier: GPL-2.0

//! Suspects: blocks of which at least one has failed.

/// Most ranges of suspects; what comes beyond them is forgotten, and will fail again.
const RANGES: usize = 16;

/// Ranges of blocks of which at least one has failed.
#[derive(Default)]
pub(in crate::remap) struct Suspects {
    ranges: [(u64, u64); RANGES],
    count: usize,
}

impl Suspects {
    /// Adds the blocks from `first` to before `end`, where there is room for another range.
    pub(in crate::remap) fn push(&mut self, first: u64, end: u64) {
        let mut known = self.ranges.iter().take(self.count);
        if known.any(|range| *range == (first, end)) {
            return;
        }
        if let Some(free) = self.ranges.get_mut(self.count) {
            *free = (first, end);
            self.count = self.count.saturating_add(1);
        }
    }

    /// Takes one block.
    pub(in crate::remap) fn pop(&mut self) -> Option<u64> {
        let last = self.count.checked_sub(1)?;
        let (first, end) = self.ranges.get_mut(last)?;
        let block = *first;
        *first = first.saturating_add(1);
        if *first >= *end {
            self.count = last;
        }
        Some(block)
    }
}
