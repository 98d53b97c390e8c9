// SPDX-License-Identifier: GPL-2.0

//! Health of a table and of its metadata, each as one word.

use crate::numbered::Numbered;

/// Health of a table. If several apply, the last one in this order is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Health {
    /// No problem.
    Ok,
    /// Some sectors are lost, or blocks pending.
    Degraded,
    /// Less than a tenth of the spare blocks is free.
    SpareLow,
    /// No spare block is free.
    SpareFull,
    /// The spare does not answer, or is gone.
    SpareFailing,
    /// Main does not answer.
    Outage,
    /// Main refuses everything that is written, or is gone.
    Failing,
    /// The table is loaded read-only.
    ReadOnly,
}

/// Conditions that the health of a table depends on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Signs {
    /// The table is loaded read-only.
    pub read_only: bool,
    /// Main refuses everything that is written, or is gone.
    pub failing: bool,
    /// Main does not answer.
    pub outage: bool,
    /// The spare does not answer, or is gone.
    pub spare_failing: bool,
    /// Number of spare blocks.
    pub slots: u64,
    /// Number of free spare blocks.
    pub free: u64,
    /// Number of unread sectors that main has refused, or was told to leave alone.
    pub unread: u64,
    /// Number of lost sectors.
    pub lost: u64,
    /// Number of pending blocks.
    pub pending: u64,
}

impl Health {
    /// Returns the word that `dmsetup status` shows.
    pub const fn word(self) -> &'static str {
        match self {
            Health::Ok => "ok",
            Health::Degraded => "degraded",
            Health::SpareLow => "spare_low",
            Health::SpareFull => "spare_full",
            Health::SpareFailing => "spare_failing",
            Health::Outage => "outage",
            Health::Failing => "failing",
            Health::ReadOnly => "read_only",
        }
    }

    /// Returns the health of a table with these signs.
    pub const fn judge(signs: &Signs) -> Self {
        if signs.read_only {
            Health::ReadOnly
        } else if signs.failing {
            Health::Failing
        } else if signs.outage {
            Health::Outage
        } else if signs.spare_failing {
            Health::SpareFailing
        } else if signs.free == 0 {
            Health::SpareFull
        } else if signs.free < signs.slots.div_ceil(10) {
            Health::SpareLow
        } else if signs.unread > 0 || signs.lost > 0 || signs.pending > 0 {
            Health::Degraded
        } else {
            Health::Ok
        }
    }
}

impl Numbered for Health {
    const ALL: &'static [Self] = &[
        Self::Ok,
        Self::Degraded,
        Self::SpareLow,
        Self::SpareFull,
        Self::SpareFailing,
        Self::Outage,
        Self::Failing,
        Self::ReadOnly,
    ];
    const FALLBACK: Self = Self::Ok;

    fn number(self) -> u32 {
        self as u32
    }
}

/// State of a table's metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetadataState {
    /// The table has no metadata.
    None,
    /// Every copy is good.
    Ok,
    /// A copy was bad. It has been rewritten, or could not be.
    Degraded,
    /// The metadata cannot be written. No block is remapped or moved back until it can.
    Failed,
}

impl MetadataState {
    /// Returns the word that `dmsetup status` shows.
    pub const fn word(self) -> &'static str {
        match self {
            MetadataState::None => "none",
            MetadataState::Ok => "ok",
            MetadataState::Degraded => "degraded",
            MetadataState::Failed => "failed",
        }
    }
}

impl Numbered for MetadataState {
    const ALL: &'static [Self] = &[Self::None, Self::Ok, Self::Degraded, Self::Failed];
    const FALLBACK: Self = Self::None;

    fn number(self) -> u32 {
        self as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gravest_word_is_shown() {
        let of = |free, slots, lost, pending| Signs {
            slots,
            free,
            lost,
            pending,
            ..Signs::default()
        };
        let judge = |signs| Health::judge(&signs);
        assert_eq!(judge(of(100, 100, 0, 0)), Health::Ok);
        assert_eq!(judge(of(10, 100, 0, 0)), Health::Ok);
        assert_eq!(judge(of(9, 100, 0, 0)), Health::SpareLow);
        assert_eq!(judge(of(9, 100, 1, 1)), Health::SpareLow);
        assert_eq!(judge(of(95, 100, 1, 0)), Health::Degraded);
        assert_eq!(judge(of(95, 100, 0, 1)), Health::Degraded);
        assert_eq!(judge(of(0, 100, 1, 1)), Health::SpareFull);
        assert_eq!(judge(of(1, 1, 0, 0)), Health::Ok);
        assert_eq!(judge(of(0, 1, 0, 0)), Health::SpareFull);
        let spare_failing = Signs {
            spare_failing: true,
            ..of(0, 100, 1, 1)
        };
        assert_eq!(judge(spare_failing), Health::SpareFailing);
        let outage = Signs {
            outage: true,
            ..spare_failing
        };
        assert_eq!(judge(outage), Health::Outage);
        let failing = Signs {
            failing: true,
            ..outage
        };
        assert_eq!(judge(failing), Health::Failing);
        let read_only = Signs {
            read_only: true,
            ..failing
        };
        assert_eq!(judge(read_only), Health::ReadOnly);
    }
}
