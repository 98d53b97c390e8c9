// SPDX-License-Identifier: GPL-2.0

//! What a device says of itself, against what has happened to it, and what has to end when.

use std::cell::{Cell, RefCell};

use machine::{
    c,
    disk::Disk,
    fail,
    scheduler::{self, world},
    trace, //
};

use crate::{
    kind::Kind,
    unit::Unit, //
};

/// The longest that a bio or a message takes where nothing fails any more, in nanoseconds: the last
/// request that hung takes half a minute, and a pass waits a minute for bios in flight.
const PATIENCE: u64 = 150_000_000_000;

/// Requests that a test brings about in the end, one after the other, at most, if its bios have few blocks.
const MAX_REQUESTS: u64 = 6_000;

/// Bios that a test has in flight, at most.
const MAX_IN_FLIGHT: u64 = 512;

/// What is remembered of a table.
#[derive(Default)]
pub(crate) struct Judge {
    /// The half of the metadata that was damaged, the head or not, until a table has put it right.
    pub(crate) damaged: Cell<Option<bool>>,
    /// The power was cut while every copy of the metadata was right.
    pub(crate) sound: Cell<bool>,
    /// More of it was than can be put right.
    pub(crate) beyond_repair: Cell<bool>,
    /// Blocks that were remapped when the table began, where that is certain.
    remapped: Cell<Option<u64>>,
    /// Slots that have failed, and are never used again.
    pub(crate) failed_slots: RefCell<Vec<u64>>,
    health: Cell<Option<Health>>,
    events: Cell<u64>,
    /// Lines of the log that were judged.
    pub(crate) log: Cell<usize>,
    /// The log has said that health is `failing`, and why.
    pub(crate) fails: Cell<bool>,
    /// As above.
    pub(crate) says_why: Cell<bool>,
}

/// Health of a table, from bad to good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Health {
    Failing,
    Outage,
    SpareFailing,
    SpareFull,
    SpareLow,
    Degraded,
    Ok,
}

/// A status line.
#[derive(Debug)]
pub(crate) struct Status {
    remapped: u64,
    pub(crate) slots: u64,
    pub(crate) lost: u64,
    pub(crate) pending: u64,
    block: u64,
    pub(crate) health: Health,
    metadata: String,
    /// Sectors that a scrub has read, of how many.
    pub(crate) scrub: Option<String>,
    counters: Vec<(String, u64)>,
}

/// Counters of a status line, in this order. The number of unread sectors follows.
pub(crate) const COUNTERS: [&str; 10] = [
    "reads",
    "writes",
    "remapped_reads",
    "remapped_writes",
    "read_errors",
    "write_errors",
    "auto_remaps",
    "manual_remaps",
    "unremaps",
    "spare_errors",
];

impl Status {
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let (remapped, slots) = words.next()?.split_once('/')?;
        let mut number = || words.next()?.parse::<u64>().ok();
        let (lost, pending, block) = (number()?, number()?, number()?);
        let health = match words.next()? {
            "failing" => Health::Failing,
            "outage" => Health::Outage,
            "spare_failing" => Health::SpareFailing,
            "spare_full" => Health::SpareFull,
            "spare_low" => Health::SpareLow,
            "degraded" => Health::Degraded,
            "ok" => Health::Ok,
            _ => return None,
        };
        let metadata = words.next()?.to_owned();
        let mut counters = Vec::new();
        let mut scrub = None;
        for word in words {
            let (name, value) = word.split_once('=')?;
            if name == "scrub" {
                scrub = Some(value.to_owned());
                continue;
            }
            counters.push((name.to_owned(), value.parse().ok()?));
        }
        let named = counters.iter().map(|(name, _)| name.as_str());
        named
            .eq(COUNTERS.into_iter().chain(["unread"]))
            .then_some(Self {
                remapped: remapped.parse().ok()?,
                slots: slots.parse().ok()?,
                lost,
                pending,
                block,
                health,
                metadata,
                scrub,
                counters,
            })
    }

    /// State of the metadata.
    pub(crate) fn metadata(&self) -> &str {
        &self.metadata
    }

    /// Unread sectors.
    pub(crate) fn unread(&self) -> u64 {
        self.counter("unread")
    }

    /// Returns the counters, by their names.
    pub(crate) fn counters(&self) -> impl Iterator<Item = (&str, u64)> {
        let counters = self.counters.iter().take(COUNTERS.len());
        counters.map(|(name, value)| (name.as_str(), *value))
    }

    /// Returns the numbers of what is not as it is on a disk that works.
    pub(crate) fn figures(&self) -> Figures {
        Figures {
            remapped: self.remapped,
            unread: self.unread(),
            lost: self.lost,
            pending: self.pending,
        }
    }

    pub(crate) fn counter(&self, name: &str) -> u64 {
        let found = self.counters.iter().find(|(known, _)| known == name);
        found.map_or(0, |(_, value)| *value)
    }
}

