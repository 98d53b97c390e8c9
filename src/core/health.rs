// SPDX-License-Identifier: GPL-2.0

//! How a table is, in one word.

/// The health of a table. Of several that apply, the last one in this order is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Health {
    /// Nothing to worry about.
    Ok,
    /// Some sectors are lost.
    Degraded,
    /// Less than a tenth of the spare blocks is free.
    SpareLow,
    /// No spare block is free.
    SpareFull,
    /// The table is loaded read-only.
    ReadOnly,
}

impl Health {
    /// The word that `dmsetup status` shows.
    pub const fn word(self) -> &'static str {
        match self {
            Health::Ok => "ok",
            Health::Degraded => "degraded",
            Health::SpareLow => "spare_low",
            Health::SpareFull => "spare_full",
            Health::ReadOnly => "read_only",
        }
    }

    /// The health of a table with `remapped` of `slots` spare blocks taken and `lost` sectors
    /// lost.
    pub const fn judge(read_only: bool, remapped: u64, slots: u64, lost: u64) -> Self {
        let free = slots.saturating_sub(remapped);
        if read_only {
            Health::ReadOnly
        } else if free == 0 {
            Health::SpareFull
        } else if free < slots.div_ceil(10) {
            Health::SpareLow
        } else if lost > 0 {
            Health::Degraded
        } else {
            Health::Ok
        }
    }
}

/// How the metadata of a table is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetadataState {
    /// The table keeps none.
    None,
    /// Every copy is as it should be.
    Ok,
    /// A copy was bad, and has been rewritten or could not be.
    Degraded,
    /// It cannot be written: nothing is remapped or moved back before it can.
    Failed,
}

impl MetadataState {
    const ALL: [Self; 4] = [Self::None, Self::Ok, Self::Degraded, Self::Failed];

    /// The word that `dmsetup status` shows.
    pub const fn word(self) -> &'static str {
        match self {
            MetadataState::None => "none",
            MetadataState::Ok => "ok",
            MetadataState::Degraded => "degraded",
            MetadataState::Failed => "failed",
        }
    }

    /// The state as a number, to be kept where others look without a lock.
    pub const fn number(self) -> u32 {
        self as u32
    }

    /// The state of that number.
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.get(number as usize).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_the_same_as_numbers() {
        for state in MetadataState::ALL {
            assert_eq!(MetadataState::from_number(state.number()), Some(state));
        }
        assert_eq!(MetadataState::from_number(4), None);
    }

    #[test]
    fn the_gravest_word_is_shown() {
        assert_eq!(Health::judge(false, 0, 100, 0), Health::Ok);
        assert_eq!(Health::judge(false, 90, 100, 0), Health::Ok);
        assert_eq!(Health::judge(false, 91, 100, 0), Health::SpareLow);
        assert_eq!(Health::judge(false, 91, 100, 1), Health::SpareLow);
        assert_eq!(Health::judge(false, 5, 100, 1), Health::Degraded);
        assert_eq!(Health::judge(false, 100, 100, 1), Health::SpareFull);
        assert_eq!(Health::judge(true, 100, 100, 1), Health::ReadOnly);
        assert_eq!(Health::judge(false, 0, 1, 0), Health::Ok);
        assert_eq!(Health::judge(false, 1, 1, 0), Health::SpareFull);
    }
}
