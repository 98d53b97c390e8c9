// SPDX-License-Identifier: GPL-2.0

//! Texts that users write to the stress manager's files.
//!
//! A text has exactly the stated fields, separated by blanks. One newline at the end is allowed, as `echo`
//! writes it.

use core::fmt;

use crate::{
    interface::{
        decimal,
        device_number::DeviceNumber, //
    },
    stress::workload::MAX_WORKERS, //
};

/// Largest number of operations that one worker keeps in flight.
pub const MAX_QUEUE_DEPTH: u32 = 4096;

/// Highest limit of operations a second.
pub const MAX_RATE_IOPS: u32 = 100_000_000;

/// Largest length of a device's name in bytes (`DM_NAME_LEN` in `include/uapi/linux/dm-ioctl.h`, less its
/// NUL).
pub const MAX_NAME: usize = 127;

/// Reason why a field is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The field is missing.
    Missing,
    /// There is more text behind the last field.
    Surplus,
    /// The field is not a number.
    Number(decimal::Error),
    /// The number is outside of these limits.
    Range(u64, u64),
    /// The name is longer than [`MAX_NAME`].
    TooLong,
    /// The field is not a pair of a key and a value.
    NoPair,
    /// The file has no such key.
    UnknownKey,
    /// The key appears twice.
    Twice,
    /// There are more values than the field can have.
    TooMany,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Missing => f.write_str("missing"),
            Reason::Surplus => f.write_str("more than the attribute takes"),
            Reason::Number(why) => f.write_str(why.reason()),
            Reason::Range(least, most) if least == most => write!(f, "not {least}"),
            Reason::Range(least, most) => write!(f, "not within {least} to {most}"),
            Reason::TooLong => write!(f, "longer than {MAX_NAME} bytes"),
            Reason::NoPair => f.write_str("a field without \"=\""),
            Reason::UnknownKey => f.write_str("an unknown key"),
            Reason::Twice => f.write_str("given twice"),
            Reason::TooMany => f.write_str("too many"),
        }
    }
}

/// Refusal of a request, with the field that caused it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Name of the field in the documentation.
    pub field: &'static str,
    /// Reason of the refusal.
    pub reason: Reason,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.reason)
    }
}

/// Parses the decimal number `text`, the value of `field`, from `least` to `most`.
pub(crate) fn number(
    field: &'static str,
    text: &[u8],
    least: u64,
    most: u64,
) -> Result<u64, Refusal> {
    let refuse = |reason| Refusal { field, reason };
    let value = decimal::parse(text).map_err(|why| refuse(Reason::Number(why)))?;
    if value < least || value > most {
        return Err(refuse(Reason::Range(least, most)));
    }
    Ok(value)
}

/// Reader of the fields of a request, one after the other.
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(crate) fn new(text: &'a [u8]) -> Self {
        Self {
            rest: text.strip_suffix(b"\n").unwrap_or(text),
        }
    }

    fn next(&mut self) -> Option<&'a [u8]> {
        let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
        let start = self.rest.iter().position(|byte| !blank(byte))?;
        let rest = self.rest.get(start..)?;
        let end = rest.iter().position(blank).unwrap_or(rest.len());
        let (field, rest) = rest.split_at_checked(end)?;
        self.rest = rest;
        Some(field)
    }

    /// Returns the next field, a number from `least` to `most`.
    pub(crate) fn number(
        &mut self,
        field: &'static str,
        least: u64,
        most: u64,
    ) -> Result<u64, Refusal> {
        self.optional_number(field, least, most)?.ok_or(Refusal {
            field,
            reason: Reason::Missing,
        })
    }

    /// Returns the next field, a number from `least` to `most`; `None` if there is no field.
    pub(crate) fn optional_number(
        &mut self,
        field: &'static str,
        least: u64,
        most: u64,
    ) -> Result<Option<u64>, Refusal> {
        let text = self.next();
        text.map(|text| number(field, text, least, most))
            .transpose()
    }

    /// Refuses further fields, naming `last`.
    pub(crate) fn end(mut self, last: &'static str) -> Result<(), Refusal> {
        match self.next() {
            None => Ok(()),
            Some(_) => Err(Refusal {
                field: last,
                reason: Reason::Surplus,
            }),
        }
    }
}

