// SPDX-License-Identifier: GPL-2.0

//! Mistakes of users: messages and table lines that are nearly right, are refused, and change nothing.
//!
//! The forms that docs/interface.md has are written down here once more. A text that they might allow,
//! whatever the size of the table, is no mistake.

use machine::{
    c,
    fail,
    mapper::{number_of, words, MappedDevice},
    random::Random,
    scheduler::{self, world},
    trace, //
};
use remap_core::interface::excerpt::Excerpt;

use crate::{
    errno::{EAGAIN, EBUSY, EINVAL, ENODEV, ENOMEM, ENXIO},
    settings::NUMBERS as SETTINGS,
    unit::Unit,
};

/// Minor number of a mapped device that no unit has.
const ANOTHER: i32 = 9;

/// Most bytes of a line that the kernel's log keeps.
const LOG_LINE: usize = 992;

/// Commands that are spoiled.
const COMMANDS: [&str; 13] = [
    "remap", "unremap", "bad", "verify", "list", "pending", "policy", "scrub", "clear", "retry",
    "save", "stats", "set",
];

/// Numbers at the ends of what fits 64 bits, and what is none at all.
const NUMBERS: [&str; 12] = [
    "0",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "99999999999999999999999999999999",
    "-1",
    "+1",
    "0x10",
    "1.5",
    "8k",
    "1e3",
    "',",
];

/// State that a mistake leaves as it is where nothing else happens.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    texts: [String; 2],
    replies: Vec<Result<String, i32>>,
    /// Of main, and of the spare where no other device has it.
    requests: (u64, u64),
    given: (u64, u64),
    events: u64,
}

fn number(word: &[u8]) -> Option<u64> {
    let digits = word.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(word).ok().filter(|_| digits)?;
    text.parse().ok()
}

/// Returns whether a setting has that name, and takes that value.
fn is_setting(name: &[u8], value: &[u8]) -> bool {
    let takes = |value| {
        SETTINGS
            .iter()
            .any(|(known, range)| known.as_bytes() == name && range.contains(&value))
    };
    number(value).is_some_and(takes)
}

/// Spoils one of the words.
fn spoil(words: &mut Vec<Vec<u8>>, random: &mut Random) {
    let at = random.below(words.len() as u64) as usize;
    match random.below(8) {
        0 => drop(words.remove(at)),
        1 => words.insert(at, words[at].clone()),
        2 => words[at] = random.of(&NUMBERS).into(),
        3 => words.push(random.of(&NUMBERS).into()),
        4 => words[at].insert(0, random.of(b"-+0x 1")),
        5 => words[at].push(random.of(b"-+x19k\xc3\x7f")),
        6 => {
            let bytes = (0..random.between(1, 8)).map(|_| random.between(1, 255) as u8);
            // A backslash is not for the target, but for device-mapper.
            words[at] = bytes.filter(|byte| *byte != b'\\').collect();
        }
        _ => {
            let times = random.between(100, 1000) as usize;
            words[at] = words[at].repeat(times);
        }
    }
}

/// Spoils a text once or more often, until it `is_wrong`.
fn spoilt(text: &str, random: &mut Random, is_wrong: impl Fn(&[&[u8]]) -> bool) -> Vec<u8> {
    loop {
        let mut spoilt: Vec<Vec<u8>> = text.split(' ').map(Into::into).collect();
        for _ in 0..random.between(1, 2) {
            if !spoilt.is_empty() {
                spoil(&mut spoilt, random);
            }
        }
        let line = spoilt.join(&b' ');
        if is_wrong(&words(&line)) {
            return line;
        }
    }
}

