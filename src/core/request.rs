// SPDX-License-Identifier: GPL-2.0

//! What users write into the stress manager's attributes.
//!
//! Exactly the stated fields, separated by blanks; one newline at the end is allowed, as `echo`
//! writes it.

use core::fmt;

use crate::{
    decimal,
    device_number::DeviceNumber,
    workload::{
        TestType,
        MAX_WORKERS, //
    },
};

/// Longest test, in milliseconds: a day.
pub const MAX_DURATION_MS: u64 = 86_400_000;

/// Longest name of a device (`DM_NAME_LEN` in `include/uapi/linux/dm-ioctl.h`, less its NUL).
pub const MAX_NAME: usize = 127;

/// What is wrong with a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The field is not there.
    Missing,
    /// Something stands behind the last field.
    Surplus,
    /// Not a number.
    Number(decimal::Error),
    /// A number outside of these limits.
    Range(u64, u64),
    /// Longer than any name of a device.
    TooLong,
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
        }
    }
}

/// Why a request is refused: which field, and what is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The field's name, as the documentation has it.
    pub field: &'static str,
    /// What is wrong.
    pub reason: Reason,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.reason)
    }
}

/// The fields of a request, one after the other.
struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    fn new(text: &'a [u8]) -> Self {
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

    fn number(&mut self, field: &'static str, least: u64, most: u64) -> Result<u64, Refusal> {
        self.optional_number(field, least, most)?.ok_or(Refusal {
            field,
            reason: Reason::Missing,
        })
    }

    fn optional_number(
        &mut self,
        field: &'static str,
        least: u64,
        most: u64,
    ) -> Result<Option<u64>, Refusal> {
        let Some(text) = self.next() else {
            return Ok(None);
        };
        let refuse = |reason| Refusal { field, reason };
        let value = decimal::parse(text).map_err(|why| refuse(Reason::Number(why)))?;
        if value < least || value > most {
            return Err(refuse(Reason::Range(least, most)));
        }
        Ok(Some(value))
    }

    fn end(mut self, last: &'static str) -> Result<(), Refusal> {
        match self.next() {
            None => Ok(()),
            Some(_) => Err(Refusal {
                field: last,
                reason: Reason::Surplus,
            }),
        }
    }
}

/// A test that somebody asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// What it does.
    pub test: TestType,
    /// Number of worker threads.
    pub workers: u32,
    /// How long it runs, in milliseconds.
    pub duration_ms: u64,
}

impl Start {
    /// Parses `<test_type> <num_workers> <duration_ms>`.
    pub fn parse(text: &[u8]) -> Result<Self, Refusal> {
        let mut fields = Fields::new(text);
        let most = TestType::ALL.len() as u64 - 1;
        let number = fields.number("test_type", 0, most)?;
        let workers = fields.number("num_workers", 1, u64::from(MAX_WORKERS))?;
        let duration_ms = fields.number("duration_ms", 1, MAX_DURATION_MS)?;
        fields.end("end of line")?;
        let test = TestType::from_number(number).ok_or(Refusal {
            field: "test_type",
            reason: Reason::Range(0, most),
        })?;
        Ok(Self {
            test,
            workers: u32::try_from(workers).unwrap_or(MAX_WORKERS),
            duration_ms,
        })
    }
}

/// Parses `1`.
pub fn parse_trigger(text: &[u8]) -> Result<(), Refusal> {
    let mut fields = Fields::new(text);
    fields.number("value", 1, 1)?;
    fields.end("end of line")
}

/// Parses `1 [<duration_ms>]` for a test that otherwise takes `default_ms`.
pub fn parse_timed_trigger(text: &[u8], default_ms: u64) -> Result<u64, Refusal> {
    let mut fields = Fields::new(text);
    fields.number("value", 1, 1)?;
    let duration = fields.optional_number("duration_ms", 1, MAX_DURATION_MS)?;
    fields.end("end of line")?;
    Ok(duration.unwrap_or(default_ms))
}

/// How a user names a device.
///
/// A name may hold anything, so it is everything up to the newline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceName<'a> {
    text: &'a [u8],
}

impl<'a> DeviceName<'a> {
    /// Parses a dm name, `dm-<minor>` or `<major>:<minor>`.
    pub fn parse(text: &'a [u8]) -> Result<Self, Refusal> {
        let text = text.strip_suffix(b"\n").unwrap_or(text);
        let refuse = |reason| Refusal {
            field: "device",
            reason,
        };
        if text.is_empty() {
            return Err(refuse(Reason::Missing));
        }
        if text.len() > MAX_NAME {
            return Err(refuse(Reason::TooLong));
        }
        Ok(Self { text })
    }