/// Numbers of remapped blocks, unread and lost sectors, and pending blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Figures {
    pub(crate) remapped: u64,
    pub(crate) unread: u64,
    pub(crate) lost: u64,
    pub(crate) pending: u64,
}

impl Figures {
    pub(crate) const NONE: Self = Self {
        remapped: 0,
        unread: 0,
        lost: 0,
        pending: 0,
    };

    /// Of so many remapped blocks, and nothing else.
    pub(crate) const fn remapped(remapped: u64) -> Self {
        Self {
            remapped,
            ..Self::NONE
        }
    }
}

/// A line of `list`.
pub(crate) struct Remap {
    pub(crate) sector: u64,
    pub(crate) spare: u64,
    pub(crate) flags: String,
}

impl Unit {
    /// The longest that anything takes where nothing fails any more, in nanoseconds. All that a test has in
    /// flight may fail, and its blocks are written again one by one.
    pub(crate) fn patience(&self) -> u64 {
        let settings = &self.settings;
        let blocks = settings.most_sectors.div_ceil(settings.block);
        let requests = MAX_REQUESTS.max(MAX_IN_FLIGHT * blocks);
        match settings.kind {
            Kind::Stress => PATIENCE + requests * settings.latency.1,
            _ => PATIENCE,
        }
    }

    /// Fails where what began then and ends now took too long. What fails meanwhile excuses it.
    pub(crate) fn check_time(&self, what: &str, began: u64) {
        let since = began.max(self.common.healed.get());
        let took = world().now - since;
        if took > self.patience() && !self.common.faulty.get() {
            fail!(
                "{what} ends {} s after everything worked",
                took / 1_000_000_000
            );
        }
    }

    pub(crate) fn status(&self) -> Status {
        let line = self.device().status(c::status_type_t_STATUSTYPE_INFO);
        trace!("status: {line}");
        match self.take_status(&line) {
            Some(status) => status,
            None => {
                fail!("no status line: '{line}'");
                unreachable!()
            }
        }
    }

    /// Parses a status line, if it is one. Fails where metadata cannot be written, and no request for it has ever failed.
    pub(crate) fn take_status(&self, line: &str) -> Option<Status> {
        let status = Status::parse(line)?;
        let settings = &self.settings;
        let may_be_damaged = settings.damages || settings.kind == Kind::Copies;
        if status.metadata == "failed" && !settings.grows() && !may_be_damaged {
            let (head, tail) = settings.metadata();
            let failed_at = &self.spare().failed_at;
            if !head
                .chain(tail)
                .any(|sector| failed_at[sector as usize] > 0)
            {
                fail!("no request for metadata has failed: {status:?}");
            }
        }
        Some(status)
    }

    /// A counter of the status line.
    pub(crate) fn counter(&self, name: &str) -> u64 {
        self.status().counter(name)
    }

    /// The state of the metadata as the status line has it.
    pub(crate) fn metadata_state(&self) -> String {
        self.status().metadata
    }

    /// Blocks that are remapped, where that is certain. Nobody uses the device.
    pub(crate) fn remapped(&self) -> Option<u64> {
        let status = self.status();
        if status.metadata != "ok" {
            // The next table need not know of slots that have failed.
            self.judge.failed_slots.take();
        }
        match status.metadata.as_str() {
            "failed" => {
                // What failed writes have left on the spare is known to this table only.
                self.model().forget_reads();
                None
            }
            // A volatile table takes nothing along.
            "none" => Some(0),
            _ => Some(status.remapped),
        }
    }

