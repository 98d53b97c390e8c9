// SPDX-License-Identifier: GPL-2.0

//! Messages to a target: the words of `dmsetup message <dev> 0 ...`.

use crate::{
    interface::{
        arguments::ErrorPolicy,
        decimal, //
    },
    table::{
        geometry::SectorRange,
        settings::Setting, //
    }, //
};

/// Message, parsed and checked against the size of the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message {
    /// Answers `pong`.
    Ping,
    /// Moves the blocks that the range touches to the spare.
    Remap(SectorRange),
    /// Gives up the contents of the blocks that the range touches, and remaps them.
    Bad(SectorRange),
    /// Moves the remapped blocks that the range touches back to main.
    Unremap(SectorRange),
    /// Prints the place of a sector's block.
    Verify(u64),
    /// Lists remaps from a sector on.
    List {
        /// First sector of interest.
        from: u64,
        /// Largest number of entries to list.
        max: u64,
    },
    /// Lists pending blocks from a sector on.
    Pending {
        /// First sector of interest.
        from: u64,
        /// Largest number of entries to list.
        max: u64,
    },
    /// Tries to read pending blocks again.
    Retry,
    /// Sets the error policy.
    Policy(ErrorPolicy),
    /// Changes a setting.
    Set {
        /// Setting that changes.
        setting: Setting,
        /// New value, within its range.
        value: u32,
    },
    /// Starts a scrub, which reads the whole device.
    StartScrub {
        /// Limit of its speed in MB/s; `None` for the default.
        megabytes: Option<u64>,
    },
    /// Stops the scrub.
    StopScrub,
    /// Prints the progress of the scrub.
    ScrubStatus,
    /// Moves every remapped block back to main.
    Clear,
    /// Makes the metadata durable.
    Save,
    /// Prints the statistics.
    Stats,
    /// Sets the statistics to zero.
    ResetStats,
}

/// Reason why a message is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// No command has that name.
    UnknownCommand,
    /// The command takes more arguments, or fewer.
    ArgumentCount,
    /// The argument is not a number.
    Number(decimal::Error),
    /// Some of the sectors are outside of the target, or there are none.
    OutsideTarget,
    /// No such error policy.
    ErrorPolicy,
    /// The limit of the speed is zero.
    Pace,
    /// No setting has that name.
    UnknownSetting,
    /// The value of a setting is not within its range.
    Setting(Setting),
}

impl Error {
    /// Returns the reason in words, for a log line.
    pub const fn reason(self) -> &'static str {
        match self {
            Error::UnknownCommand => "unknown command",
            Error::ArgumentCount => "wrong number of arguments",
            Error::Number(why) => why.reason(),
            Error::OutsideTarget => "not within the target",
            Error::ErrorPolicy => "not relocate, record or off",
            Error::Pace => "not a pace in MB/s",
            Error::UnknownSetting => "unknown setting",
            Error::Setting(setting) => match setting.refusal().to_str() {
                Ok(text) => text,
                Err(_) => "not within the range",
            },
        }
    }
}

/// Refusal of a message, with the argument that caused it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageRefusal<'a> {
    /// Argument as the user wrote it.
    pub argument: &'a [u8],
    /// Reason of the refusal.
    pub error: Error,
}

impl Message {
    /// Parses the words of a message to a target that has the sectors `target` of its mapped device. Sectors in
    /// `words` are counted on the mapped device, those in the result in the target.
    pub fn parse<'a>(words: &[&'a [u8]], target: SectorRange) -> Result<Self, MessageRefusal<'a>> {
        let command = words.first().copied().unwrap_or(b"");
        match words {
            [b"ping"] => Ok(Message::Ping),
            [b"remap", range @ ..] => select(command, range, target).map(Message::Remap),
            [b"bad", range @ ..] => select(command, range, target).map(Message::Bad),
            [b"unremap", range @ ..] => select(command, range, target).map(Message::Unremap),
            [b"verify", sector] => on_target(sector, target).map(Message::Verify),
            [b"list", page @ ..] if page.len() <= 2 => {
                let (from, max) = select_page(page, target)?;
                Ok(Message::List { from, max })
            }
            [b"pending", page @ ..] if page.len() <= 2 => {
                let (from, max) = select_page(page, target)?;
                Ok(Message::Pending { from, max })
            }
            [b"retry"] => Ok(Message::Retry),
            [b"policy", word] => {
                let policy = ErrorPolicy::from_word(word).ok_or(MessageRefusal {
                    argument: word,
                    error: Error::ErrorPolicy,
                });
                policy.map(Message::Policy)
            }
            [b"set", name, value] => set(name, value),
            [b"scrub", words @ ..] => scrub(command, words),
            [b"clear"] => Ok(Message::Clear),
            [b"save"] => Ok(Message::Save),
            [b"stats"] => Ok(Message::Stats),
            [b"stats", b"reset"] => Ok(Message::ResetStats),
            [b"ping" | b"verify" | b"list" | b"pending" | b"retry" | b"policy" | b"clear"
            | b"save" | b"stats" | b"set", ..] => Err(MessageRefusal {
                argument: command,
                error: Error::ArgumentCount,
            }),
            _ => Err(MessageRefusal {
                argument: command,
                error: Error::UnknownCommand,
            }),
        }
    }
}

