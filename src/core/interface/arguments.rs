// SPDX-License-Identifier: GPL-2.0

//! Arguments of a table line: `<main_dev> <spare_dev> <spare_start> <spare_len>`, then the number of optional
//! arguments, and these.

use core::{
    ffi::CStr,
    fmt, //
};

use crate::{
    interface::decimal,
    numbered::Numbered,
    table::{
        geometry::{
            BlockSize,
            SectorRange, //
        },
        settings::{
            self,
            Setting,
            Settings, //
        }, //
    }, //
};

/// Error policy: the reaction to a write that fails on main.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ErrorPolicy {
    /// The block moves to the spare and the write is completed there.
    #[default]
    Relocate,
    /// The block becomes pending and the error goes to the submitter.
    Record,
    /// The error goes to the submitter.
    Off,
}

impl ErrorPolicy {
    /// Returns the word for the policy in table lines and messages.
    pub const fn word(self) -> &'static str {
        match self {
            ErrorPolicy::Relocate => "relocate",
            ErrorPolicy::Record => "record",
            ErrorPolicy::Off => "off",
        }
    }

    /// Returns the policy that `word` stands for.
    pub fn from_word(word: &[u8]) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|policy| policy.word().as_bytes() == word)
    }
}

impl Numbered for ErrorPolicy {
    const ALL: &'static [Self] = &[Self::Relocate, Self::Record, Self::Off];
    const FALLBACK: Self = Self::Relocate;

    fn number(self) -> u32 {
        self as u32
    }
}

/// Arguments of a table line, parsed but not checked against devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arguments<'a> {
    /// Path or `major:minor` of the device with bad blocks.
    pub main_dev: &'a [u8],
    /// Path or `major:minor` of the spare device.
    pub spare_dev: &'a [u8],
    /// Spare area on the spare device.
    pub spare: SectorRange,
    /// First sector of the target on the main device.
    pub main_start: u64,
    /// Block size, if one is given.
    pub block_size: Option<BlockSize>,
    /// Remaps live only as long as the table: there is no metadata.
    pub volatile: bool,
    /// Fresh metadata is written, whatever the area holds.
    pub format: bool,
    /// Error policy.
    pub error_policy: ErrorPolicy,
    /// Settings.
    pub settings: Settings,
}

/// Reason why a table line is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// Fewer than the four arguments that every table has.
    Missing,
    /// A numeric argument is not a number.
    Number(&'static str, decimal::Error),
    /// The end of the spare area is beyond 2^64 sectors.
    SpareRange,
    /// The number of optional arguments does not agree with the arguments that follow it.
    OptionCount,
    /// No option has that name.
    UnknownOption,
    /// The option appears twice.
    RepeatedOption,
    /// The option needs a value behind it.
    OptionValue,
    /// The block size is not a power of two from 1 to 2048.
    BlockSize,
    /// No such error policy.
    ErrorPolicy,
    /// The value of a setting is not within its range.
    Setting(Setting),
}

impl Error {
    /// Returns the text for `ti->error`.
    pub const fn text(&self) -> &'static CStr {
        match self {
            Error::Missing => {
                c"Wrong argument count: <main_dev> <spare_dev> <spare_start> <spare_len> needed"
            }
            Error::Number(name, _) => match name.as_bytes() {
                b"spare_start" => c"spare_start is not an unsigned decimal number",
                b"spare_len" => c"spare_len is not an unsigned decimal number",
                b"main_start" => c"main_start is not an unsigned decimal number",
                b"block_size" => c"block_size is not an unsigned decimal number",
                _ => c"Number of optional arguments is not an unsigned decimal number",
            },
            Error::SpareRange => c"spare_start and spare_len reach beyond the last possible sector",
            Error::OptionCount => {
                c"Wrong argument count: optional arguments differ from their number"
            }
            Error::UnknownOption => c"Unknown optional argument",
            Error::RepeatedOption => c"Optional argument given twice",
            Error::OptionValue => c"Optional argument lacks its value",
            Error::BlockSize => c"block_size is not a power of two from 1 to 2048 sectors",
            Error::ErrorPolicy => c"error_policy is not relocate, record or off",
            Error::Setting(setting) => setting.refusal(),
        }
    }
}

/// Refusal of a table line, with the argument that caused it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArgumentRefusal<'a> {
    /// Argument as the user wrote it; empty if one is missing.
    pub argument: &'a [u8],
    /// Reason of the refusal.
    pub error: Error,
}

fn number<'a>(name: &'static str, text: &'a [u8]) -> Result<u64, ArgumentRefusal<'a>> {
    decimal::parse(text).map_err(|why| ArgumentRefusal {
        argument: text,
        error: Error::Number(name, why),
    })
}