    /// Returns whether it is certain that no block has come to the spare since the table began, or was there.
    pub(crate) fn never_had_remaps(&self) -> bool {
        let common = self.common;
        let may_move =
            common.moves.get() || self.main().has_failed || self.settings.kind == Kind::Stress;
        self.judge.remapped.get() == Some(0) && !may_move
    }

    /// A table is in use from now on, with so many remapped blocks.
    pub(crate) fn judge_next(&self, remapped: Option<u64>) {
        self.check_log(false);
        self.judge.remapped.set(remapped);
        self.judge.events.set(self.device().events.get());
        let health = self.status().health;
        // These may end before anybody is told.
        let passes = [Health::Failing, Health::Outage, Health::SpareFailing].contains(&health);
        self.judge.health.set((!passes).then_some(health));
    }

    /// A table is in use from now on, and nobody uses the device so far.
    pub(crate) fn begin_judging(&self) {
        // The last of them may have come too late for the metadata.
        self.judge.failed_slots.take();
        let remapped = self.status().remapped;
        self.judge_next(Some(remapped));
    }

    /// Fails where requests of disks are under way that nobody waits for: the device is suspended.
    pub(crate) fn check_quiet(&self) {
        // Other devices have the spare disk, too.
        let spare = self.settings.units > 1 || self.spare().is_idle();
        if !self.main().is_idle() || !spare {
            fail!("a suspended device has I/O under way");
        }
    }

    /// Returns the lines of all pages that `list` or `pending` replies with, unless there is no memory for them.
    pub(crate) fn pages(&'static self, command: &str) -> Option<Vec<String>> {
        let mut lines = Vec::new();
        let mut next = self.settings.begin;
        loop {
            let reply = match self.send(&format!("{command} {next}")) {
                Ok(reply) => reply,
                Err(-12) if self.is_short_of_memory() => return None,
                Err(error) => {
                    fail!("{command} fails with {error}");
                    return None;
                }
            };
            for line in reply.lines() {
                match line.split_once(' ') {
                    None if line == "end" => return Some(lines),
                    Some(("more", sector)) => next = sector.parse().unwrap_or(0),
                    _ => lines.push(line.to_owned()),
                }
            }
        }
    }

    /// Returns all remaps, unless there is no memory to list them.
    pub(crate) fn remaps(&'static self) -> Option<Vec<Remap>> {
        let mut remaps = Vec::new();
        for line in self.pages("list")? {
            match line.split(' ').collect::<Vec<_>>()[..] {
                [sector, spare, flags] => remaps.push(Remap {
                    sector: sector.parse().unwrap_or(u64::MAX),
                    spare: spare.parse().unwrap_or(u64::MAX),
                    flags: flags.to_owned(),
                }),
                _ => fail!("no line of a list: '{line}'"),
            }
        }
        Some(remaps)
    }

    /// Returns the blocks that are remapped, unless there is no memory to list them.
    pub(crate) fn remapped_blocks(&'static self) -> Option<Vec<u64>> {
        let block = self.settings.block;
        let remaps = self.remaps()?;
        Some(remaps.iter().map(|remap| remap.sector / block).collect())
    }

    /// Returns whether it is certain that no block is remapped that reaches beyond `sector`.
    pub(crate) fn has_no_remap_beyond(&'static self, sector: u64) -> bool {
        let sector = self.settings.begin + sector;
        let reaches = |remap: &Remap| remap.sector + self.settings.block > sector;
        self.remaps()
            .is_some_and(|remaps| !remaps.iter().any(reaches))
    }

    /// Judges a device that nobody uses and whose devices work, and sees that it heals.
    pub(crate) fn judge_all(&'static self) {
        // What is left to do is done, also what the first probe after a second finds.
        scheduler::sleep(2_000_000_000);
        let status = self.wait_for_return();
        if !self.settings.kind.needs_usual_numbers() {
            self.end_upkeep();
        }
        self.check_after_outages(&status);
        self.check_salvage(&status);
        self.check_mistakes();
        self.check_health();
        let status = self.status();
        self.check_list(&status);
        self.check_devices(&status);
        self.check_counters(&status);
        self.check_scrub();
        self.check_log(true);
        let kind = self.settings.kind;
        if kind != Kind::Pages
            && (matches!(kind, Kind::Nth | Kind::Exact) || world().random.one_in(4))
        {
            self.check_healing();
        }
        if !kind.needs_usual_numbers() && world().random.one_in(8) {
            self.check_upkeep();
        }
    }

