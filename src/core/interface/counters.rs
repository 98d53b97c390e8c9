// SPDX-License-Identifier: GPL-2.0

//! Counters of a target.

/// Counters of one target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Reads. A bio that had to be split counts once for each part.
    pub reads: u64,
    /// Bios that change the medium: writes, discards, write-zeroes.
    pub writes: u64,
    /// Reads that went to the spare.
    pub remapped_reads: u64,
    /// Writes that went to the spare.
    pub remapped_writes: u64,
    /// Reads that failed on main, and reads of lost sectors.
    pub read_errors: u64,
    /// Writes that failed on main.
    pub write_errors: u64,
    /// Blocks moved to the spare because of an error.
    pub auto_remaps: u64,
    /// Blocks moved to the spare by message.
    pub manual_remaps: u64,
    /// Blocks moved back.
    pub unremaps: u64,
    /// I/O that failed on the spare.
    pub spare_errors: u64,
    /// Bios for which the filter was not enough, so that the exact lookup was needed.
    pub slow_path: u64,
}

impl Counters {
    /// Number of counters that `dmsetup status` shows.
    pub const STATUS: usize = 10;

    /// Returns names and values, in the order of `dmsetup status`, then those that only `stats` shows.
    pub fn named(&self) -> [(&'static str, u64); 11] {
        [
            ("reads", self.reads),
            ("writes", self.writes),
            ("remapped_reads", self.remapped_reads),
            ("remapped_writes", self.remapped_writes),
            ("read_errors", self.read_errors),
            ("write_errors", self.write_errors),
            ("auto_remaps", self.auto_remaps),
            ("manual_remaps", self.manual_remaps),
            ("unremaps", self.unremaps),
            ("spare_errors", self.spare_errors),
            ("slow_path", self.slow_path),
        ]
    }

    /// Returns the number of all bios.
    pub fn total_ios(&self) -> u64 {
        self.reads.wrapping_add(self.writes)
    }

    /// Returns the number of bios that went to main by the filter alone.
    pub fn fast_path(&self) -> u64 {
        self.total_ios().saturating_sub(self.slow_path)
    }

    /// Combines the counters of `self` and `other` pairwise with `with`.
    pub fn zip(&self, other: &Self, with: impl Fn(u64, u64) -> u64) -> Self {
        Self {
            reads: with(self.reads, other.reads),
            writes: with(self.writes, other.writes),
            remapped_reads: with(self.remapped_reads, other.remapped_reads),
            remapped_writes: with(self.remapped_writes, other.remapped_writes),
            read_errors: with(self.read_errors, other.read_errors),
            write_errors: with(self.write_errors, other.write_errors),
            auto_remaps: with(self.auto_remaps, other.auto_remaps),
            manual_remaps: with(self.manual_remaps, other.manual_remaps),
            unremaps: with(self.unremaps, other.unremaps),
            spare_errors: with(self.spare_errors, other.spare_errors),
            slow_path: with(self.slow_path, other.slow_path),
        }
    }

    /// Returns the counts since `earlier`. A bio that was about to be held at that time may be missing.
    pub fn since(&self, earlier: &Self) -> Self {
        self.zip(earlier, u64::saturating_sub)
    }

    /// Returns the sums of both.
    pub fn plus(&self, other: &Self) -> Self {
        self.zip(other, u64::wrapping_add)
    }
}