impl Unit {
    /// Returns whether some table might take a message of these words.
    fn may_be_message(&self, words: &[&[u8]]) -> bool {
        let begin = self.settings.begin;
        let end = begin + self.settings.most_sectors;
        let sector = |word| number(word).filter(|sector| (begin..end).contains(sector));
        match *words {
            [b"ping" | b"retry" | b"clear" | b"save" | b"stats" | b"list" | b"pending"] => true,
            [b"stats", b"reset"] => true,
            [b"remap" | b"bad" | b"unremap" | b"verify" | b"list" | b"pending", from] => {
                sector(from).is_some()
            }
            [b"remap" | b"bad" | b"unremap", first, count] => {
                let (first, count) = (sector(first), number(count));
                first.is_some_and(|first| {
                    count.is_some_and(|count| count > 0 && count <= end - first)
                })
            }
            [b"list" | b"pending", from, most] => sector(from).is_some() && number(most).is_some(),
            [b"policy", b"relocate" | b"record" | b"off"] => true,
            [b"scrub", b"start" | b"stop" | b"status"] => true,
            [b"set", name, value] => is_setting(name, value),
            [b"scrub", b"start", pace] => number(pace).is_some_and(|pace| pace > 0),
            _ => false,
        }
    }

    /// Returns whether some table might be loaded with these words.
    fn may_be_line(&self, words: &[&[u8]]) -> bool {
        let [main, spare, start, len, ref rest @ ..] = *words else {
            return false;
        };
        let device = self.device();
        let disk = |word| number_of(word).and_then(|number| device.disks.get(number).copied());
        let (Some(main), Some(spare)) = (disk(main), disk(spare)) else {
            return false;
        };
        if !std::ptr::eq(main, self.main()) || !std::ptr::eq(spare, self.spare()) {
            return true;
        }
        let within = |start: Option<u64>, len: Option<u64>, most: u64| {
            let end = start.and_then(|start| start.checked_add(len?));
            end.is_some_and(|end| end <= most)
        };
        within(number(start), number(len), self.spare().sectors()) && self.may_be_options(rest)
    }

    fn may_be_options(&self, words: &[&[u8]]) -> bool {
        let [count, ref options @ ..] = *words else {
            return true;
        };
        let mut known: Vec<&[u8]> = Vec::new();
        let mut options_left = options;
        while let [option, ref rest @ ..] = *options_left {
            let value = rest.first().copied().unwrap_or_default();
            let (right, taken) = match option {
                b"volatile" | b"format" => (true, 0),
                b"main_start" => (
                    // As long as the table is not shorter than a sector.
                    number(value).is_some_and(|start| start < self.main().sectors()),
                    1,
                ),
                b"block_size" => (
                    number(value).is_some_and(|size| size.is_power_of_two() && size <= 2048),
                    1,
                ),
                b"error_policy" => (matches!(value, b"relocate" | b"record" | b"off"), 1),
                name => (is_setting(name, value), 1),
            };
            if !right || known.contains(&option) || rest.len() < taken {
                return false;
            }
            known.push(option);
            options_left = &rest[taken..];
        }
        number(count) == Some(options.len() as u64)
    }

    /// Sends a message that is a mistake.
    pub(crate) fn send_mistake(&'static self) -> Vec<u8> {
        let (first, len) = self.some_sectors();
        let command = world().random.of(&COMMANDS);
        let message = self.text_of(command, first, len);
        let text = spoilt(&message, &mut world().random, |words| {
            !words.is_empty() && !self.may_be_message(words)
        });
        let was_short = self.is_short_of_memory();
        let since = scheduler::listen();
        let answer = self.send_bytes(&text);
        let lines = scheduler::heard(since);
        match answer {
            Err(EINVAL) => self.check_refusal("message", &text, &lines),
            Err(ENOMEM) if was_short || self.is_short_of_memory() => {}
            // There is no table, or one that was never resumed.
            Err(ENXIO) if self.absent_at.get() == u64::MAX => {}
            Err(EAGAIN) if lines.iter().any(|line| line.ends_with("was never resumed")) => {}
            answer => fail!(
                "'{}' is answered with {answer:?}",
                String::from_utf8_lossy(&text)
            ),
        }
        text
    }

    /// Loads a table whose line is a mistake.
    pub(crate) fn load_mistake(&'static self, sectors: u64) {
        let line = self.line(world().random.one_in(2));
        let text = spoilt(&line, &mut world().random, |words| !self.may_be_line(words));
        trace!("table '{}'", String::from_utf8_lossy(&text));
        self.load_refused(&self.device(), sectors, &text, &[EINVAL, ENODEV]);
    }

