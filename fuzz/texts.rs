// SPDX-License-Identifier: GPL-2.0

//! Fuzzes texts that users write to the module: table lines, messages, attributes of the stress manager.
//!
//! The first byte chooses the parser. A text that is taken is within the limits of docs/interface.md. Its
//! values can be written as a new text, which is taken with equal values. A refusal names an argument of the
//! text, or a field of the attribute.

#![no_main]

mod attributes;

use libfuzzer_sys::fuzz_target;
use remap_core::{
    interface::{
        arguments::{
            Arguments,
            Error as ArgumentError, //
        },
        decimal,
        excerpt::Excerpt,
        message::{
            Error as MessageError,
            Message, //
        }, //
    },
    table::{
        geometry::SectorRange,
        settings::Setting, //
    }, //
};

/// Longest line that the kernel logs, less the words around an argument.
const MAX_SHOWN: usize = 900;

/// Start and length of targets on their mapped devices; the second byte of a message chooses one.
const TARGETS: [(u64, u64); 5] = [
    (0, 1000),
    (5000, 100),
    (0, u64::MAX),
    (u64::MAX - 9, 9),
    (1 << 40, 1 << 50),
];

fn words(text: &[u8]) -> Vec<&[u8]> {
    text.split(|byte| *byte == b' ').collect()
}

/// Parses a number with other code than the module.
fn number(word: &[u8]) -> Option<u64> {
    let digits = word.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(word).ok().filter(|_| digits)?;
    text.parse().ok()
}

/// Checks that a refusal names a word of the text, unless one is missing, and that the log has room for it.
fn check_argument(argument: &[u8], words: &[&[u8]], missing: bool) {
    assert!(missing || words.contains(&argument));
    let shown = Excerpt(argument).to_string();
    assert!(shown.len() < MAX_SHOWN && shown.bytes().all(|byte| (b' '..0x7f).contains(&byte)));
}

fn table_line(text: &[u8]) {
    let words = words(text);
    let arguments = match Arguments::parse(&words) {
        Ok(arguments) => arguments,
        Err(refusal) => {
            assert!(!refusal.error.text().is_empty());
            return check_argument(
                refusal.argument,
                &words,
                refusal.error == ArgumentError::Missing,
            );
        }
    };
    assert_eq!(Some(arguments.spare.start()), number(words[2]));
    assert_eq!(Some(arguments.spare.len()), number(words[3]));
    let count = words.get(4).map_or(Some(0), |word| number(word));
    assert_eq!(count, Some(words.len().saturating_sub(5) as u64));
    let behind = |option: &[u8]| {
        let at = words.iter().skip(5).position(|word| *word == option);
        at.map(|at| words[at + 6])
    };
    if let Some(block) = arguments.block_size {
        let sectors = u64::from(block.sectors());
        assert!(sectors.is_power_of_two() && sectors <= 2048);
        assert_eq!(behind(b"block_size").and_then(number), Some(sectors));
    }
    let start = behind(b"main_start").map_or(Some(0), number);
    assert_eq!(start, Some(arguments.main_start));
    let policy = behind(b"error_policy").unwrap_or(b"relocate");
    assert_eq!(policy, arguments.error_policy.word().as_bytes());
    for setting in Setting::ALL {
        let value = arguments.settings.get(setting);
        assert!(setting.range().contains(&value));
        let given =
            behind(setting.name().as_bytes()).map_or(Some(setting.default().into()), number);
        assert_eq!(given, Some(value.into()));
    }
    assert_eq!(arguments.volatile, words[4..].contains(&&b"volatile"[..]));
    assert_eq!(arguments.format, words[4..].contains(&&b"format"[..]));
    let printed = arguments.to_string();
    let name = |device| std::str::from_utf8(device).unwrap_or("?").as_bytes();
    let expected = Arguments {
        main_dev: name(arguments.main_dev),
        spare_dev: name(arguments.spare_dev),
        ..arguments
    };
    let again: Vec<&[u8]> = printed.as_bytes().split(|byte| *byte == b' ').collect();
    assert_eq!(Arguments::parse(&again), Ok(expected));
}

/// Returns a message as text, with sectors from the start of the mapped device.
fn written(message: &Message, begin: u64) -> String {
    let range = |range: &SectorRange| format!("{} {}", range.start() + begin, range.len());
    match message {
        Message::Ping => "ping".to_owned(),
        Message::Remap(sectors) => format!("remap {}", range(sectors)),
        Message::Bad(sectors) => format!("bad {}", range(sectors)),
        Message::Unremap(sectors) => format!("unremap {}", range(sectors)),
        Message::Verify(sector) => format!("verify {}", sector + begin),
        Message::List { from, max } => format!("list {} {max}", from + begin),
        Message::Pending { from, max } => format!("pending {} {max}", from + begin),
        Message::Retry => "retry".to_owned(),
        Message::Policy(policy) => format!("policy {}", policy.word()),
        Message::Set { setting, value } => format!("set {} {value}", setting.name()),
        Message::StartScrub { megabytes: None } => "scrub start".to_owned(),
        Message::StartScrub {
            megabytes: Some(pace),
        } => format!("scrub start {pace}"),
        Message::StopScrub => "scrub stop".to_owned(),
        Message::ScrubStatus => "scrub status".to_owned(),
        Message::Clear => "clear".to_owned(),
        Message::Save => "save".to_owned(),
        Message::Stats => "stats".to_owned(),
        Message::ResetStats => "stats reset".to_owned(),
    }
}

fn message(data: &[u8]) {
    let Some((&which, text)) = data.split_first() else {
        return;
    };
    let (begin, sectors) = TARGETS[usize::from(which) % TARGETS.len()];
    let target = SectorRange::new(begin, sectors).expect("a range");
    let words = words(text);
    let message = match Message::parse(&words, target) {
        Ok(message) => message,
        Err(refusal) => {
            assert!(!refusal.error.reason().is_empty());
            match refusal.error {
                MessageError::Number(_) => assert_eq!(number(refusal.argument), None),
                MessageError::OutsideTarget => assert!(number(refusal.argument).is_some()),
                MessageError::Setting(setting) => {
                    let range = setting.range();
                    let taken =
                        |value| u32::try_from(value).is_ok_and(|value| range.contains(&value));
                    assert!(!number(refusal.argument).is_some_and(taken));
                }
                _ => {}
            }
            return check_argument(refusal.argument, &words, false);
        }
    };
    match &message {
        Message::Remap(range) | Message::Bad(range) | Message::Unremap(range) => {
            assert!(!range.is_empty() && range.end() <= sectors);
            assert_eq!(number(words[1]), Some(begin + range.start()));
        }
        Message::Verify(sector) => assert!(*sector < sectors),
        Message::List { from, .. } | Message::Pending { from, .. } => {
            assert!(*from < sectors || words.len() == 1);
        }
        Message::StartScrub { megabytes } => assert_ne!(*megabytes, Some(0)),
        Message::Set { setting, value } => assert!(setting.range().contains(value)),
        _ => {}
    }
    let text = written(&message, begin);
    let words: Vec<&[u8]> = text.as_bytes().split(|byte| *byte == b' ').collect();
    assert_eq!(Message::parse(&words, target), Ok(message));
}

fn decimal_number(text: &[u8]) {
    assert_eq!(decimal::parse(text).ok(), number(text));
}

fuzz_target!(|data: &[u8]| {
    let Some((&parser, text)) = data.split_first() else {
        return;
    };
    match parser {
        b't' => table_line(text),
        b'm' => message(text),
        b'n' => decimal_number(text),
        parser => attributes::check(parser, text),
    }
});
