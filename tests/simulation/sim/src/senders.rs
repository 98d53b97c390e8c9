// SPDX-License-Identifier: GPL-2.0

//! Those who administer a device: they send messages, suspend, replace and remove.

use std::rc::Rc;

use machine::{
    c,
    fail,
    mapper::Table,
    scheduler::{self, world},
    trace, //
};

use crate::{
    errno::ENOMEM, kind::Kind, log::check_reason, model, settings::some_setting, unit::Unit,
};

/// Most suspensions of a life.
const MAX_SUSPENDS: u64 = 8;

impl Unit {
    /// What a sender does.
    pub(crate) fn send_messages(&'static self) {
        let pause = match self.settings.kind {
            Kind::Gate => 0,
            _ => self.settings.pause.max(50_000) * 4,
        };
        for _ in 0..self.settings.operations {
            self.rest(pause);
            if self.settings.messages.is_empty() || self.common.at_work.get() == 0 {
                return;
            }
            let message = world().random.of(&self.settings.messages);
            self.send_one(message);
        }
    }

    pub(crate) fn send_one(&'static self, message: &str) {
        let (first, len) = self.some_sectors();
        let len = if world().random.one_in(2) { 1 } else { len };
        match message {
            "bad" => self.give_up(first, len),
            "mistake" => self.send_mistake_alone(),
            "status" => {
                self.device().status(c::status_type_t_STATUSTYPE_TABLE);
                let line = self.device().status(c::status_type_t_STATUSTYPE_INFO);
                drop(self.take_status(&line));
            }
            _ => {
                if let Ok(reply) = self.send(&self.text_of(message, first, len)) {
                    self.check_reply(message, first, len, &reply);
                }
            }
        }
    }

    /// A message about these sectors of the target.
    pub(crate) fn text_of(&self, message: &str, first: u64, len: u64) -> String {
        let sector = self.settings.begin + first;
        let random = &mut world().random;
        match message {
            "remap" | "unremap" | "bad" if len == 1 => format!("{message} {sector}"),
            "remap" | "unremap" | "bad" => format!("{message} {sector} {len}"),
            "verify" => format!("verify {sector}"),
            "list" | "pending" => format!("{message} {sector} {}", random.below(4)),
            "policy" => format!(
                "policy {}",
                random.of(&["relocate", "relocate", "record", "off"])
            ),
            "scrub" => format!(
                "scrub {}",
                random.of(&["start", "start 1", "stop", "status"])
            ),
            "set" => format!("set {}", some_setting(random)),
            other => other.to_owned(),
        }
    }

    /// Sends a message; returns the reply, or the errno.
    pub(crate) fn send(&'static self, text: &str) -> Result<String, i32> {
        let since = scheduler::listen();
        let outages = self.outages();
        let replied = self.send_bytes(text.as_bytes());
        let lines = scheduler::heard(since);
        if let Err(error) = replied {
            check_reason(text, error, &lines);
            self.check_error_in_outages(text, error, outages);
        }
        replied
    }

    /// As [`Unit::send`], of a message that need not be text.
    pub(crate) fn send_bytes(&'static self, text: &[u8]) -> Result<String, i32> {
        trace!("message '{}'", String::from_utf8_lossy(text));
        self.common.operations.set(self.common.operations.get() + 1);
        let may_move = [&b"remap"[..], b"bad"]
            .iter()
            .any(|word| text.starts_with(word));
        self.common.moves.set(self.common.moves.get() || may_move);
        let began = world().now;
        let replied = self.device().message(text);
        trace!("message '{}': {replied:?}", String::from_utf8_lossy(text));
        self.check_time("a message", began);
        replied
    }

    /// Where the slot of a block begins, if it has one.
    pub(crate) fn slot_of(&'static self, sector: u64) -> Option<u64> {
        let reply = self.send(&format!("verify {}", self.settings.begin + sector));
        let reply = reply.ok()?;
        reply.split_once("-> spare ")?.1.parse().ok()
    }