fn number(text: &[u8]) -> Result<u64, MessageRefusal<'_>> {
    decimal::parse(text).map_err(|why| MessageRefusal {
        argument: text,
        error: Error::Number(why),
    })
}

/// Parses a sector on the mapped device, and returns the sector in the target.
fn on_target(text: &[u8], target: SectorRange) -> Result<u64, MessageRefusal<'_>> {
    match number(text)?.checked_sub(target.start()) {
        Some(sector) if sector < target.len() => Ok(sector),
        _ => Err(MessageRefusal {
            argument: text,
            error: Error::OutsideTarget,
        }),
    }
}

/// Parses `[<sector> [<max>]]`: the first sector of a list, and its largest number of lines.
fn select_page<'a>(
    words: &[&'a [u8]],
    target: SectorRange,
) -> Result<(u64, u64), MessageRefusal<'a>> {
    let from = words
        .first()
        .map_or(Ok(0), |word| on_target(word, target))?;
    let max = words.get(1).map_or(Ok(u64::MAX), |word| number(word))?;
    Ok((from, max))
}

/// Parses the words behind `set`.
fn set<'a>(name: &'a [u8], value: &'a [u8]) -> Result<Message, MessageRefusal<'a>> {
    let setting = Setting::from_name(name).ok_or(MessageRefusal {
        argument: name,
        error: Error::UnknownSetting,
    })?;
    let value = setting.parse(value).ok_or(MessageRefusal {
        argument: value,
        error: Error::Setting(setting),
    })?;
    Ok(Message::Set { setting, value })
}