/// Parses `1`.
pub fn parse_trigger(text: &[u8]) -> Result<(), Refusal> {
    let mut fields = Fields::new(text);
    fields.number("value", 1, 1)?;
    fields.end("end of line")
}

/// Pairs `<key>=<value>` of a request, each key at most once.
pub(crate) struct Pairs<'a, const N: usize> {
    keys: [&'static str; N],
    values: [Option<&'a [u8]>; N],
}

impl<'a, const N: usize> Pairs<'a, N> {
    /// Parses the pairs of `text`, whose keys are among `keys`.
    pub(crate) fn parse(text: &'a [u8], keys: [&'static str; N]) -> Result<Self, Refusal> {
        let mut values = [None; N];
        let mut fields = Fields::new(text);
        while let Some(field) = fields.next() {
            let equals = field.iter().position(|&byte| byte == b'=');
            let pair = equals.and_then(|at| field.split_at_checked(at));
            let Some((name, value)) = pair else {
                return Err(Refusal {
                    field: "key=value",
                    reason: Reason::NoPair,
                });
            };
            let place = keys.iter().position(|key| key.as_bytes() == name);
            let slot = place.and_then(|place| Some((values.get_mut(place)?, keys.get(place)?)));
            let Some((slot, key)) = slot else {
                return Err(Refusal {
                    field: "key=value",
                    reason: Reason::UnknownKey,
                });
            };
            // The value is behind the `=`.
            if slot.replace(value.get(1..).unwrap_or(&[])).is_some() {
                return Err(Refusal {
                    field: key,
                    reason: Reason::Twice,
                });
            }
        }
        Ok(Self { keys, values })
    }

    /// Returns the text of the value of `key`.
    pub(crate) fn text(&self, key: &'static str) -> Option<&'a [u8]> {
        let place = self.keys.iter().position(|known| *known == key)?;
        self.values.get(place).copied().flatten()
    }

    /// Returns the value of `key`, a number from `least` to `most`; `None` if there is no such pair.
    pub(crate) fn number(
        &self,
        key: &'static str,
        least: u64,
        most: u64,
    ) -> Result<Option<u64>, Refusal> {
        let text = self.text(key);
        text.map(|text| number(key, text, least, most)).transpose()
    }

    /// Returns the value of `key`, a number from `least` to `most`. Refuses a request without that pair.
    pub(crate) fn required(
        &self,
        key: &'static str,
        least: u64,
        most: u64,
    ) -> Result<u64, Refusal> {
        self.number(key, least, most)?.ok_or(Refusal {
            field: key,
            reason: Reason::Missing,
        })
    }
}

/// Changes of a test's settings; `None` leaves a setting as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Adjustment {
    /// Number of workers.
    pub workers: Option<u32>,
    /// Number of operations that each worker keeps in flight.
    pub queue_depth: Option<u32>,
    /// Limit of operations a second, over all workers; 0 for no limit.
    pub rate_iops: Option<u32>,
    /// Number of operations in 100 that write.
    pub write_percent: Option<u8>,
}

impl Adjustment {
    /// Parses `<key>=<value>...` of workers, queue_depth, rate_iops and write_percent, at least
    /// one of them.
    pub fn parse(text: &[u8]) -> Result<Self, Refusal> {
        let pairs = Pairs::parse(
            text,
            ["workers", "queue_depth", "rate_iops", "write_percent"],
        )?;
        let number = |key, least, most: u32| -> Result<Option<u32>, Refusal> {
            let value = pairs.number(key, least, u64::from(most))?;
            Ok(value.map(|value| u32::try_from(value).unwrap_or(most)))
        };
        let adjustment = Self {
            workers: number("workers", 1, MAX_WORKERS)?,
            queue_depth: number("queue_depth", 1, MAX_QUEUE_DEPTH)?,
            rate_iops: number("rate_iops", 0, MAX_RATE_IOPS)?,
            write_percent: number("write_percent", 0, 100)?.map(|percent| percent.min(100) as u8),
        };
        if adjustment == Self::default() {
            return Err(Refusal {
                field: "key=value",
                reason: Reason::Missing,
            });
        }
        Ok(adjustment)
    }

    /// Returns the changes of `self` followed by those of `next`, which override them.
    pub fn then(self, next: Self) -> Self {
        Self {
            workers: next.workers.or(self.workers),
            queue_depth: next.queue_depth.or(self.queue_depth),
            rate_iops: next.rate_iops.or(self.rate_iops),
            write_percent: next.write_percent.or(self.write_percent),
        }
    }
}

