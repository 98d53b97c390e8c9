// SPDX-License-Identifier: GPL-2.0

//! What a history is like: drawn from its seed, so that histories differ in kind.

use machine::{c, random::Random, scheduler::Policy};

/// What a history is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Anything, without power cuts.
    Swarm,
    /// Anything, with power cuts.
    Crash,
    /// Blocks go to and fro under writes; nothing fails.
    Move,
    /// Lost sectors are written while their block moves.
    Fill,
}

impl Kind {
    pub(crate) const ALL: [Self; 4] = [Self::Swarm, Self::Crash, Self::Move, Self::Fill];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Swarm => "swarm",
            Self::Crash => "crash",
            Self::Move => "move",
            Self::Fill => "fill",
        }
    }
}

/// How a history is set up.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) kind: Kind,
    pub(crate) policy: Policy,
    pub(crate) stalls: u64,
    pub(crate) block: u64,
    pub(crate) logical: u64,
    pub(crate) sectors: u64,
    pub(crate) main_start: u64,
    pub(crate) spare_start: u64,
    pub(crate) spare_len: u64,
    pub(crate) volatile: bool,
    pub(crate) error_policy: &'static str,
    pub(crate) submitters: u64,
    pub(crate) operations: u64,
    /// Most sectors of a bio.
    pub(crate) longest: u64,
    /// Bios go to so many sectors only.
    pub(crate) hot: u64,
    /// Nanoseconds between two bios of a submitter at most.
    pub(crate) pause: u64,
    pub(crate) discards: bool,
    pub(crate) messengers: u64,
    pub(crate) messages: Vec<&'static str>,
    pub(crate) suspends: bool,
    pub(crate) reloads: bool,
    pub(crate) faults: Vec<Fault>,
    pub(crate) statuses: Vec<u8>,
    pub(crate) mends: bool,
    pub(crate) failing_allocations: u64,
    pub(crate) signals: u64,
    pub(crate) latency: (u64, u64),
    pub(crate) slow: u64,
    /// Power cuts.
    pub(crate) cuts: u64,
}

/// A way to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    MainUnreadable,
    MainUnwritable,
    MainTransient,
    MainOutage,
    MainStall,
    SpareUnreadable,
    SpareUnwritable,
    SpareTransient,
    SpareOutage,
    SpareStall,
}

const FAULTS: [Fault; 10] = [
    Fault::MainUnreadable,
    Fault::MainUnwritable,
    Fault::MainTransient,
    Fault::MainOutage,
    Fault::MainStall,
    Fault::SpareUnreadable,
    Fault::SpareUnwritable,
    Fault::SpareTransient,
    Fault::SpareOutage,
    Fault::SpareStall,
];

const MESSAGES: [&str; 14] = [
    "remap", "unremap", "bad", "clear", "retry", "save", "verify", "list", "pending", "policy",
    "scrub", "status", "stats", "nonsense",
];

const STATUSES: [u8; 8] = [
    c::BLK_STS_MEDIUM,
    c::BLK_STS_IOERR,
    c::BLK_STS_TRANSPORT,
    c::BLK_STS_TIMEOUT,
    c::BLK_STS_TARGET,
    c::BLK_STS_RESOURCE,
    c::BLK_STS_OFFLINE,
    c::BLK_STS_PROTECTION,
];

fn some<T: Copy>(random: &mut Random, of: &[T], permille: u64) -> Vec<T> {
    of.iter()
        .filter(|_| random.permille(permille))
        .copied()
        .collect()
}

