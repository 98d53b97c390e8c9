// SPDX-License-Identifier: GPL-2.0

//! One thing after the other, on a device that nothing else happens to: every reply, figure and event has to be
//! exactly what docs/interface.md says.

mod blocks;
mod outages;
mod salvage;
mod slots;
mod tables;

use machine::{
    c,
    fail,
    scheduler::world,
    trace, //
};

use crate::{
    errno::{EEXIST, ENODATA},
    judgement::{Figures, Health},
    unit::Unit, //
};

impl Unit {
    /// Does one thing after the other, from one that the history draws on.
    pub(crate) fn try_one_by_one(&'static self) {
        let all: &[fn(&'static Self)] = &[
            Self::move_there_and_back,
            Self::relocate_block_of_short_write,
            Self::fail_once,
            Self::try_as_often_as_set,
            Self::relocate_block_of_long_write,
            Self::refuse_some_slots,
            Self::refuse_too_many_slots,
            Self::fail_slots_otherwise,
            Self::fail_slot_in_use,
            Self::find_pending_blocks,
            Self::write_to_pending_block,
            Self::change_policy,
            Self::leave_contents,
            Self::lose_contents,
            Self::fill_bad_slot,
            Self::salvage_slowly,
            Self::salvage_behind_writes,
            Self::fail_path_of_salvage,
            Self::fail_main_for_a_while,
            Self::fail_main_between_tries,
            Self::fail_spare_for_a_while,
            Self::lose_unused_spare,
            Self::time_out_half_of_main,
            Self::time_out_witness,
            Self::probe_as_often_as_set,
            Self::refuse_all_writes,
            Self::refuse_writes_to_stretch,
            Self::scrub_slowly,
            Self::scrub_bad_sectors,
            Self::fill_spare,
            Self::flush_what_was_written,
            Self::refuse_messages,
            Self::damage_one_copy,
            Self::fail_metadata,
            Self::lack_memory,
            Self::leave_slot_too_slowly,
            Self::fail_path_to_main,
            Self::fail_middle_of_range,
            Self::relocate_together,
            Self::relocate_slowly,
            Self::stop_suspended_scrub,
            Self::change_length,
        ];
        let first = world().random.below(all.len() as u64) as usize;
        for number in 0..all.len() {
            let number = (first + number) % all.len();
            trace!("step {number}");
            all[number](self);
            self.tidy_up();
        }
        self.reset_counters();
    }

    /// Mends everything, moves all blocks back, and fails where that leaves anything behind.
    fn tidy_up(&'static self) {
        self.mend();
        self.expect_reply("policy relocate", Ok(""));
        for (first, len) in self.all_blocks() {
            if !self.change(first, len, c::REQ_OP_WRITE) {
                fail!("sector {first} cannot be written, and nothing is bad any more");
            }
        }
        self.expect_reply("scrub stop", Ok(""));
        if let Err(error) = self.send("clear") {
            fail!("'clear' fails with {error}, and nothing is bad any more");
        }
        self.expect_health(Health::Ok, Figures::NONE);
    }

    fn mend(&self) {
        for disk in [self.main(), self.spare()] {
            disk.faults.unreadable.clear();
            disk.faults.unwritable.clear();
            disk.faults.outage = None;
            disk.faults.gone = false;
        }
    }

    /// Returns the blocks of the device, each with its length.
    fn all_blocks(&self) -> impl Iterator<Item = (u64, u64)> {
        let (block, end) = (self.settings.block, self.limit.get());
        let firsts = (0..end).step_by(block as usize);
        firsts.map(move |first| (first, block.min(end - first)))
    }

    /// Returns the first sector of a block that is neither the first of the device, nor one of the last two.
    fn inner_block(&self) -> u64 {
        let block = self.settings.block;
        world().random.between(1, self.limit.get() / block - 3) * block
    }

    /// Returns how a sector is shown in messages.
    fn shown(&self, sector: u64) -> u64 {
        self.settings.begin + sector
    }

    /// Makes a sector of main fail.
    fn spoil_main(&self, writes: bool, sector: u64, status: u8) {
        let faults = &mut self.main().faults;
        let list = match writes {
            true => &mut faults.unwritable,
            false => &mut faults.unreadable,
        };
        list.insert(self.settings.main_start + sector, status);
    }

    fn expect_reply(&'static self, text: &str, wanted: Result<&str, i32>) {
        let replied = self.send(text);
        if replied.as_deref().map_err(|error| *error) != wanted {
            fail!("'{text}' is answered with {replied:?}, and not with {wanted:?}");
        }
    }

    /// Fails where the health is another, or one of the figures.
    fn expect_health(&'static self, health: Health, figures: Figures) {
        self.wait_for_rest();
        let status = self.status();
        if (status.health, status.figures()) != (health, figures) || status.scrub.is_some() {
            fail!("{status:?}, and not {health:?} with {figures:?}");
        }
    }

    /// Fails where `act` counts otherwise than `wanted`, or raises no event and should.
    fn expect_counts(&'static self, wanted: &[(&str, u64)], event: bool, act: impl FnOnce()) {
        self.wait_for_rest();
        let (before, events) = (self.status(), self.device().events.get());
        act();
        self.wait_for_rest();
        let (after, raised) = (self.status(), self.device().events.get());
        for (name, value) in after.counters() {
            let counted = value - before.counter(name);
            let wanted = wanted.iter().find(|(known, _)| *known == name);
            let wanted = wanted.map_or(0, |(_, wanted)| *wanted);
            if counted != wanted {
                fail!("{counted} {name} are counted, and not {wanted}");
            }
        }
        if event && raised == events {
            fail!("there was no event");
        }
    }

    fn expect_write(&'static self, first: u64, len: u64, wanted: bool) {
        if self.change(first, len, c::REQ_OP_WRITE) != wanted {
            fail!("a write of {first}+{len} succeeds: {}", !wanted);
        }
    }

    fn expect_read(&'static self, first: u64, len: u64, wanted: bool) {
        if self.read(first, len) != wanted {
            fail!("a read of {first}+{len} succeeds: {}", !wanted);
        }
    }

    /// Fails where other blocks are remapped than those of these sectors, or with other flags.
    fn expect_remaps(&'static self, wanted: &[u64], flags: &str) {
        let Some(remaps) = self.remaps() else { return };
        let listed: Vec<u64> = remaps.iter().map(|remap| remap.sector).collect();
        let shown: Vec<u64> = wanted.iter().map(|sector| self.shown(*sector)).collect();
        let flagged = remaps.iter().all(|remap| remap.flags == flags);
        if listed != shown || !flagged {
            fail!("remaps of {listed:?} are listed, and not of {shown:?} with '{flags}'");
        }
    }

    /// Fails where other blocks are pending than those of these sectors.
    fn expect_pending(&'static self, wanted: &[u64]) {
        let listed = self.pages("pending").unwrap_or_default();
        let shown = wanted.iter().map(|sector| self.shown(*sector).to_string());
        if listed != shown.collect::<Vec<_>>() {
            fail!("{listed:?} are pending, and not {wanted:?}");
        }
    }

    /// Moves the block of a sector to the spare by a message. Returns its slot.
    fn move_away(&'static self, first: u64) -> u64 {
        let answer = self.send(&format!("remap {}", self.shown(first)));
        match self.slot_of(first) {
            Some(slot) if answer.is_ok() => slot,
            _ => {
                fail!("sector {first} is not remapped: {answer:?}");
                0
            }
        }
    }

    fn move_there_and_back(&'static self) {
        let (block, first) = (self.settings.block, self.inner_block());
        let (shown, next) = (self.shown(first), self.shown(first + block));
        self.expect_line("moved to spare sector", || {
            self.expect_counts(&[("manual_remaps", 1)], false, || {
                self.move_away(first);
            });
        });
        let slot = self.slot_of(first).unwrap_or(0);
        self.expect_reply(&format!("remap {}", shown + 1), Err(EEXIST));
        self.expect_reply(
            &format!("list {shown}"),
            Ok(&format!("{shown} {slot} -\nend")),
        );
        self.expect_counts(&[("reads", 1), ("remapped_reads", 1)], false, || {
            self.expect_read(first, 1, true)
        });
        self.expect_counts(&[("writes", 1), ("remapped_writes", 1)], false, || {
            self.expect_write(first + 1, 1, true)
        });
        self.expect_counts(&[("reads", 3), ("remapped_reads", 1)], false, || {
            self.expect_read(first - 1, block + 2, true)
        });
        self.expect_counts(&[("writes", 1)], false, || {
            self.expect_write(first - 1, 1, true)
        });
        self.expect_counts(&[("manual_remaps", 1)], false, || {
            let answer = Ok("remapped 1 already 1");
            self.expect_reply(&format!("remap {shown} {}", 2 * block), answer);
        });
        let place = format!("sector {shown} -> spare {slot}");
        self.expect_reply(&format!("verify {}", shown + 1), Ok(&place));
        let main = shown - 1;
        let nowhere = format!("sector {main} not remapped");
        self.expect_reply(&format!("verify {main}"), Ok(&nowhere));
        let page = format!("{shown} {slot} -\nmore {next}");
        self.expect_reply(&format!("list {} 1", shown + 1), Ok(&page));
        self.expect_reply(&format!("list {shown} 0"), Ok(&format!("more {shown}")));
        let line = format!("sector {next} moved back from spare sector");
        self.expect_line(&line, || {
            self.expect_counts(&[("unremaps", 2)], false, || {
                let text = format!("unremap {main} {}", 2 * block + 1);
                self.expect_reply(&text, Ok("unremapped 2"));
            });
        });
        self.expect_reply(&format!("unremap {shown}"), Err(ENODATA));
        self.expect_reply(
            &format!("unremap {shown} {}", 2 * block),
            Ok("unremapped 0"),
        );
        self.expect_read(0, self.limit.get(), true);
    }

    /// Fails where `act` leaves no line of the log that has a text.
    fn expect_line(&self, text: &str, act: impl FnOnce()) {
        let from = world().log.len();
        act();
        let lines = &world().log[from..];
        if !lines.iter().any(|(_, line)| line.contains(text)) {
            fail!("'{text}' is not in the log: {lines:?}");
        }
    }

    /// Fails where `act` takes longer than so many nanoseconds.
    fn expect_soon(&self, what: &str, longest: u64, act: impl FnOnce()) {
        let began = world().now;
        act();
        let took = world().now - began;
        if took > longest {
            fail!("{what} takes {} ms", took / 1_000_000);
        }
    }
}