    /// What the user wrote.
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.text
    }

    /// Whether it is the dm name `name`. A name goes before a number that looks like it.
    pub fn is_name(&self, name: &[u8]) -> bool {
        self.text == name
    }

    /// Whether it stands for the device-mapper device of this number, as `dm-<minor>` or
    /// `<major>:<minor>`.
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

    fn refused(text: &str) -> (&'static str, Reason) {
        let refusal = Start::parse(text.as_bytes()).unwrap_err();
        (refusal.field, refusal.reason)
    }

    #[test]
    fn takes_a_start_with_and_without_newline() {
        let wanted = Start {
            test: TestType::Mixed,
            workers: 16,
            duration_ms: 120_000,
        };
        for text in ["4 16 120000", "4 16 120000\n", " 4\t16  120000 \n"] {
            assert_eq!(Start::parse(text.as_bytes()), Ok(wanted));
        }
        assert!(Start::parse(b"0 1 1").is_ok());
        assert!(Start::parse(b"5 32 86400000").is_ok());
    }

    #[test]
    fn names_the_field_and_the_reason() {
        let not_decimal = Reason::Number(decimal::Error::NotDecimal);
        assert_eq!(refused(""), ("test_type", Reason::Missing));
        assert_eq!(refused("\n"), ("test_type", Reason::Missing));
        assert_eq!(refused("4"), ("num_workers", Reason::Missing));
        assert_eq!(refused("4 16"), ("duration_ms", Reason::Missing));
        assert_eq!(refused("4 16 1 1"), ("end of line", Reason::Surplus));
        assert_eq!(refused("6 16 1"), ("test_type", Reason::Range(0, 5)));
        assert_eq!(refused("4 0 1"), ("num_workers", Reason::Range(1, 32)));
        assert_eq!(refused("4 33 1"), ("num_workers", Reason::Range(1, 32)));
        assert_eq!(
            refused("4 1 0"),
            ("duration_ms", Reason::Range(1, MAX_DURATION_MS))
        );
        assert_eq!(
            refused("4 1 86400001"),
            ("duration_ms", Reason::Range(1, MAX_DURATION_MS))
        );
        assert_eq!(refused("-4 1 1"), ("test_type", not_decimal));
        assert_eq!(refused("4 +1 1"), ("num_workers", not_decimal));
        assert_eq!(refused("4 1 0x10"), ("duration_ms", not_decimal));
        assert_eq!(refused("4 1 1\n\n"), ("duration_ms", not_decimal));
        assert_eq!(refused("4 1 1\0"), ("duration_ms", not_decimal));
        let huge = Reason::Number(decimal::Error::TooLarge);
        assert_eq!(refused("4 1 99999999999999999999"), ("duration_ms", huge));
    }

    #[test]
    fn says_it_in_words() {
        let refusal = Start::parse(b"4 33 1").unwrap_err();
        assert_eq!(format!("{refusal}"), "num_workers: not within 1 to 32");
        let refusal = parse_trigger(b"2").unwrap_err();
        assert_eq!(format!("{refusal}"), "value: not 1");
    }

    #[test]
    fn triggers_take_a_one() {
        assert_eq!(parse_trigger(b"1\n"), Ok(()));
        assert!(parse_trigger(b"").is_err());
        assert!(parse_trigger(b"0").is_err());
        assert!(parse_trigger(b"1 1").is_err());
        assert_eq!(parse_timed_trigger(b"1", 30_000), Ok(30_000));
        assert_eq!(parse_timed_trigger(b"1 5\n", 30_000), Ok(5));
        assert!(parse_timed_trigger(b"1 0", 30_000).is_err());
        assert!(parse_timed_trigger(b"1 5 5", 30_000).is_err());
    }

    #[test]
    fn a_device_has_three_names() {
        let number = DeviceNumber {
            major: 253,
            minor: 7,
        };
        let parse = |text: &'static str| DeviceName::parse(text.as_bytes()).unwrap();
        assert!(parse("dm-7\n").is_number(number));
        assert!(parse("253:7").is_number(number));
        assert!(!parse("253:8").is_number(number));
        assert!(!parse("dm-").is_number(number));
        assert!(!parse("dm-07x").is_number(number));
        assert!(parse("test device\n").is_name(b"test device"));
        assert!(!parse("test").is_name(b"test device"));
        assert!(DeviceName::parse(b"\n").is_err());
        assert!(DeviceName::parse(&[b'a'; 128]).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken_or_refused(text in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = Start::parse(&text);
            let _ = parse_trigger(&text);
            let _ = parse_timed_trigger(&text, 1);
            let _ = DeviceName::parse(&text);
        }

        #[test]
        fn what_is_taken_is_within_limits(test: u8, workers: u8, ms: u32) {
            let text = format!("{test} {workers} {ms}\n");
            let valid = test < 6 && (1..=32).contains(&workers) && (1..=86_400_000).contains(&ms);
            prop_assert_eq!(Start::parse(text.as_bytes()).is_ok(), valid);
        }
    }
}