impl Settings {
    /// The settings of a seed.
    pub(crate) fn draw(kind: Kind, random: &mut Random) -> Self {
        let policy = if random.one_in(3) {
            Policy::Priority(random.between(1, 20) as u32)
        } else {
            Policy::Random(random.between(1, 7) as u32)
        };
        let block = random.of(&[1_u64, 2, 4, 8, 8, 16]);
        let logical = if block >= 8 && random.one_in(6) { 8 } else { 1 };
        let volatile = matches!(kind, Kind::Swarm | Kind::Move) && random.one_in(3);
        let blocks = random.between(2, 14);
        let cut = if random.one_in(4) {
            random.below(block) / logical * logical
        } else {
            0
        };
        let slots = random.between(2, 10);
        let spare_start = random.of(&[0_u64, 8, 24]);
        let spare_len = if volatile {
            slots * block
        } else {
            32_u64.next_multiple_of(block) + slots * block + 32
        };
        let sectors = blocks * block - cut;
        let faulty = kind != Kind::Move && !random.one_in(5);
        let mut settings = Self {
            kind,
            policy,
            stalls: random.of(&[0, 0, 8, 64]),
            block,
            logical,
            sectors,
            main_start: random.of(&[0, 8]),
            spare_start,
            spare_len: spare_len.next_multiple_of(logical.max(8)),
            volatile,
            error_policy: if random.one_in(8) {
                random.of(&["record", "off"])
            } else {
                "relocate"
            },
            submitters: random.between(1, 5),
            operations: random.between(20, 60),
            longest: random.of(&[1, block, 2 * block, 4 * block]).max(logical),
            hot: if random.one_in(2) {
                random.between(1, 2 * block).max(logical).min(sectors)
            } else {
                sectors
            },
            pause: random.of(&[0, 10_000, 200_000, 2_000_000]),
            discards: random.one_in(3),
            messengers: random.below(3),
            messages: some(random, &MESSAGES, 500),
            suspends: random.one_in(3),
            reloads: !volatile && random.one_in(2),
            faults: if faulty {
                some(random, &FAULTS, 300)
            } else {
                Vec::new()
            },
            statuses: some(random, &STATUSES, 400),
            mends: random.one_in(2),
            failing_allocations: if faulty && random.one_in(5) {
                random.of(&[1, 10, 100])
            } else {
                0
            },
            signals: if random.one_in(8) { 20 } else { 0 },
            latency: random.of(&[(1_000, 5_000), (20_000, 200_000), (100_000, 8_000_000)]),
            slow: random.of(&[0, 0, 10, 50]),
            cuts: if kind == Kind::Crash {
                random.between(1, 3)
            } else {
                0
            },
        };
        if settings.statuses.is_empty() {
            settings.statuses.push(c::BLK_STS_MEDIUM);
        }
        if kind == Kind::Move {
            settings.messengers = random.between(1, 2);
            settings.messages = vec!["remap", "unremap"];
            settings.hot = random.between(1, 2 * block).max(logical).min(sectors);
        }
        if kind == Kind::Fill {
            settings.cuts = if random.one_in(3) {
                random.between(1, 2)
            } else {
                0
            };
            settings.error_policy = "relocate";
            settings.faults.retain(|fault| {
                matches!(
                    fault,
                    Fault::MainOutage
                        | Fault::SpareOutage
                        | Fault::SpareTransient
                        | Fault::SpareStall
                )
            });
        }
        settings
    }

    /// The table line. What slots hold before is no data of anybody's, so an area is formatted in any case
    /// when it is new.
    pub(crate) fn line(&self, new: bool) -> String {
        let mut options = vec!["block_size".to_owned(), self.block.to_string()];
        if self.main_start > 0 {
            options.extend(["main_start".to_owned(), self.main_start.to_string()]);
        }
        if self.volatile {
            options.push("volatile".to_owned());
        }
        if new && !self.volatile {
            options.push("format".to_owned());
        }
        if self.error_policy != "relocate" {
            options.extend(["error_policy".to_owned(), self.error_policy.to_owned()]);
        }
        format!(
            "8:0 8:1 {} {} {} {}",
            self.spare_start,
            self.spare_len,
            options.len(),
            options.join(" ")
        )
    }

    /// Where slots begin on the spare device, and where they end.
    pub(crate) fn slots(&self) -> (u64, u64) {
        if self.volatile {
            (self.spare_start, self.spare_start + self.spare_len)
        } else {
            (
                self.spare_start + 32_u64.next_multiple_of(self.block),
                self.spare_start + self.spare_len - 32,
            )
        }
    }
}
