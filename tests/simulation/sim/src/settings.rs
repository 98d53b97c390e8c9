// SPDX-License-Identifier: GPL-2.0

//! Settings of a history: drawn from its seed, so that histories differ.

use std::{
    cell::Cell,
    ops::{Range, RangeInclusive},
};

use machine::{c, random::Random, scheduler::Policy};
use remap_core::{
    metadata::{
        entry::{Bitmaps, Shape},
        layout::Layout,
        LOST_UNIT,
    },
    table::geometry::BlockSize,
};

use crate::kind::Kind;

/// What happens to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dooms {
    /// An allocation fails.
    Allocations,
    /// A request of a disk fails.
    Requests,
    /// A request of the metadata fails, and the power is cut at the end of the script.
    Metadata,
    /// The power is cut when a request is submitted.
    Power,
}

/// Which calls of a script are doomed.
#[derive(Clone, Debug)]
pub(crate) struct Nth {
    pub(crate) dooms: Dooms,
    /// The first one, counted from 1, and how many.
    pub(crate) first: u64,
    pub(crate) count: u64,
}

impl Nth {
    /// Ways to doom calls.
    pub(crate) const WAYS: u64 = 6;
    /// More than a script has calls.
    pub(crate) const MOST: u64 = 1 << 12;

    /// The seed of call `n` in a way and a variation of the script.
    pub(crate) fn seed(variation: u64, way: u64, n: u64) -> u64 {
        (variation * Self::WAYS + way) * Self::MOST + n
    }

    pub(crate) fn variation(seed: u64) -> u64 {
        seed / Self::MOST / Self::WAYS
    }