    /// Sends `bad` of one sector, or of several.
    pub(crate) fn give_up(&'static self, first: u64, len: u64) {
        let block = self.settings.block;
        let from = first / block * block;
        let to = (first + len)
            .next_multiple_of(block)
            .min(self.settings.most_sectors);
        self.model().begin_bad(from, to);
        if let Ok(reply) = self.send(&self.text_of("bad", first, len)) {
            self.check_reply("bad", first, len, &reply);
        }
        self.model().end_bad(from, to);
    }

    /// What a suspender does.
    pub(crate) fn suspend_now_and_then(&'static self) {
        for _ in 0..MAX_SUSPENDS {
            self.rest(self.settings.pause.max(100_000) * 8);
            if self.common.at_work.get() == 0 {
                return;
            }
            let settings = &self.settings;
            let mut ways: Vec<fn(&'static Self)> = Vec::new();
            if settings.suspends {
                ways.push(Self::suspend);
            }
            if settings.reloads {
                ways.push(Self::reload);
            }
            if settings.resizes {
                ways.push(Self::resize);
            }
            if settings.removals {
                ways.push(Self::remove);
            }
            if settings.grows() {
                ways.push(Self::grow);
            }
            if ways.is_empty() {
                return;
            }
            let way = world().random.of(&ways);
            way(self);
        }
    }

    pub(crate) fn begin_suspend(&'static self) {
        trace!("suspend");
        self.device().suspend();
        trace!("suspended");
        self.rest(self.settings.pause);
        self.check_quiet();
    }

    /// Resumes the device, once more where that fails.
    pub(crate) fn resume(&'static self) {
        if let Err(error) = self.try_to_resume() {
            fail!("a resume fails where no device does any more: {error}");
        }
        self.disturb();
        trace!("resumed");
    }

    fn try_to_resume(&'static self) -> Result<(), i32> {
        match self.device().resume() {
            Ok(()) => Ok(()),
            // A table that does not fit what the metadata says.
            Err(-22) => Err(-22),
            Err(error) => {
                self.check_error("a resume", 0, model::now());
                trace!("the resume has failed with {error}");
                self.resume_healed()
            }
        }
    }

    /// Heals the devices and resumes; nothing fails meanwhile.
    pub(crate) fn resume_healed(&'static self) -> Result<(), i32> {
        let calm = &self.common.calm;
        calm.set(calm.get() + 1);
        self.heal();
        let resumed = self.device().resume();
        calm.set(calm.get() - 1);
        resumed
    }

    /// Suspends the device and resumes it.
    pub(crate) fn suspend(&'static self) {
        self.begin_suspend();
        self.resume();
    }

    /// Loads a table beside the one in use. Nothing where there is no memory.
    fn load_next(&'static self, sectors: u64) -> Option<Rc<Table>> {
        self.load_line(sectors, &self.line(false))
    }

    fn load_line(&'static self, sectors: u64, line: &str) -> Option<Rc<Table>> {
        let was_short = self.is_short_of_memory();
        match self.device().load(sectors, line.as_bytes(), false) {
            Ok(table) => Some(table),
            Err(ENOMEM) if was_short || self.is_short_of_memory() => None,
            Err(error) => {
                fail!("a table beside the one in use is refused: {error}");
                None
            }
        }
    }

    /// Replaces the table by a new one of the same line.
    pub(crate) fn reload(&'static self) {
        self.load_mistake_now_and_then(self.sectors.get());
        let new = self.load_next(self.sectors.get());
        self.begin_suspend();
        let remapped = self.remapped();
        let old = new.and_then(|new| self.device().swap(Some(new)));
        self.resume();
        if let Some(old) = old {
            self.judge_next(remapped);
            self.device().destroy(old);
        }
    }

    /// Replaces the table by a longer or shorter one. What lies beyond the end stays as it is.
    pub(crate) fn resize(&'static self) {
        let (settings, before) = (&self.settings, self.sectors.get());
        let logical = settings.logical;
        let new = world().random.between(logical, settings.most_sectors) / logical * logical;
        trace!("from {before} sectors to {new}");
        self.limit.set(before.min(new));
        self.cuts.borrow_mut().push((new, model::now()));
        self.load_mistake_now_and_then(new);
        let Some(table) = self.load_next(new) else {
            self.limit.set(before);
            return;
        };
        self.begin_suspend();
        let remapped = self.remapped();
        let fits = remapped.is_some() && self.has_no_remap_beyond(new);
        let old = self.device().swap(Some(table)).expect("a table");
        // After a power cut the longer one is the one to begin with.
        self.sectors.set(before.max(new));
        let shrinks = new < before;
        let mut resumed = self.try_to_resume();
        // A device may say so as well, of a request.
        if resumed.is_err() && (resumed != Err(-22) || !shrinks) {
            // The rest of a block that was cut short has to be read from main, and written to its slot.
            for disk in [self.main(), self.spare()] {
                disk.faults.unreadable.clear();
                disk.faults.unwritable.clear();
            }
            resumed = self.resume_healed();
        }
        self.device().destroy(old);
        if shrinks && resumed == Err(-22) {
            trace!("it is refused");
            if fits {
                fail!("a table is refused, and nothing is remapped beyond sector {new}");
            }
            if let Some(table) = self.load(before, &self.line(false)) {
                let refused = self.device().swap(Some(table)).expect("a table");
                self.resume();
                self.device().destroy(refused);
            }
            self.limit.set(before);
            self.judge_next(remapped);
            return;
        }
        if let Err(error) = resumed {
            fail!("a table of {new} sectors cannot be resumed: {error}");
        }
        self.sectors.set(new);
        self.limit.set(new);
        self.judge_next(remapped);
    }

    /// Replaces the table by one with a longer spare area, or one that is not long enough.
    pub(crate) fn grow(&'static self) {
        let sectors = self.sectors.get();
        let Some((new, fits)) = self.settings.longer_spare(&mut world().random) else {
            return;
        };
        let line = self.line_of(new);
        trace!("the spare area becomes one of {new} sectors: {line}");
        self.load_mistake_now_and_then(sectors);
        let Some(table) = self.load_line(sectors, &line) else {
            return;
        };
        self.begin_suspend();
        let remapped = self.remapped();
        let old = self.device().swap(Some(table)).expect("a table");
        if !fits {
            let resumed = self.try_to_resume();
            self.device().destroy(old);
            if resumed != Err(-22) {
                fail!("a spare area grows without room: {resumed:?}");
            }
            self.replace_refused(&self.line(false));
            self.resume();
            return self.judge_next(remapped);
        }
        self.growing_to.set(Some(new));
        self.may_cut_growth();
        let mut resumed = self.device().resume();
        self.device().destroy(old);
        if let Err(error) = resumed {
            trace!("the resume has failed with {error}");
            self.check_error("a resume", 0, model::now());
            self.heal();
            if world().random.one_in(2) {
                // Until the growth is committed the old length is the right one.
                self.replace_refused(&self.line(false));
                resumed = self.resume_healed();
                if resumed.is_ok() {
                    trace!("it has not grown");
                    self.growing_to.set(None);
                    self.disturb();
                    return self.judge_next(remapped);
                }
                self.replace_refused(&line);
            }
            resumed = self.resume_healed();
        }
        if let Err(error) = resumed {
            return fail!("a table with a longer spare area cannot be resumed: {error}");
        }
        self.adopt_length();
        self.disturb();
        self.judge_next(remapped);
    }

    /// Replaces a table that was refused by one of that line.
    fn replace_refused(&'static self, line: &str) {
        if let Some(table) = self.load(self.sectors.get(), line) {
            let refused = self.device().swap(Some(table)).expect("a table");
            self.device().destroy(refused);
        }
    }

    /// Removes the device, with all that goes on, and sets it up again.
    pub(crate) fn remove(&'static self) {
        self.absent_at.set(u64::MAX);
        self.begin_suspend();
        let remapped = self.remapped();
        let old = self.device().swap(None).expect("a table");
        if world().random.one_in(2) {
            self.resume();
            self.rest(self.settings.pause);
            self.begin_suspend();
        }
        self.device().destroy(old);
        trace!("removed");
        self.load_mistake_now_and_then(self.sectors.get());
        if let Some(table) = self.load(self.sectors.get(), &self.line(false)) {
            self.device().swap(Some(table));
        }
        self.resume();
        self.absent_at.set(model::now());
        self.judge_next(remapped);
    }
}