    /// Fails where the health changes without an event, or is not what the figures say.
    fn check_health(&'static self) {
        // While the status is put together health may change, and the event come.
        let raised = self.device().events.get();
        let status = self.status();
        // The event follows the change.
        scheduler::sleep(10_000_000);
        let events = self.device().events.get();
        if self.status().health != status.health {
            // It was another before the event could come, or is about to have one.
            return;
        }
        let before = self.judge.health.replace(Some(status.health));
        let known = self.judge.events.replace(raised);
        if before.is_some_and(|before| before != status.health) && events == known {
            fail!("health is {:?}, and there was no event", status.health);
        }
        let troubled = status.lost > 0 || status.pending > 0;
        let may_be_troubled = troubled || status.unread() > 0;
        let wrong = match status.health {
            Health::Ok => troubled || status.remapped == status.slots,
            Health::Degraded => !may_be_troubled,
            Health::SpareLow | Health::SpareFull => false,
            Health::Failing | Health::Outage => false,
            Health::SpareFailing => !self.spare().has_failed,
        };
        if wrong {
            fail!("health is {:?} with {status:?}", status.health);
        }
        if status.pending > 0 && !self.main().has_failed {
            fail!("blocks are pending, and main has never failed");
        }
        let failing = matches!(status.health, Health::Failing | Health::Outage);
        if failing && !self.main().has_failed {
            fail!("health is {:?}, and main has never failed", status.health);
        }
    }

    /// Fails where the target does not name its disks and its parts of them, or lets ioctls through to a disk of which
    /// it is not all, or not as it is.
    fn check_devices(&self, status: &Status) {
        let (settings, sectors) = (&self.settings, self.sectors.get());
        let number = |disk: &Disk| disk.device.bd_dev & 0xfffff;
        let main = number(self.main());
        let ranges = vec![
            (main, settings.main_start, sectors),
            (
                number(self.spare()),
                settings.spare_start,
                settings.spare_len.get(),
            ),
        ];
        let named = self.device().data_ranges();
        if named != ranges {
            fail!("the target has data on {named:?}, and not on {ranges:?}");
        }
        let same = settings.main_start == 0 && sectors == self.main().sectors();
        let expected = Some((main, same && status.remapped == 0));
        let answer = self.device().ioctl_disk();
        if answer != expected {
            fail!("ioctls go to {answer:?}, and not to {expected:?}");
        }
    }

    fn check_list(&'static self, status: &Status) {
        let Some(remaps) = self.remaps() else { return };
        let block = self.settings.block;
        if status.block != block || remaps.len() as u64 != status.remapped {
            fail!(
                "{} remaps are listed, and the status is {status:?}",
                remaps.len()
            );
        }
        for (n, remap) in remaps.iter().enumerate() {
            let sector = remap.sector.wrapping_sub(self.settings.begin);
            if sector % block != 0
                || sector >= self.limit.get()
                || !self.settings.begins_slot(remap.spare, None)
            {
                fail!("remap of {} to {} is listed", remap.sector, remap.spare);
            }
            if self.judge.failed_slots.borrow().contains(&remap.spare) {
                fail!("{} of the spare has failed, and is used again", remap.spare);
            }
            if remaps[..n].iter().any(|other| other.spare == remap.spare) {
                fail!("two blocks are at {} of the spare", remap.spare);
            }
            if remaps[..n].iter().any(|other| other.sector >= remap.sector) {
                fail!("remaps are listed out of order");
            }
            if n % remaps.len().div_ceil(16) != 0 {
                continue;
            }
            let expected = format!("sector {} -> spare {}", remap.sector, remap.spare);
            if self.send(&format!("verify {}", remap.sector)) != Ok(expected) {
                fail!("verify says something else than list of {}", remap.sector);
            }
            if self.settings.volatile && remap.flags.contains("unsaved") {
                fail!("a block of a volatile table is unsaved");
            }
        }
        let listed = |flag| {
            remaps
                .iter()
                .any(|remap| remap.flags.split(',').any(|it| it == flag))
        };
        if listed("lost") != (status.lost > 0) || listed("unread") != (status.unread() > 0) {
            fail!("lost sectors are listed otherwise than the status has them: {status:?}");
        }
        let pending = self.send(&format!("pending {}", self.settings.begin));
        let lines = pending.as_deref().map_or(0, |reply| reply.lines().count());
        if lines as u64 != status.pending + 1 && status.pending < 50 {
            fail!("{lines} lines list {} pending blocks", status.pending);
        }
    }

