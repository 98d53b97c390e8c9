// SPDX-License-Identifier: GPL-2.0

//! Scrubs, copies of the metadata, messages that are refused, and tables of another length.

use machine::{
    c,
    fail,
    scheduler::{self, world}, //
};
use remap_core::metadata::layout::{
    Half,
    Place, //
};

use crate::{
    errno::{EAGAIN, EBUSY, EINVAL, EIO, ENODEV, ENOMEM, EROFS},
    judgement::{Figures, Health, COUNTERS},
    model,
    unit::Unit, //
};

/// The page of the metadata that has the entries of the first slots.
const PAGE: u32 = 1;

impl Unit {
    /// At a megabyte a second. A remapped block parts what is read together.
    pub(super) fn scrub_slowly(&'static self) {
        let (block, sectors) = (self.settings.block, self.sectors.get());
        let first = self.inner_block();
        self.move_away(first);
        let began = world().now;
        self.expect_counts(&[], true, || {
            self.expect_reply("scrub start 1", Ok(""));
            self.expect_reply("scrub start", Err(EBUSY));
            let shown = self.status().scrub;
            let status = self.send("scrub status");
            let of_all = format!("/{sectors} unreadable 0");
            let right = |text: &String| text.starts_with("running ") && text.ends_with(&of_all);
            let same = shown.is_some_and(|shown| shown.ends_with(&format!("/{sectors}")));
            if !status.as_ref().is_ok_and(right) || !same {
                fail!("a scrub that has just begun is {status:?}");
            }
            if world().random.one_in(2) {
                self.suspend();
            }
            let ended = self.wait_for_scrub();
            if ended != format!("done {sectors} unreadable 0") {
                fail!("a scrub ends with '{ended}'");
            }
            let took = (world().now - began) / 1_000;
            if took < (first + block) * 512 - 1_000 {
                fail!("{sectors} sectors are scrubbed in {took} us at a megabyte a second");
            }
        });
        self.expect_counts(&[], true, || {
            self.expect_reply("scrub start 1", Ok(""));
            scheduler::sleep(1_000);
            self.expect_reply("scrub stop", Ok(""));
        });
        let stopped = self.send("scrub status");
        let right = |text: &String| text.starts_with("stopped ") && text.ends_with(" unreadable 0");
        if !stopped.as_ref().is_ok_and(right) {
            fail!("a scrub that was stopped is {stopped:?}");
        }
    }

    pub(super) fn scrub_bad_sectors(&'static self) {
        let (block, first) = (self.settings.block, self.inner_block());
        let slot = self.move_away(first);
        self.spare()
            .faults
            .unreadable
            .insert(slot, c::BLK_STS_MEDIUM);
        self.spoil_main(false, first - 1, c::BLK_STS_MEDIUM);
        self.expect_counts(&[], true, || {
            self.expect_reply("scrub start 1", Ok(""));
            let mut ended = String::new();
            self.expect_line("cannot be read from the spare", || {
                ended = self.wait_for_scrub()
            });
            if ended != format!("done {} unreadable 2", self.sectors.get()) {
                fail!("a scrub of two bad blocks ends with '{ended}'");
            }
        });
        self.expect_pending(&[first - block]);
    }

    /// What is said of a scrub that cannot start, and of one that ends while the device is suspended, or while the
    /// metadata cannot be checked.
    pub(super) fn stop_suspended_scrub(&'static self) {
        self.move_away(self.inner_block());
        self.expect_reply("scrub start 1", Ok(""));
        self.expect_line("scrub refused: one runs already", || {
            self.expect_reply("scrub start", Err(EBUSY))
        });
        self.begin_suspend();
        self.expect_line("scrub has read ", || {
            self.expect_reply("scrub stop", Ok(""))
        });
        self.resume();
        if !self.settings.volatile {
            self.expect_reply("scrub start 1", Ok(""));
            self.spare().faults.outage = Some(c::BLK_STS_IOERR);
            self.expect_line("scrub stopped at sector ", || {
                self.expect_reply("scrub stop", Ok(""))
            });
            self.spare().faults.outage = None;
            self.expect_reply("save", Ok("metadata saved"));
        }
    }