    fn of(seed: u64) -> Self {
        let (dooms, count) = match seed / Self::MOST % Self::WAYS {
            0 => (Dooms::Allocations, 1),
            1 => (Dooms::Allocations, u64::MAX),
            2 => (Dooms::Requests, 1),
            3 => (Dooms::Requests, u64::MAX),
            4 => (Dooms::Metadata, u64::MAX),
            _ => (Dooms::Power, 1),
        };
        Self {
            dooms,
            first: seed % Self::MOST,
            count,
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
    /// Sectors of the longest table.
    pub(crate) most_sectors: u64,
    /// Where the target begins in its table.
    pub(crate) begin: u64,
    /// Devices.
    pub(crate) units: u64,
    pub(crate) main_start: u64,
    pub(crate) spare_start: u64,
    pub(crate) spare_len: Cell<u64>,
    /// Sectors of the longest spare area.
    pub(crate) most_spare_len: u64,
    /// Pages in the head of the spare area, if it has grown.
    pub(crate) head_pages: Cell<Option<u32>>,
    pub(crate) volatile: bool,
    /// The spare area is of version 1 at first.
    pub(crate) old_format: bool,
    pub(crate) error_policy: &'static str,
    /// Names and values of settings in the table line.
    pub(crate) numbers: Vec<(&'static str, u64)>,
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
    pub(crate) resizes: bool,
    pub(crate) removals: bool,
    pub(crate) faults: Vec<Fault>,
    pub(crate) statuses: Vec<u8>,
    /// Statuses of bad sectors.
    pub(crate) bad_statuses: Vec<u8>,
    pub(crate) mends: bool,
    /// Of 1000 reads that the submitter can do without, so many are declined.
    pub(crate) declines: u64,
    pub(crate) failing_allocations: u64,
    pub(crate) signals: u64,
    pub(crate) latency: (u64, u64),
    pub(crate) slow: u64,
    /// Power cuts.
    pub(crate) cuts: u64,
    /// Metadata is damaged between lives.
    pub(crate) damages: bool,
    pub(crate) nth: Option<Nth>,
    /// The life in which calls are doomed.
    pub(crate) faulty_life: u64,
    /// Those who write to the attributes of the stress manager and read them.
    pub(crate) shells: u64,
    /// Those who open the device, and do something with it.
    pub(crate) openers: u64,
    /// The module is unloaded while all that goes on.
    pub(crate) unloads: bool,
    /// Pages of memory.
    pub(crate) ram: u64,
    /// Whoever claims a device keeps writers out.
    pub(crate) restricts_writers: bool,
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
    MainTimeOut,
    SpareTimeOut,
    MainGone,
    SpareGone,
    BothOutage,
}

impl Fault {
    /// Returns whether requests hang, and time out after half a minute or not.
    pub(crate) fn hangs(self) -> bool {
        matches!(
            self,
            Self::MainStall | Self::SpareStall | Self::MainTimeOut | Self::SpareTimeOut
        )
    }

    pub(crate) fn is_of_main(self) -> bool {
        matches!(
            self,
            Self::MainUnreadable
                | Self::MainUnwritable
                | Self::MainTransient
                | Self::MainOutage
                | Self::MainStall
                | Self::MainTimeOut
                | Self::MainGone
        )
    }
}

const FAULTS: [Fault; 15] = [
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
    Fault::MainTimeOut,
    Fault::SpareTimeOut,
    Fault::MainGone,
    Fault::SpareGone,
    Fault::BothOutage,
];

const MESSAGES: [&str; 14] = [
    "remap", "unremap", "bad", "clear", "retry", "save", "verify", "list", "pending", "policy",
    "scrub", "status", "stats", "mistake",
];

/// Names and ranges of settings, as docs/interface.md has them.
pub(crate) const NUMBERS: [(&str, RangeInclusive<u64>); 7] = [
    ("tries", 2..=10),
    ("breaker_count", 1..=65_536),
    ("breaker_window", 1..=3_600_000),
    ("probe_min", 1..=3_600_000),
    ("probe_max", 1..=3_600_000),
    ("scrub_interval", 0..=31_536_000),
    ("retry_interval", 0..=31_536_000),
];

/// Returns a number of a range, a small one most of the time.
fn some_number(range: &RangeInclusive<u64>, random: &mut Random) -> u64 {
    let most = random.of(&[3, 100, *range.end()]).min(*range.end());
    random.between(*range.start(), most)
}

/// Returns the words behind `set` for some setting.
pub(crate) fn some_setting(random: &mut Random) -> String {
    let (name, range) = random.of(&NUMBERS.each_ref());
    format!("{name} {}", some_number(range, random))
}

const STATUSES: [u8; 15] = [
    c::BLK_STS_MEDIUM,
    c::BLK_STS_IOERR,
    c::BLK_STS_TRANSPORT,
    c::BLK_STS_TIMEOUT,
    c::BLK_STS_TARGET,
    c::BLK_STS_RESOURCE,
    c::BLK_STS_OFFLINE,
    c::BLK_STS_PROTECTION,
    c::BLK_STS_NOTSUPP,
    c::BLK_STS_NOSPC,
    c::BLK_STS_RESV_CONFLICT,
    c::BLK_STS_AGAIN,
    c::BLK_STS_DEV_RESOURCE,
    c::BLK_STS_DURATION_LIMIT,
    c::BLK_STS_INVAL,
];

/// Statuses that say that the medium has failed.
pub(crate) const MEDIUM: [u8; 2] = [c::BLK_STS_MEDIUM, c::BLK_STS_PROTECTION];

/// Pages of memory that are more than all tests together take.
pub(crate) const PLENTY: u64 = 1 << 14;

fn some<T: Copy>(random: &mut Random, of: &[T], permille: u64) -> Vec<T> {
    of.iter()
        .filter(|_| random.permille(permille))
        .copied()
        .collect()
}

impl Settings {
    /// Returns whether requests may hang.
    pub(crate) fn may_hang(&self) -> bool {
        self.faults.iter().any(|fault| fault.hangs())
    }

    /// The settings of a seed.
    pub(crate) fn draw(kind: Kind, seed: u64, random: &mut Random) -> Self {
        let mut settings = Self::draw_any(kind, random);
        match kind {
            Kind::Swarm | Kind::Crash => {}
            Kind::Move => settings.aim_at_moves(random),
            Kind::Gate => settings.aim_at_gate(random),
            Kind::Fill => settings.aim_at_fills(random),
            Kind::Pages => settings.aim_at_pages(random),
            Kind::Wholesale => settings.aim_at_wholesale(random),
            Kind::Pair => settings.units = 2,
            Kind::Damage => settings.damages = true,
            Kind::Shape => settings.aim_at_shape(random),
            Kind::Nth => settings.aim_at_nth(seed, random),
            Kind::Copies => settings.aim_at_copies(random),
            Kind::Outage => settings.aim_at_outages(random),
            Kind::Stress => settings.aim_at_stress(random),
            Kind::Exact => settings.aim_at_one_thing(random),
        }
        // Slots that are chosen for their page depend on the format.
        let may_be_old = !settings.volatile && kind != Kind::Pages;
        settings.old_format = may_be_old && random.clone().one_in(3);
        if !kind.needs_usual_numbers() {
            settings.draw_numbers(random);
        }
        if matches!(kind, Kind::Crash | Kind::Shape) && settings.submitters % 2 == 1 {
            settings.let_grow(&mut random.clone());
        }
        settings
    }

    /// Draws settings of the table, and whether messages change them.
    fn draw_numbers(&mut self, random: &mut Random) {
        for (name, range) in &NUMBERS {
            if random.one_in(4) {
                self.numbers.push((name, some_number(range, random)));
            }
        }
        if random.one_in(3) {
            self.messages.push("set");
        }
    }

    fn draw_any(kind: Kind, random: &mut Random) -> Self {
        let policy = if random.one_in(3) {
            Policy::Priority(random.between(1, 20) as u32)
        } else {
            Policy::Random(random.between(1, 7) as u32)
        };
        let block = random.of(&[1_u64, 2, 4, 8, 8, 16]);
        let logical = if block >= 8 && random.one_in(6) { 8 } else { 1 };
        let volatile = match kind {
            Kind::Swarm | Kind::Move | Kind::Wholesale | Kind::Nth | Kind::Exact => {
                random.one_in(3)
            }
            Kind::Stress => random.one_in(8),
            _ => false,
        };
        let blocks = random.between(2, 14);
        let cut = if random.one_in(4) {
            random.below(block) / logical * logical
        } else {
            0
        };
        let slots = random.between(2, 10);
        let sectors = blocks * block - cut;
        let faulty = !kind.moves_only() && !random.one_in(5);
        let mut settings = Self {
            kind,
            policy,
            stalls: random.of(&[0, 0, 8, 64]),
            block,
            logical,
            sectors,
            most_sectors: sectors,
            begin: random.of(&[0, 0, 1_000]),
            units: 1,
            main_start: random.of(&[0, 8]),
            spare_start: random.of(&[0_u64, 8, 24]),
            spare_len: Cell::new(0),
            most_spare_len: 0,
            head_pages: Cell::new(None),
            volatile,
            old_format: false,
            error_policy: if random.one_in(8) {
                random.of(&["record", "off"])
            } else {
                "relocate"
            },
            numbers: Vec::new(),
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
            messengers: random.of(&[0, 1, 1, 2, 4]),
            messages: some(random, &MESSAGES, 500),
            suspends: random.one_in(3),
            reloads: !volatile && random.one_in(2),
            resizes: false,
            removals: false,
            faults: if faulty {
                some(random, &FAULTS, 250)
            } else {
                Vec::new()
            },
            statuses: some(random, &STATUSES, 300),
            bad_statuses: if random.one_in(4) {
                some(random, &STATUSES, 300)
            } else {
                vec![c::BLK_STS_MEDIUM, c::BLK_STS_IOERR, c::BLK_STS_TARGET]
            },
            mends: random.one_in(2),
            declines: random.of(&[0, 0, 200, 1_000]),
            failing_allocations: if faulty && random.one_in(5) {
                random.of(&[1, 10, 100])
            } else {
                0
            },
            signals: if random.one_in(8) { 20 } else { 0 },
            latency: random.of(&[(1_000, 5_000), (20_000, 200_000), (100_000, 8_000_000)]),
            slow: random.of(&[0, 0, 10, 50]),
            cuts: match kind {
                Kind::Crash | Kind::Damage => random.between(1, 3),
                Kind::Pair | Kind::Shape if random.one_in(2) => random.between(1, 2),
                _ => 0,
            },
            damages: false,
            nth: None,
            faulty_life: 0,
            shells: 0,
            openers: 0,
            unloads: false,
            ram: PLENTY,
            restricts_writers: false,
        };
        settings.set_slots(slots);
        for statuses in [&mut settings.statuses, &mut settings.bad_statuses] {
            if statuses.is_empty() {
                statuses.push(c::BLK_STS_MEDIUM);
            }
        }
        settings
    }

    pub(crate) fn block_size(&self) -> BlockSize {
        BlockSize::from_sectors(self.block).expect("a block size")
    }

    /// Gives the spare area room for so many slots.
    fn set_slots(&mut self, slots: u64) {
        let needed = if self.volatile {
            slots * self.block
        } else {
            let needed = Layout::sectors_for(slots as u32, self.block_size());
            needed.expect("room for metadata")
        };
        self.most_spare_len = needed.next_multiple_of(self.logical.max(8));
        self.spare_len.set(self.most_spare_len);
    }

    /// Lets tables have a longer spare area than the first one.
    fn let_grow(&mut self, random: &mut Random) {
        // Some need further pages, and the gap behind them.
        let more = match self.block <= 2 && random.one_in(4) {
            true => random.between(2_600, 4_000),
            false => random.between(32, 300),
        };
        self.most_spare_len += more.next_multiple_of(8);
    }

    /// Returns whether tables may have a longer spare area than the first one.
    pub(crate) fn grows(&self) -> bool {
        self.most_spare_len > self.spare_len.get()
    }

    /// Returns the sectors of a longer spare area, and whether the area can grow to it.
    pub(crate) fn longer_spare(&self, random: &mut Random) -> Option<(u64, bool)> {
        let (len, most) = (self.spare_len.get(), self.most_spare_len);
        let layout = self.layout().filter(|_| len < most)?;
        let wish = random.between(len + 8, most) / 8 * 8;
        let least = layout.room_to_grow(wish).expect("room on a disk");
        match least {
            least if least == wish => Some((wish, true)),
            least if least <= most && !random.one_in(4) => Some((least, true)),
            _ => Some((wish, false)),
        }
    }

    /// Records that the spare area has grown.
    pub(crate) fn has_grown(&self, spare_len: u64) {
        let layout = self.layout().expect("metadata");
        self.head_pages.set(Some(layout.head_pages()));
        self.spare_len.set(spare_len);
    }

    fn aim_at_moves(&mut self, random: &mut Random) {
        self.messengers = random.between(1, 2);
        self.messages = vec!["remap", "unremap"];
        self.hot = random
            .between(1, 2 * self.block)
            .max(self.logical)
            .min(self.sectors);
    }

    fn aim_at_gate(&mut self, random: &mut Random) {
        self.messengers = random.between(1, 3);
        self.messages = vec!["remap", "unremap"];
        self.hot = self.sectors.min(3 * self.block);
        self.longest = self.logical;
        self.submitters = random.between(2, 4);
        self.stalls = 64;
        // What is slow lives through many passes.
        self.latency = (1_000, 5_000);
        self.slow = 100;
        self.pause = random.of(&[0, 10_000]);
        self.suspends = false;
        self.reloads = false;
        self.set_slots(6);
    }

    fn aim_at_fills(&mut self, random: &mut Random) {
        self.cuts = if random.one_in(3) {
            random.between(1, 2)
        } else {
            0
        };
        self.error_policy = "relocate";
        self.faults.retain(|fault| {
            matches!(
                fault,
                Fault::MainOutage | Fault::SpareOutage | Fault::SpareTransient | Fault::SpareStall
            )
        });
    }

    fn aim_at_pages(&mut self, random: &mut Random) {
        self.aim_at_fills(random);
        self.cuts = random.between(1, 2);
        (self.block, self.logical) = (1, 1);
        self.latency = (1_000, 5_000);
        self.slow = 0;
        self.set_slots(1_000);
        let page = self.first_page();
        self.set_slots(page + 24);
        self.sectors = page + 8;
        self.most_sectors = self.sectors;
    }

    fn aim_at_wholesale(&mut self, random: &mut Random) {
        self.block = random.of(&[1, 2]);
        self.logical = 1;
        self.sectors = self.block * random.between(66, 110);
        self.most_sectors = self.sectors;
        self.submitters = random.between(1, 8);
        self.error_policy = "relocate";
        self.failing_allocations = 0;
        self.latency = (20_000, 200_000);
        self.slow = 0;
        self.set_slots(random.between(66, 110));
        if random.one_in(8) {
            // Writes of more blocks than a pass moves.
            self.sectors = self.block * random.between(300, 600);
            self.most_sectors = self.sectors;
            self.longest = self.sectors;
            self.hot = self.sectors;
            self.submitters = random.between(1, 2);
            self.set_slots(random.between(66, 600));
        }
    }

    fn aim_at_shape(&mut self, random: &mut Random) {
        self.most_sectors =
            self.sectors + random.below(4 * self.block) / self.logical * self.logical;
        self.resizes = !random.one_in(4);
        self.removals = !self.resizes || random.one_in(2);
        self.hot = self.most_sectors;
    }

    fn aim_at_nth(&mut self, seed: u64, random: &mut Random) {
        let nth = Nth::of(seed);
        self.stalls = 0;
        self.block = random.of(&[4, 8]);
        self.logical = 1;
        self.sectors = 8 * self.block;
        self.most_sectors = self.sectors;
        self.failing_allocations = 0;
        self.signals = 0;
        self.error_policy = "relocate";
        self.latency = (20_000, 200_000);
        self.slow = 0;
        self.pause = 0;
        if nth.dooms == Dooms::Power {
            // Every other time the metadata is damaged afterwards: at once, or when it was put right.
            let variation = Nth::variation(seed);
            self.damages = variation % 2 == 1;
            self.cuts = if variation % 4 == 1 { 2 } else { 1 };
            self.volatile = false;
        }
        if nth.dooms == Dooms::Metadata {
            self.cuts = 1;
            self.volatile = false;
        }
        self.set_slots(12);
        self.nth = Some(nth);
    }

    fn aim_at_copies(&mut self, random: &mut Random) {
        self.cuts = random.between(2, 6);
        (self.block, self.logical) = (random.of(&[1, 1, 2]), 1);
        self.failing_allocations = 0;
        self.signals = 0;
        self.error_policy = "relocate";
        self.latency = (1_000, 5_000);
        self.slow = 0;
        // Entries are in several sectors of their page, which a power cut tears therefore.
        let blocks = random.between(60, 80);
        self.sectors = blocks * self.block;
        self.most_sectors = self.sectors;
        self.set_slots(2 * blocks);
    }

    fn aim_at_outages(&mut self, random: &mut Random) {
        self.failing_allocations = 0;
        self.faults.clear();
        self.error_policy = random.of(&["relocate", "relocate", "record", "off"]);
        // All of what a request takes is shorter than the time between two outages.
        self.latency = random.of(&[(1_000, 5_000), (20_000, 200_000)]);
        self.slow = 0;
        self.pause = random.of(&[200_000, 2_000_000, 50_000_000, 1_000_000_000]);
        self.declines = 0;
        self.statuses = STATUSES.to_vec();
        self.statuses.retain(|status| !MEDIUM.contains(status));
        self.messengers = random.of(&[0, 1, 2]);
        // What is relocated by a message that comes back with an error has not failed.
        self.cuts = if !self.volatile && random.one_in(3) {
            random.between(1, 2)
        } else {
            0
        };
    }

    fn aim_at_stress(&mut self, random: &mut Random) {
        // So small that all that is in flight at once has room in the memory.
        self.sectors = self.block * random.between(2, 60 / self.block);
        self.most_sectors = self.sectors;
        self.hot = self.sectors;
        self.begin = 0;
        self.shells = random.between(1, 4);
        self.openers = random.of(&[0, 0, 1, 2]);
        self.submitters = 0;
        self.messengers = random.of(&[0, 1]);
        self.operations = random.between(10, 30);
        self.pause = random.of(&[100_000, 2_000_000, 20_000_000, 50_000_000]);
        self.latency = random.of(&[
            (5_000_000, 20_000_000),
            (20_000_000, 200_000_000),
            (100_000_000, 400_000_000),
        ]);
        // What is slow is not to take as long as what hangs.
        self.slow = match self.latency.1 {
            20_000_000 => random.of(&[0, 5]),
            _ => 0,
        };
        self.removals = !self.volatile && random.one_in(2);
        self.unloads = self.removals && random.one_in(2);
        self.ram = random.of(&[PLENTY, PLENTY, 2_000, 8_000]);
        self.restricts_writers = random.one_in(4);
        self.failing_allocations = match random.one_in(4) {
            true => random.of(&[5, 20, 50]),
            false => 0,
        };
        self.discards = false;
        self.cuts = u64::from(!self.volatile && random.one_in(12));
        // More of them change nothing for the manager.
        self.faults.truncate(4);
        self.set_slots(random.between(2, 24));
    }

    fn aim_at_one_thing(&mut self, random: &mut Random) {
        (self.block, self.logical) = (random.of(&[2, 4, 8, 16]), 1);
        let blocks = random.between(26, 36);
        self.sectors = blocks * self.block + random.below(self.block);
        self.most_sectors = self.sectors + 1;
        self.error_policy = "relocate";
        self.failing_allocations = 0;
        self.signals = 0;
        self.slow = 0;
        self.pause = 0;
        self.faults.clear();
        self.mends = false;
        self.set_slots(blocks - random.between(1, 4));
    }

    /// The settings of device number `n` of the history.
    pub(crate) fn of_unit(&self, n: u64) -> Self {
        Self {
            spare_start: self.spare_start + n * self.spare_len.get(),
            begin: self.begin * (1 - n),
            ..self.clone()
        }
    }

    /// The table line of a device with that main disk. What slots hold before is no data of anybody's, so
    /// an area is formatted in any case when it is new.
    pub(crate) fn line(&self, main: u32, new: bool) -> String {
        let mut options = vec!["block_size".to_owned(), self.block.to_string()];
        if self.main_start > 0 {
            options.extend(["main_start".to_owned(), self.main_start.to_string()]);
        }
        if self.volatile {
            options.push("volatile".to_owned());
        }
        if new && !self.volatile && !self.old_format {
            options.push("format".to_owned());
        }
        if self.error_policy != "relocate" {
            options.extend(["error_policy".to_owned(), self.error_policy.to_owned()]);
        }
        for (name, value) in &self.numbers {
            options.extend([(*name).to_owned(), value.to_string()]);
        }
        format!(
            "8:{main} 8:0 {} {} {} {}",
            self.spare_start,
            self.spare_len.get(),
            options.len(),
            options.join(" ")
        )
    }

    /// Sectors of the main disk. Some targets are all of it.
    pub(crate) fn main_sectors(&self) -> u64 {
        let behind = if self.submitters % 2 == 0 { 0 } else { 8 };
        self.main_start + self.most_sectors + behind
    }

    /// How the spare area is divided; nothing where it has no metadata.
    pub(crate) fn layout(&self) -> Option<Layout> {
        let block = self.block_size();
        // An upgrade changes no place.
        let bitmaps = match self.old_format {
            true => Bitmaps::One,
            false => Bitmaps::Two,
        };
        let shape = Shape::new(block, LOST_UNIT, bitmaps)?;
        let layout = Layout::with_shape(self.spare_len.get(), block, shape, self.head_pages.get());
        layout.filter(|_| !self.volatile)
    }

    /// Slots whose entries are in the first page that has any.
    pub(crate) fn first_page(&self) -> u64 {
        let layout = self.layout().expect("metadata");
        let page = |slot: u32| layout.entry_of(slot).0;
        let last = (0..layout.slots()).find(|slot| page(*slot) != page(0));
        u64::from(last.unwrap_or(layout.slots()))
    }

    /// Where slots begin on the spare device, and where they end.
    pub(crate) fn slots(&self) -> (u64, u64) {
        match self.layout() {
            Some(layout) => {
                let first = self.spare_start + layout.first_slot();
                (first, first + u64::from(layout.slots()) * self.block)
            }
            None => (self.spare_start, self.spare_start + self.spare_len.get()),
        }
    }

    /// Whether a sector of the spare device is in a slot.
    pub(crate) fn is_in_slot(&self, sector: u64) -> bool {
        let (first, end) = self.slots();
        (first..end).contains(&sector)
    }

    /// Returns whether a slot begins at a sector of the spare, of the area as it is or as it is growing to.
    pub(crate) fn begins_slot(&self, sector: u64, growing_to: Option<u64>) -> bool {
        let (first, end) = self.slots();
        let longer = growing_to.and_then(|len| self.layout()?.grown(len));
        let end = longer.map_or(end, |layout| first + u64::from(layout.slots()) * self.block);
        (first..end).contains(&sector) && (sector - first) % self.block == 0
    }

    /// Where the halves of the metadata are.
    pub(crate) fn metadata(&self) -> (Range<u64>, Range<u64>) {
        let (first, end) = self.slots();
        let area_end = self.spare_start + self.spare_len.get();
        (self.spare_start..first, end..area_end)
    }
}
