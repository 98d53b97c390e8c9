// SPDX-License-Identifier: GPL-2.0

//! Users of a device: they read, write, flush and discard.

use std::rc::Rc;

use machine::{
    c, fail,
    mapper::UserBio,
    scheduler::{self, world},
    trace,
};

use crate::{
    model::{self, ZEROS},
    unit::Unit,
};

impl Unit {
    /// Some sectors of the device, whole logical blocks.
    pub(crate) fn some_sectors(&self) -> (u64, u64) {
        let settings = &self.settings;
        let random = &mut world().random;
        let end = self.limit.get();
        let first = random.below(settings.hot.min(end)) / settings.logical * settings.logical;
        let most = settings.longest.min(end - first);
        let len = random
            .between(1, most)
            .next_multiple_of(settings.logical)
            .min(end - first);
        (first, len)
    }

    /// Does nothing for so many nanoseconds at most.
    pub(crate) fn rest(&self, most: u64) {
        if most > 0 {
            let ns = world().random.below(most);
            scheduler::sleep(ns);
        }
    }

    /// What a user does.
    pub(crate) fn submit_bios(&'static self) {
        for _ in 0..self.settings.operations {
            let (first, len) = self.some_sectors();
            match world().random.below(100) {
                0..34 => drop(self.read(first, len)),
                34..40 => self.read_ahead(first, len),
                40..82 => self.write(first, len),
                82..89 => self.flush(),
                89..95 => drop(self.change(first, len, c::REQ_OP_WRITE_ZEROES)),
                _ if self.settings.discards => drop(self.change(first, len, c::REQ_OP_DISCARD)),
                _ => self.write(first, len),
            }
            self.rest(self.settings.pause);
        }
        self.common.at_work.set(self.common.at_work.get() - 1);
    }

    fn bio(&'static self, opf: u32, first: u64, sectors: u64, data: Vec<u8>) -> (u8, Rc<UserBio>) {
        let common = self.common;
        common.bios.set(common.bios.get() + 1);
        common.operations.set(common.operations.get() + 1);
        let first = self.settings.begin + first;
        let bio = UserBio::new(common.bios.get(), opf, first, sectors as u32, data);
        trace!(
            "bio {}: {} {first}+{sectors}",
            common.bios.get(),
            describe(opf)
        );
        let began = world().now;
        self.device().submit(&bio);
        let status = bio.wait();
        self.check_time("a bio", began);
        (status, bio)
    }

    /// Reads; returns whether that went well.
    pub(crate) fn read(&'static self, first: u64, len: u64) -> bool {
        self.read_with(first, len, 0)
    }

    /// Reads what nobody has asked for, which a disk may decline.
    fn read_ahead(&'static self, first: u64, len: u64) {
        self.read_with(first, len, c::REQ_RAHEAD);
    }

    fn read_with(&'static self, first: u64, len: u64, flags: u32) -> bool {
        let id = self.model().begin_read(first, len);
        let data = vec![0xee; len as usize * 512];
        let (status, bio) = self.bio(c::REQ_OP_READ | flags, first, len, data);
        let ok = status == c::BLK_STS_OK;
        let data = ok.then_some(&bio.data[..]);
        let declined = flags & c::REQ_RAHEAD != 0 && self.settings.declines > 0;
        let excused = declined || self.may_miss(first + len, id);
        self.model()
            .end_read(id, data, excused, self.main(), self.spare());
        ok
    }

    /// Fails where nothing is known that may make something for the sectors before `end` fail which began at
    /// `start`.
    pub(crate) fn check_error(&self, what: &str, end: u64, start: u64) {
        let excused = self.main().has_failed
            || self.spare().has_failed
            || world().memory_has_failed
            || self.may_miss(end, start);
        if !excused {
            fail!("{what} fails, and no device has");
        }
    }

    /// Writes.
    pub(crate) fn write(&'static self, first: u64, len: u64) {
        let random = &mut world().random;
        let mut opf = c::REQ_OP_WRITE;
        if random.one_in(5) {
            opf |= c::REQ_FUA;
        }
        if random.one_in(10) {
            opf |= c::REQ_PREFLUSH;
        }
        self.change(first, len, opf);
    }

    /// Writes, or what has the effect of a write; returns whether that went well.
    pub(crate) fn change(&'static self, first: u64, len: u64, opf: u32) -> bool {
        let writes = opf & c::REQ_OP_MASK == c::REQ_OP_WRITE;
        let mut data = Vec::new();
        let mut content = ZEROS;
        if writes {
            self.common.content.set(self.common.content.get() + 1);
            content = self.common.content.get();
            for sector in first..first + len {
                data.extend_from_slice(&model::fill(content, sector));
            }
        }
        let start = self.model().begin_write(first, len, content);
        trace!("version {content}");
        let (status, _) = self.bio(opf, first, len, data);
        let ok = status == c::BLK_STS_OK;
        if ok && opf & c::REQ_PREFLUSH != 0 {
            self.model().end_flush(start);
        }
        let discards = opf & c::REQ_OP_MASK == c::REQ_OP_DISCARD;
        self.model()
            .end_write(start, first, len, ok, opf & c::REQ_FUA != 0, discards);
        if !ok && !self.model().was_given_up(start, first, len) {
            self.check_error("a write", first + len, start);
        }
        ok
    }

    /// Fails where a flush has failed for the spare's sake, and no block was ever there.
    fn check_failed_flush(&'static self) {
        // Without a table that is in use, everything fails.
        let absent = self.settings.resizes || self.settings.removals;
        if !absent && self.never_had_remaps() && !self.is_short_of_memory() {
            fail!("a flush fails, and nothing but the spare has, where no block is");
        }
    }

    /// Flushes.
    pub(crate) fn flush(&'static self) {
        let start = self.model().begin_flush();
        let (status, _) = self.bio(c::REQ_OP_WRITE | c::REQ_PREFLUSH, 0, 0, Vec::new());
        if status == c::BLK_STS_OK {
            self.model().end_flush(start);
        } else {
            self.check_error("a flush", 0, start);
            self.check_failed_flush();
        }
    }
}

fn describe(opf: u32) -> String {
    let mut text = match opf & c::REQ_OP_MASK {
        c::REQ_OP_READ => "read",
        c::REQ_OP_WRITE => "write",
        c::REQ_OP_DISCARD => "discard",
        _ => "write zeroes",
    }
    .to_owned();
    if opf & c::REQ_PREFLUSH != 0 {
        text.push_str(" preflush");
    }
    if opf & c::REQ_FUA != 0 {
        text.push_str(" fua");
    }
    if opf & c::REQ_RAHEAD != 0 {
        text.push_str(" ahead");
    }
    text
}