/// Parses the words behind `scrub`.
fn scrub<'a>(command: &'a [u8], words: &[&'a [u8]]) -> Result<Message, MessageRefusal<'a>> {
    match *words {
        [b"start"] => Ok(Message::StartScrub { megabytes: None }),
        [b"start", pace] => match number(pace)? {
            0 => Err(MessageRefusal {
                argument: pace,
                error: Error::Pace,
            }),
            megabytes => Ok(Message::StartScrub {
                megabytes: Some(megabytes),
            }),
        },
        [b"stop"] => Ok(Message::StopScrub),
        [b"status"] => Ok(Message::ScrubStatus),
        [b"start" | b"stop" | b"status", ..] | [] => Err(MessageRefusal {
            argument: command,
            error: Error::ArgumentCount,
        }),
        [word, ..] => Err(MessageRefusal {
            argument: word,
            error: Error::UnknownCommand,
        }),
    }
}

/// Parses `<sector> [<count>]`: a range of sectors.
fn select<'a>(
    command: &'a [u8],
    words: &[&'a [u8]],
    target: SectorRange,
) -> Result<SectorRange, MessageRefusal<'a>> {
    let (first, count) = match *words {
        [first] => (first, None),
        [first, count] => (first, Some(count)),
        _ => {
            return Err(MessageRefusal {
                argument: command,
                error: Error::ArgumentCount,
            })
        }
    };
    let start = on_target(first, target)?;
    let len = count.map_or(Ok(1), number)?;
    match SectorRange::new(start, len) {
        Some(range) if len > 0 && range.fits(target.len()) => Ok(range),
        _ => Err(MessageRefusal {
            argument: count.unwrap_or(first),
            error: Error::OutsideTarget,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn range(start: u64, len: u64) -> SectorRange {
        SectorRange::new(start, len).unwrap()
    }

    fn parse(text: &str) -> Result<Message, Error> {
        let words: Vec<&[u8]> = text.split(' ').map(str::as_bytes).collect();
        Message::parse(&words, range(0, 1000)).map_err(|refusal| refusal.error)
    }

    #[test]
    fn takes_every_message() {
        assert_eq!(parse("ping"), Ok(Message::Ping));
        assert_eq!(parse("remap 999"), Ok(Message::Remap(range(999, 1))));
        assert_eq!(parse("remap 0 1000"), Ok(Message::Remap(range(0, 1000))));
        assert_eq!(parse("unremap 8 1"), Ok(Message::Unremap(range(8, 1))));
        assert_eq!(parse("bad 992 8"), Ok(Message::Bad(range(992, 8))));
        assert_eq!(parse("verify 5"), Ok(Message::Verify(5)));
        assert_eq!(parse("retry"), Ok(Message::Retry));
        for policy in [ErrorPolicy::Relocate, ErrorPolicy::Record, ErrorPolicy::Off] {
            let text = std::format!("policy {}", policy.word());
            let words: Vec<&[u8]> = text.split(' ').map(str::as_bytes).collect();
            let parsed = Message::parse(&words, range(0, 1000));
            assert_eq!(parsed, Ok(Message::Policy(policy)));
        }
        assert_eq!(
            parse("pending 7 3"),
            Ok(Message::Pending { from: 7, max: 3 })
        );
        assert_eq!(
            parse("scrub start"),
            Ok(Message::StartScrub { megabytes: None })
        );
        assert_eq!(
            parse("scrub start 30"),
            Ok(Message::StartScrub {
                megabytes: Some(30)
            })
        );
        for setting in Setting::ALL {
            let value = setting.default();
            let text = std::format!("set {} {value}", setting.name());
            let words: Vec<&[u8]> = text.split(' ').map(str::as_bytes).collect();
            let parsed = Message::parse(&words, range(0, 1000));
            assert_eq!(parsed, Ok(Message::Set { setting, value }));
        }
        assert_eq!(parse("scrub stop"), Ok(Message::StopScrub));
        assert_eq!(parse("scrub status"), Ok(Message::ScrubStatus));
        assert_eq!(
            parse("list"),
            Ok(Message::List {
                from: 0,
                max: u64::MAX
            })
        );
        assert_eq!(parse("list 7 3"), Ok(Message::List { from: 7, max: 3 }));
        assert_eq!(parse("clear"), Ok(Message::Clear));
        assert_eq!(parse("save"), Ok(Message::Save));
        assert_eq!(parse("stats"), Ok(Message::Stats));
        assert_eq!(parse("stats reset"), Ok(Message::ResetStats));
    }

    #[test]
    fn sectors_count_from_the_start_of_the_device() {
        let second = range(5000, 100);
        let parse = |text: &'static str| {
            let words: Vec<&[u8]> = text.split(' ').map(str::as_bytes).collect();
            Message::parse(&words, second).map_err(|refusal| refusal.error)
        };
        assert_eq!(parse("remap 5000 100"), Ok(Message::Remap(range(0, 100))));
        assert_eq!(parse("verify 5099"), Ok(Message::Verify(99)));
        assert_eq!(parse("verify 4999"), Err(Error::OutsideTarget));
        assert_eq!(parse("verify 5100"), Err(Error::OutsideTarget));
        assert_eq!(parse("remap 5000 101"), Err(Error::OutsideTarget));
    }

    #[test]
    fn refuses_with_the_reason() {
        let cases = [
            ("", Error::UnknownCommand),
            ("PING", Error::UnknownCommand),
            ("remap", Error::ArgumentCount),
            ("remap 1 2 3", Error::ArgumentCount),
            ("ping 1", Error::ArgumentCount),
            ("stats all", Error::ArgumentCount),
            ("save now", Error::ArgumentCount),
            ("bad", Error::ArgumentCount),
            ("bad 992 9", Error::OutsideTarget),
            ("pending 1 2 3", Error::ArgumentCount),
            ("retry 1", Error::ArgumentCount),
            ("policy", Error::ArgumentCount),
            ("policy none", Error::ErrorPolicy),
            ("set", Error::ArgumentCount),
            ("set tries", Error::ArgumentCount),
            ("set tries 1 2", Error::ArgumentCount),
            ("set try 1", Error::UnknownSetting),
            ("set tries 11", Error::Setting(Setting::Tries)),
            ("set tries -1", Error::Setting(Setting::Tries)),
            ("scrub", Error::ArgumentCount),
            ("scrub now", Error::UnknownCommand),
            ("scrub stop 1", Error::ArgumentCount),
            ("scrub start 0", Error::Pace),
            ("scrub start 1 2", Error::ArgumentCount),
            ("scrub start x", Error::Number(decimal::Error::NotDecimal)),
            ("remap x", Error::Number(decimal::Error::NotDecimal)),
            ("remap -1", Error::Number(decimal::Error::NotDecimal)),
            (
                "remap 99999999999999999999",
                Error::Number(decimal::Error::TooLarge),
            ),
            ("remap 1000", Error::OutsideTarget),
            ("remap 0 0", Error::OutsideTarget),
            ("remap 999 2", Error::OutsideTarget),
            ("remap 1 18446744073709551615", Error::OutsideTarget),
            ("verify 1000", Error::OutsideTarget),
            ("list 1000", Error::OutsideTarget),
        ];
        for (text, error) in cases {
            assert_eq!(parse(text), Err(error), "{text}");
        }
    }
}