    /// As above, before every fourth table that is loaded.
    pub(crate) fn load_mistake_now_and_then(&'static self, sectors: u64) {
        if world().random.one_in(4) {
            self.load_mistake(sectors);
        }
    }

    /// Fails where a refusal is not one line of the log, with an argument of the text and a reason.
    fn check_refusal(&self, what: &str, text: &[u8], lines: &[String]) {
        let arguments = words(text);
        let says_why = |line: &str| {
            let behind = line.split_once(&format!("{what} refused: '"))?.1;
            let (argument, reason) = behind.rsplit_once("': ")?;
            let of_text = |word: &&[u8]| Excerpt(word).to_string() == argument;
            // Of a line that is too short there is none.
            let lacks = argument.is_empty() && what == "table" && arguments.len() < 4;
            let named = lacks || arguments.iter().any(of_text);
            (named && !reason.is_empty() && line.len() <= LOG_LINE).then_some(())
        };
        match lines {
            [line] if says_why(line).is_some() => {}
            lines => fail!(
                "'{}' is refused with {lines:?}",
                String::from_utf8_lossy(text)
            ),
        }
    }

    /// Sends a message that is a mistake, by the only sender. Only messages move blocks as a user wants.
    pub(crate) fn send_mistake_alone(&'static self) {
        let settings = &self.settings;
        let changes = settings.suspends || settings.reloads;
        let alone = settings.messengers == 1
            && !(changes || settings.resizes || settings.removals || settings.grows());
        let seen = || {
            let counters = ["manual_remaps", "unremaps"].map(|name| self.counter(name));
            (
                counters,
                self.device().status(c::status_type_t_STATUSTYPE_TABLE),
            )
        };
        let before = alone.then(seen);
        let text = self.send_mistake();
        if before.is_some() && before != alone.then(seen) {
            fail!("'{}' has changed something", String::from_utf8_lossy(&text));
        }
    }

    fn look(&'static self) -> Seen {
        let begin = self.settings.begin;
        let list = [format!("list {begin}"), format!("pending {begin}")];
        let asked = ["stats", "scrub status", &list[0], &list[1]];
        let device = self.device();
        Seen {
            texts: [
                c::status_type_t_STATUSTYPE_INFO,
                c::status_type_t_STATUSTYPE_TABLE,
            ]
            .map(|kind| device.status(kind)),
            replies: asked.into_iter().map(|text| self.send(text)).collect(),
            requests: (
                self.main().requests,
                self.spare().requests * u64::from(self.settings.units == 1),
            ),
            given: device.given(),
            events: device.events.get(),
        }
    }

    /// Loads a table that is refused with one of `errors`, or finds no memory.
    fn load_refused(&self, device: &MappedDevice, sectors: u64, text: &[u8], errors: &[i32]) {
        let was_short = self.is_short_of_memory();
        let since = scheduler::listen();
        let loaded = device.load(sectors, text, false);
        let lines = scheduler::heard(since);
        match loaded.map(drop) {
            Err(error) if errors.contains(&error) => self.check_refusal("table", text, &lines),
            Err(ENOMEM) if was_short || self.is_short_of_memory() => {}
            answer => fail!(
                "the table '{}' is answered with {answer:?}",
                String::from_utf8_lossy(text)
            ),
        }
    }

    /// Loads a table of another device over the spare area, which is in use.
    fn load_on_another_device(&'static self) {
        let disks = self.disks.clone();
        let device = MappedDevice::new(ANOTHER, self.settings.begin, c::registered(), disks);
        let line = self.line(false);
        self.load_refused(&device, self.sectors.get(), line.as_bytes(), &[EBUSY]);
        device.delete();
    }

    /// Makes mistakes while nothing else happens, and fails where they change anything.
    pub(crate) fn check_mistakes(&'static self) {
        if self
            .send("scrub status")
            .is_ok_and(|reply| reply.starts_with("running"))
        {
            return;
        }
        let before = self.look();
        for _ in 0..world().random.between(1, 3) {
            self.send_mistake();
        }
        self.load_mistake(self.sectors.get());
        self.load_on_another_device();
        let after = self.look();
        if before != after {
            fail!("mistakes have changed {before:?} to {after:?}");
        }
    }
}