/// Text by which a user names a device.
///
/// A name may contain blanks, so the text is everything up to the newline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceName<'a> {
    text: &'a [u8],
}

impl<'a> DeviceName<'a> {
    /// Parses a dm name, `dm-<minor>` or `<major>:<minor>`; `None` for an empty text.
    pub fn parse(text: &'a [u8]) -> Result<Option<Self>, Refusal> {
        let text = text.strip_suffix(b"\n").unwrap_or(text);
        if text.len() > MAX_NAME {
            return Err(Refusal {
                field: "device",
                reason: Reason::TooLong,
            });
        }
        Ok((!text.is_empty()).then_some(Self { text }))
    }

    /// Returns whether the text is the dm name `name`. A dm name takes precedence over a number of the same
    /// spelling.
    pub fn is_name(&self, name: &[u8]) -> bool {
        self.text == name
    }

    /// Returns whether the text is the number of a device-mapper device, as `dm-<minor>` or `<major>:<minor>`.
    pub fn is_number(&self, number: DeviceNumber) -> bool {
        match self.text.strip_prefix(b"dm-") {
            Some(minor) => decimal::parse(minor) == Ok(u64::from(number.minor)),
            None => DeviceNumber::parse(self.text) == Some(number),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::format;

    #[test]
    fn triggers_take_a_one() {
        assert_eq!(parse_trigger(b"1\n"), Ok(()));
        assert!(parse_trigger(b"").is_err());
        assert!(parse_trigger(b"0").is_err());
        assert!(parse_trigger(b"1 1").is_err());
    }

    #[test]
    fn adjustments_are_pairs_in_any_order() {
        let wanted = Adjustment {
            workers: Some(8),
            write_percent: Some(0),
            ..Adjustment::default()
        };
        assert_eq!(
            Adjustment::parse(b"write_percent=0 workers=8\n"),
            Ok(wanted)
        );
        let refused = |text: &str| format!("{}", Adjustment::parse(text.as_bytes()).unwrap_err());
        for (text, why) in [
            ("", "key=value: missing"),
            ("8", "key=value: a field without \"=\""),
            ("worker=8", "key=value: an unknown key"),
            ("=8", "key=value: an unknown key"),
            ("workers=", "workers: number missing"),
            ("workers=0", "workers: not within 1 to 32"),
            ("workers=1 workers=1", "workers: given twice"),
            ("workers=1=1", "workers: not an unsigned decimal number"),
            ("queue_depth=4097", "queue_depth: not within 1 to 4096"),
            (
                "rate_iops=100000001",
                "rate_iops: not within 0 to 100000000",
            ),
            ("write_percent=101", "write_percent: not within 0 to 100"),
        ] {
            assert_eq!(refused(text), why);
        }
    }

    #[test]
    fn the_later_adjustment_goes_before() {
        let first = Adjustment {
            workers: Some(1),
            rate_iops: Some(5),
            ..Adjustment::default()
        };
        let second = Adjustment {
            workers: Some(2),
            queue_depth: Some(3),
            ..Adjustment::default()
        };
        let both = Adjustment {
            workers: Some(2),
            queue_depth: Some(3),
            rate_iops: Some(5),
            write_percent: None,
        };
        assert_eq!(first.then(second), both);
    }

    #[test]
    fn a_device_has_three_names() {
        let number = DeviceNumber {
            major: 253,
            minor: 7,
        };
        let parse = |text: &'static str| DeviceName::parse(text.as_bytes()).unwrap().unwrap();
        assert!(parse("dm-7\n").is_number(number));
        assert!(parse("253:7").is_number(number));
        assert!(!parse("253:8").is_number(number));
        assert!(!parse("dm-").is_number(number));
        assert!(!parse("dm-07x").is_number(number));
        assert!(parse("test device\n").is_name(b"test device"));
        assert!(!parse("test").is_name(b"test device"));
        assert!(DeviceName::parse(&[b'a'; 128]).is_err());
        for none in [b"" as &[u8], b"\n"] {
            assert!(DeviceName::parse(none).unwrap().is_none());
        }
        assert!(parse("none\n").is_name(b"none"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken_or_refused(text in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = parse_trigger(&text);
            let _ = Adjustment::parse(&text);
            let _ = DeviceName::parse(&text);
        }
    }
}