    fn check_counters(&'static self, status: &Status) {
        let (reads, writes) = self.device().given();
        let counted = (status.counter("reads"), status.counter("writes"));
        if counted != (reads, writes) {
            fail!(
                "{counted:?} reads and writes are counted of {:?}",
                (reads, writes)
            );
        }
        let remapped = |of: &str| status.counter(&format!("remapped_{of}"));
        if remapped("reads") > reads || remapped("writes") > writes {
            fail!("more bios go to the spare than there are: {status:?}");
        }
        let moved = status.counter("auto_remaps") + status.counter("manual_remaps");
        let left = status.counter("unremaps") + status.remapped;
        let now = self.judge.remapped.get().map_or(left, |had| had + moved);
        // Blocks whose metadata could not be written are on the spare, and did not count as moved.
        if now != left && (now > left || !self.spare().has_failed) {
            fail!("{now} blocks have come to the spare, and {left} have left it or are there");
        }
        if status.counter("auto_remaps") > self.device().events.get() {
            fail!("blocks were relocated without an event: {status:?}");
        }
        if status.counter("spare_errors") > 0 && !self.spare().has_failed {
            fail!("errors of the spare are counted, and there were none");
        }
        if status.counter("write_errors") > 0 && !self.main().has_failed && !self.spare().has_failed
        {
            fail!("errors of main are counted, and there were none");
        }
    }

    /// Everything can be read and written again: with a few commands the table is as good as new.
    fn check_healing(&'static self) {
        for disk in [self.main(), self.spare()] {
            disk.faults.unreadable.clear();
            disk.faults.unwritable.clear();
        }
        trace!("nothing is bad any more");
        let send = |text: &str| {
            if let Err(error) = self.send(text) {
                fail!("'{text}' fails with {error}, and nothing is bad any more");
            }
        };
        send("policy relocate");
        send("scrub stop");
        send("retry");
        let status = self.status();
        if status.unread() > 0 {
            fail!("main can be read, and after a retry sectors are unread: {status:?}");
        }
        if !self.settings.volatile {
            send("save");
        }
        let failed = self.read_everything();
        if failed != status.lost + status.unread() {
            fail!("{failed} sectors cannot be read, and others are unread or lost: {status:?}");
        }
        let (logical, end) = (self.settings.logical, self.limit.get());
        for first in (0..end).step_by(logical as usize) {
            if !self.change(first, logical.min(end - first), c::REQ_OP_WRITE) {
                fail!("sector {first} cannot be written, and nothing is bad any more");
            }
        }
        send("clear");
        let status = self.status();
        let metadata = if self.settings.volatile { "none" } else { "ok" };
        if status.figures() != Figures::NONE || status.metadata != metadata {
            fail!("it has not healed: {status:?}");
        }
        // Slots that have failed are not free again.
        if !matches!(
            status.health,
            Health::Ok | Health::SpareLow | Health::SpareFull
        ) {
            fail!("health is {:?}, and nothing is wrong", status.health);
        }
        self.check_free_slots(&status);
        self.read_everything();
    }

    /// Fails where slots are used no more of which no sector has failed. No block is remapped.
    fn check_free_slots(&'static self, status: &Status) {
        let (block, sectors) = (self.settings.block, self.limit.get());
        let (first, _) = self.settings.slots();
        let is_blamed = |slot: &u64| {
            let start = first + slot * block;
            let spare = self.spare();
            spare.blamed.range(start..start + block).next().is_some()
        };
        let blamed = (0..status.slots).filter(is_blamed).count() as u64;
        let wanted = sectors.div_ceil(block).min(status.slots - blamed);
        let answer = self.send(&format!("remap {} {sectors}", self.settings.begin));
        let remapped = self.status().remapped;
        if remapped < wanted {
            fail!(
                "{remapped} slots of {} are used, and {blamed} have failed: {answer:?}",
                status.slots
            );
        }
        if let Err(error) = self.send("clear") {
            fail!("'clear' fails with {error}, and nothing is bad any more");
        }
    }
}