    pub(super) fn refuse_messages(&'static self) {
        let shown = self.shown(self.inner_block());
        let texts = [
            format!("remap {shown}"),
            format!("bad {shown}"),
            format!("unremap {shown}"),
            "clear".to_owned(),
            "retry".to_owned(),
            "scrub start".to_owned(),
        ];
        self.begin_suspend();
        for text in &texts {
            self.expect_reply(text, Err(EAGAIN));
        }
        if !self.settings.volatile {
            self.expect_reply("save", Err(EAGAIN));
        }
        self.resume();
        self.main().faults.gone = true;
        self.main().has_failed = true;
        self.expect_reply(&texts[0], Err(ENODEV));
        self.expect_write(shown - self.settings.begin, 1, false);
        self.expect_health(Health::Failing, Figures::NONE);
        self.mend();
        self.expect_reply("policy relocate", Ok(""));
        self.expect_health(Health::Ok, Figures::NONE);
    }

    /// The metadata cannot be written: no block moves.
    pub(super) fn fail_metadata(&'static self) {
        if self.settings.volatile {
            return;
        }
        let first = self.inner_block();
        let (head, tail) = self.settings.metadata();
        self.spare().faults.doomed = Some(vec![head, tail]);
        self.main().faults.doomed = Some(Vec::new());
        world().doomed_requests = world().requests + 1..u64::MAX;
        let text = format!("remap {}", self.shown(first));
        if world().random.one_in(2) {
            self.spoil_main(true, first, c::BLK_STS_MEDIUM);
            self.expect_line("metadata is failed", || {
                self.expect_write(first, 1, false);
                // It is shown when the write has ended.
                self.wait_for_rest();
            });
        } else {
            let line = "metadata cannot be written";
            self.expect_line(line, || self.expect_reply(&text, Err(EIO)));
        }
        if self.metadata_state() != "failed" {
            fail!(
                "metadata cannot be written, and is {}",
                self.metadata_state()
            );
        }
        self.expect_reply("save", Err(EIO));
        self.begin_suspend();
        self.expect_reply(&text, Err(EAGAIN));
        self.resume();
        world().doomed_requests = 0..0;
        for disk in [self.main(), self.spare()] {
            disk.faults.doomed = None;
        }
        self.expect_reply("save", Ok("metadata saved"));
    }

    /// There is no memory but for the words of a message.
    pub(super) fn lack_memory(&'static self) {
        let text = format!("remap {}", self.shown(self.inner_block()));
        self.wait_for_rest();
        world().doomed_allocations = world().allocations + 4..u64::MAX;
        self.expect_line(": no memory; ", || self.expect_reply(&text, Err(ENOMEM)));
        world().doomed_allocations = 0..0;
    }

    /// One copy of the metadata is bad: a new table says so, unless it was put right before.
    pub(super) fn damage_one_copy(&'static self) {
        if self.settings.volatile {
            self.expect_line(
                "save failed: the table is volatile and keeps no metadata",
                || self.expect_reply("save", Err(EINVAL)),
            );
            return;
        }
        let first = self.inner_block();
        self.move_away(first);
        self.expect_reply("save", Ok("metadata saved"));
        let random = &mut world().random;
        let place = Place {
            half: random.of(&[Half::Head, Half::Tail]),
            odd: random.one_in(2),
        };
        let mut random = random.clone();
        let layout = self.settings.layout().expect("metadata");
        let sector = layout.sector_of(PAGE, place).expect("a page of entries");
        let sector = self.settings.spare_start + sector;
        self.spare().damage(sector, &mut random);
        world().random = random;
        let mends = world().random.one_in(2);
        if mends {
            self.expect_reply("save", Ok("metadata saved"));
        }
        self.reload();
        let state = self.metadata_state();
        if state != ["degraded", "ok"][usize::from(mends)] {
            fail!("sector {sector} of the metadata was bad, and a new table is {state}: {mends}");
        }
        self.expect_reply("save", Ok("metadata saved"));
        if self.metadata_state() != "ok" {
            fail!(
                "every copy is right, and the metadata is {}",
                self.metadata_state()
            );
        }
        self.expect_remaps(&[first], "-");
    }