impl<'a> Arguments<'a> {
    /// Parses the arguments behind `remap` in a table line.
    pub fn parse(args: &[&'a [u8]]) -> Result<Self, ArgumentRefusal<'a>> {
        let refuse = |argument, error| Err(ArgumentRefusal { argument, error });
        let (&[main_dev, spare_dev, start, len], rest) = match args.split_first_chunk::<4>() {
            Some(split) => split,
            None => return refuse(b"", Error::Missing),
        };
        let start = number("spare_start", start)?;
        let spare_len = number("spare_len", len)?;
        let Some(spare) = SectorRange::new(start, spare_len) else {
            return refuse(len, Error::SpareRange);
        };
        let mut parsed = Self {
            main_dev,
            spare_dev,
            spare,
            main_start: 0,
            block_size: None,
            volatile: false,
            format: false,
            error_policy: ErrorPolicy::default(),
            settings: Settings::default(),
        };
        let Some((&count, options)) = rest.split_first() else {
            return Ok(parsed);
        };
        if number("number of optional arguments", count)? != options.len() as u64 {
            return refuse(count, Error::OptionCount);
        }
        parsed.options(options)?;
        Ok(parsed)
    }

    /// Parses the optional arguments.
    fn options(&mut self, options: &[&'a [u8]]) -> Result<(), ArgumentRefusal<'a>> {
        let mut main_start = None;
        let mut policy = None;
        let mut given = [None; settings::COUNT];
        let mut words = options.iter().copied();
        while let Some(option) = words.next() {
            let refuse = |argument, error| Err(ArgumentRefusal { argument, error });
            let mut value = || {
                words.next().ok_or(ArgumentRefusal {
                    argument: option,
                    error: Error::OptionValue,
                })
            };
            let repeated = match option {
                b"main_start" => main_start
                    .replace(number("main_start", value()?)?)
                    .is_some(),
                b"block_size" => {
                    let text = value()?;
                    let Some(size) = BlockSize::from_sectors(number("block_size", text)?) else {
                        return refuse(text, Error::BlockSize);
                    };
                    self.block_size.replace(size).is_some()
                }
                b"error_policy" => {
                    let text = value()?;
                    let Some(word) = ErrorPolicy::from_word(text) else {
                        return refuse(text, Error::ErrorPolicy);
                    };
                    policy.replace(word).is_some()
                }
                b"volatile" => core::mem::replace(&mut self.volatile, true),
                b"format" => core::mem::replace(&mut self.format, true),
                _ => {
                    let Some(setting) = Setting::from_name(option) else {
                        return refuse(option, Error::UnknownOption);
                    };
                    let text = value()?;
                    let Some(number) = setting.parse(text) else {
                        return refuse(text, Error::Setting(setting));
                    };
                    let known = given.get_mut(setting as usize);
                    known.is_some_and(|known| known.replace(number).is_some())
                }
            };
            if repeated {
                return refuse(option, Error::RepeatedOption);
            }
        }
        self.main_start = main_start.unwrap_or(0);
        self.error_policy = policy.unwrap_or_default();
        self.settings = Settings::with(|setting| {
            let value = given.get(setting as usize).copied().flatten();
            value.unwrap_or(setting.default())
        });
        Ok(())
    }
}

/// Prints the arguments as `dmsetup table` shows them, which [`Arguments::parse`] takes again: optional ones
/// only where they differ from their defaults. A device whose name is no text is `?`.
impl fmt::Display for Arguments<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |device| core::str::from_utf8(device).unwrap_or("?");
        write!(
            f,
            "{} {} {} {}",
            name(self.main_dev),
            name(self.spare_dev),
            self.spare.start(),
            self.spare.len()
        )?;
        let other_policy = self.error_policy != ErrorPolicy::default();
        let words = 2 * u32::from(self.main_start != 0)
            + 2 * u32::from(self.block_size.is_some())
            + u32::from(self.volatile)
            + u32::from(self.format)
            + 2 * u32::from(other_policy)
            + 2 * self.settings.changed().count() as u32;
        if words == 0 {
            return Ok(());
        }
        write!(f, " {words}")?;
        if self.main_start != 0 {
            write!(f, " main_start {}", self.main_start)?;
        }
        if let Some(block) = self.block_size {
            write!(f, " block_size {block}")?;
        }
        if self.volatile {
            f.write_str(" volatile")?;
        }
        if self.format {
            f.write_str(" format")?;
        }
        if other_policy {
            write!(f, " error_policy {}", self.error_policy.word())?;
        }
        for (setting, value) in self.settings.changed() {
            write!(f, " {} {value}", setting.name())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        format,
        string::ToString,
        vec::Vec, //
    };

    fn parse(line: &str) -> Result<Arguments<'_>, Error> {
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        Arguments::parse(&words).map_err(|refusal| refusal.error)
    }

    #[test]
    fn takes_the_example_of_the_specification() {
        let parsed = parse("/dev/loop0 /dev/loop1 0 204800").unwrap();
        assert_eq!(parsed.main_dev, b"/dev/loop0");
        assert_eq!(parsed.spare_dev, b"/dev/loop1");
        assert_eq!(parsed.spare, SectorRange::new(0, 204800).unwrap());
        assert_eq!(parsed.main_start, 0);
        assert_eq!(parsed.block_size, None);
        assert!(!parsed.volatile && !parsed.format);
        assert_eq!(parsed.error_policy, ErrorPolicy::Relocate);
    }

    #[test]
    fn policies_are_the_same_as_words() {
        for &policy in ErrorPolicy::ALL {
            assert_eq!(
                ErrorPolicy::from_word(policy.word().as_bytes()),
                Some(policy)
            );
        }
    }

    #[test]
    fn takes_every_option_in_any_order() {
        let parsed = parse(
            "7:0 7:1 8 64 8 error_policy record format block_size 16 volatile main_start 2048",
        )
        .unwrap();
        assert_eq!(parsed.main_start, 2048);
        assert_eq!(parsed.block_size, BlockSize::from_sectors(16));
        assert!(parsed.volatile && parsed.format);
        assert_eq!(parsed.error_policy, ErrorPolicy::Record);
        assert_eq!(parsed.settings, Settings::default());
        assert!(parse("a b 0 8 0").is_ok());
        let parsed = parse("a b 0 8 4 retry_interval 86400 tries 3").unwrap();
        assert_eq!(parsed.settings.get(Setting::RetryInterval), 86_400);
        assert_eq!(parsed.settings.get(Setting::Tries), 3);
        assert_eq!(parsed.settings.get(Setting::ProbeMax), 30_000);
    }

    #[test]
    fn takes_what_it_prints() {
        for (line, printed) in [
            ("a b 0 8", "a b 0 8"),
            ("a b 0 8 2 main_start 0", "a b 0 8"),
            ("a b 0 8 2 error_policy relocate", "a b 0 8"),
            (
                "7:0 7:1 8 64 8 error_policy off format block_size 16 volatile main_start 2048",
                "7:0 7:1 8 64 8 main_start 2048 block_size 16 volatile format error_policy off",
            ),
            (
                "a b 0 8 8 retry_interval 60 breaker_window 10000 tries 3 error_policy off",
                "a b 0 8 6 error_policy off tries 3 retry_interval 60",
            ),
        ] {
            let parsed = parse(line).unwrap();
            assert_eq!(parsed.to_string(), printed);
            assert_eq!(parse(printed), Ok(parsed));
        }
        let words: [&[u8]; 4] = [b"\xff", b"b", b"0", b"8"];
        let parsed = Arguments::parse(&words).unwrap();
        assert_eq!(format!("{parsed}"), "? b 0 8");
    }

    #[test]
    fn refuses_with_the_reason() {
        let cases = [
            ("a b 0", Error::Missing),
            (
                "a b x 8",
                Error::Number("spare_start", decimal::Error::NotDecimal),
            ),
            (
                "a b 0 -8",
                Error::Number("spare_len", decimal::Error::NotDecimal),
            ),
            ("a b 18446744073709551615 1", Error::SpareRange),
            ("a b 0 8 1", Error::OptionCount),
            ("a b 0 8 0 volatile", Error::OptionCount),
            ("a b 0 8 2 volatile", Error::OptionCount),
            ("a b 0 8 1 fast", Error::UnknownOption),
            ("a b 0 8 2 volatile volatile", Error::RepeatedOption),
            ("a b 0 8 4 main_start 1 main_start 1", Error::RepeatedOption),
            ("a b 0 8 1 block_size", Error::OptionValue),
            ("a b 0 8 2 block_size 3", Error::BlockSize),
            ("a b 0 8 2 block_size 0", Error::BlockSize),
            ("a b 0 8 2 block_size 4096", Error::BlockSize),
            ("a b 0 8 2 error_policy maybe", Error::ErrorPolicy),
            ("a b 0 8 1 tries", Error::OptionValue),
            ("a b 0 8 4 tries 2 tries 2", Error::RepeatedOption),
            ("a b 0 8 2 tries 1", Error::Setting(Setting::Tries)),
            ("a b 0 8 2 tries x", Error::Setting(Setting::Tries)),
            (
                "a b 0 8 2 breaker_count 65537",
                Error::Setting(Setting::BreakerCount),
            ),
        ];
        for (line, error) in cases {
            assert_eq!(parse(line), Err(error), "{line}");
        }
    }
}
