// SPDX-License-Identifier: GPL-2.0

//! Settings of a table that users may change while it is in use: numbers with a name, a default and a range.

use core::{
    ffi::CStr,
    ops::RangeInclusive, //
};

use crate::interface::decimal;

/// One setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// Number of times that a read or a write has to fail before its block is bad.
    Tries,
    /// Largest number of blocks that may be relocated within [`Setting::BreakerWindow`] while no write to main
    /// succeeds.
    BreakerCount,
    /// Time in which relocated blocks count, in milliseconds.
    BreakerWindow,
    /// Shortest pause between two probes of a device that fails, in milliseconds.
    ProbeMin,
    /// Longest pause between two probes of a device that fails, in milliseconds.
    ProbeMax,
    /// Time from the start of one scrub to that of the next, in seconds; 0 for none.
    ScrubInterval,
    /// Time from one retry of pending blocks to the next, in seconds; 0 for none.
    RetryInterval,
}

/// Number of settings.
pub const COUNT: usize = Setting::ALL.len();

/// Longest interval: a year, in seconds.
const YEAR: u32 = 365 * 24 * 60 * 60;

/// Longest window and longest pause: an hour, in milliseconds.
const HOUR: u32 = 60 * 60 * 1000;

impl Setting {
    /// All settings, in the order in which they are printed.
    pub const ALL: [Self; 7] = [
        Self::Tries,
        Self::BreakerCount,
        Self::BreakerWindow,
        Self::ProbeMin,
        Self::ProbeMax,
        Self::ScrubInterval,
        Self::RetryInterval,
    ];

    /// Returns the name in table lines and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tries => "tries",
            Self::BreakerCount => "breaker_count",
            Self::BreakerWindow => "breaker_window",
            Self::ProbeMin => "probe_min",
            Self::ProbeMax => "probe_max",
            Self::ScrubInterval => "scrub_interval",
            Self::RetryInterval => "retry_interval",
        }
    }

    /// Returns the setting of that name.
    pub fn from_name(name: &[u8]) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|setting| setting.name().as_bytes() == name)
    }

    /// Returns the value where none is given.
    pub const fn default(self) -> u32 {
        match self {
            Self::Tries => 2,
            Self::BreakerCount => 64,
            Self::BreakerWindow => 10_000,
            Self::ProbeMin => 1_000,
            Self::ProbeMax => 30_000,
            Self::ScrubInterval | Self::RetryInterval => 0,
        }
    }

    /// Returns the values that the setting takes.
    pub const fn range(self) -> RangeInclusive<u32> {
        match self {
            Self::Tries => 2..=10,
            Self::BreakerCount => 1..=65_536,
            Self::BreakerWindow | Self::ProbeMin | Self::ProbeMax => 1..=HOUR,
            Self::ScrubInterval | Self::RetryInterval => 0..=YEAR,
        }
    }

    /// Returns the text for a value that is not taken.
    pub const fn refusal(self) -> &'static CStr {
        match self {
            Self::Tries => c"tries is not a number from 2 to 10",
            Self::BreakerCount => c"breaker_count is not a number from 1 to 65536",
            Self::BreakerWindow => c"breaker_window is not a number from 1 to 3600000",
            Self::ProbeMin => c"probe_min is not a number from 1 to 3600000",
            Self::ProbeMax => c"probe_max is not a number from 1 to 3600000",
            Self::ScrubInterval => c"scrub_interval is not a number from 0 to 31536000",
            Self::RetryInterval => c"retry_interval is not a number from 0 to 31536000",
        }
    }

    /// Parses a value. `None` if it is not a decimal number within the range.
    pub fn parse(self, text: &[u8]) -> Option<u32> {
        let value = u32::try_from(decimal::parse(text).ok()?).ok()?;
        self.range().contains(&value).then_some(value)
    }
}

/// Values of all settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings([u32; COUNT]);

impl Default for Settings {
    fn default() -> Self {
        Self(Setting::ALL.map(Setting::default))
    }
}

impl Settings {
    /// Makes settings with the value that `value` returns of each.
    pub fn with(value: impl FnMut(Setting) -> u32) -> Self {
        Self(Setting::ALL.map(value))
    }

    /// Returns the value of a setting.
    pub fn get(&self, setting: Setting) -> u32 {
        let value = self.0.get(setting as usize);
        value.copied().unwrap_or(setting.default())
    }

    /// Changes the value of a setting. The value is within its range.
    pub fn set(&mut self, setting: Setting, value: u32) {
        if let Some(known) = self.0.get_mut(setting as usize) {
            *known = value;
        }
    }

    /// Returns the settings that differ from their defaults, with their values.
    pub fn changed(&self) -> impl Iterator<Item = (Setting, u32)> + '_ {
        let all = Setting::ALL.into_iter();
        all.map(|setting| (setting, self.get(setting)))
            .filter(|(setting, value)| *value != setting.default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        format,
        vec::Vec, //
    };

    #[test]
    fn all_are_found_by_name_and_place() {
        for (place, setting) in Setting::ALL.into_iter().enumerate() {
            assert_eq!(setting as usize, place);
            assert_eq!(Setting::from_name(setting.name().as_bytes()), Some(setting));
        }
        assert_eq!(Setting::from_name(b"Tries"), None);
        assert_eq!(Setting::from_name(b""), None);
    }

    #[test]
    fn values_are_within_the_range_that_a_refusal_names() {
        for setting in Setting::ALL {
            let (least, most) = (*setting.range().start(), *setting.range().end());
            assert!(setting.range().contains(&setting.default()));
            let text = format!("{} is not a number from {least} to {most}", setting.name());
            assert_eq!(setting.refusal().to_str(), Ok(&*text));
            let parse = |value: u64| setting.parse(format!("{value}").as_bytes());
            assert_eq!(parse(u64::from(least)), Some(least));
            assert_eq!(parse(u64::from(most)), Some(most));
            assert_eq!(parse(u64::from(most) + 1), None);
            assert_eq!(parse(u64::from(most) + (1 << 32)), None);
            if let Some(below) = least.checked_sub(1) {
                assert_eq!(parse(u64::from(below)), None);
            }
            for text in ["", "-1", "+1", "1s", "0x1", "99999999999999999999"] {
                assert_eq!(setting.parse(text.as_bytes()), None, "{text}");
            }
        }
    }

    #[test]
    fn what_differs_is_told_in_order() {
        let mut settings = Settings::default();
        assert_eq!(settings.changed().count(), 0);
        settings.set(Setting::RetryInterval, 86_400);
        settings.set(Setting::Tries, 3);
        let changed: Vec<_> = settings.changed().collect();
        let wanted = [(Setting::Tries, 3), (Setting::RetryInterval, 86_400)];
        assert_eq!(changed, wanted);
        assert_eq!(Settings::with(|setting| settings.get(setting)), settings);
    }
}