    /// The last block is on the spare and ends before it should: another length needs what only a table has that may
    /// write, or is refused.
    pub(super) fn change_length(&'static self) {
        let (block, sectors) = (self.settings.block, self.sectors.get());
        if self.settings.volatile || sectors % block == 0 {
            return;
        }
        let last = sectors / block * block;
        self.move_away(last);
        let slot = self.slot_of(last).unwrap_or(0);
        let slot = (slot - self.settings.slots().0) / block;
        self.absent_at.set(u64::MAX);
        self.remove_table();
        let longer = sectors + 1;
        let rest = format!("the rest of the last block to slot {slot}");
        self.expect_resume(longer, true, Err((EROFS, &rest)));
        self.expect_resume(sectors, true, Ok(()));
        let short = format!("slot {slot} has a block beyond the end of the target");
        self.expect_resume(last, false, Err((EINVAL, &short)));
        self.expect_resume(last, true, Err((EINVAL, &short)));
        self.expect_resume(longer, false, Ok(()));
        self.expect_resume(sectors, false, Err((EINVAL, &short)));
        self.sectors.set(longer);
        self.limit.set(longer);
        if let Some(table) = self.load(longer, &self.line(false)) {
            self.device().swap(Some(table));
        }
        self.resume();
        self.absent_at.set(model::now());
        self.judge_next(Some(1));
        self.expect_remaps(&[last], "-");
        self.expect_read(0, longer, true);
    }

    /// Fails where a table of that length can be resumed and should not, or the other way, or the log does not say
    /// why. The device has no table before and after.
    fn expect_resume(
        &'static self,
        sectors: u64,
        read_only: bool,
        wanted: Result<(), (i32, &str)>,
    ) {
        let device = self.device();
        match device.load(sectors, self.line(false).as_bytes(), read_only) {
            Ok(table) => device.swap(Some(table)),
            Err(error) => return fail!("a table of {sectors} sectors is refused: {error}"),
        };
        // It knows nothing of the area so far.
        let health = if read_only { "read_only" } else { "ok" };
        let zeros = COUNTERS.map(|name| format!("{name}=0")).join(" ");
        let nothing = format!(
            "0/0 0 0 {} {health} none {zeros} unread=0",
            self.settings.block
        );
        let status = device.status(c::status_type_t_STATUSTYPE_INFO);
        if status != nothing {
            fail!("a table that is not in use says '{status}', and not '{nothing}'");
        }
        self.check_arguments("relocate", &[]);
        let since = scheduler::listen();
        let resumed = device.resume();
        let lines = scheduler::heard(since);
        let right = match wanted {
            Ok(()) => resumed.is_ok(),
            Err((error, why)) => {
                resumed == Err(error) && lines.iter().any(|line| line.ends_with(why))
            }
        };
        if !right {
            fail!("a table of {sectors} sectors: {resumed:?}, and not {wanted:?}: {lines:?}");
        }
        self.remove_table();
    }

    /// Lets the counters begin anew. They are no sums of the device any more then: another table follows.
    pub(super) fn reset_counters(&'static self) {
        if self.settings.volatile {
            return;
        }
        self.expect_reply("stats reset", Ok(""));
        let zeros = COUNTERS.map(|name| format!("{name}=0"));
        let delays = "relocations=0 relocation_p50_us=0 relocation_p99_us=0 relocation_max_us=0 \
                      stalls=0 stall_p50_us=0 stall_p99_us=0 stall_max_us=0";
        let nothing = format!("{} slow_path=0 {delays}", zeros.join(" "));
        self.expect_reply("stats", Ok(&nothing));
        self.remove();
    }
}
