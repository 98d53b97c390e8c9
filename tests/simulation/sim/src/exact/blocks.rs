// SPDX-License-Identifier: GPL-2.0

//! Blocks of main that fail: they move, are pending, or lose contents.

use std::{
    cell::RefCell,
    rc::Rc, //
};

use machine::{
    c,
    disk::BLAMES,
    fail,
    scheduler::{self, world}, //
};

use crate::{
    judgement::{Figures, Health},
    settings::MEDIUM,
    unit::Unit, //
};

impl Unit {
    /// The block goes to the spare with what is written. The rest follows, when nobody waits for it.
    pub(super) fn relocate_block_of_short_write(&'static self) {
        let (block, first) = (self.settings.block, self.inner_block());
        let status = world().random.of(&BLAMES);
        self.spoil_main(true, first + 1, status);
        let (from, len) = world()
            .random
            .of(&[(first, block), (first + 1, 1), (first, 2)]);
        let requests = self.main().requests;
        let counts = [("writes", 1), ("write_errors", 1), ("auto_remaps", 1)];
        self.expect_line("relocated to spare sector", || {
            self.expect_counts(&counts, true, || self.expect_write(from, len, true));
        });
        let requests = self.main().requests - requests;
        let rests = u64::from(from > first) + u64::from(from + len < first + block);
        // A suspicion is a second try, a witness before it and one behind, and one that the keeper asks.
        let tries = if MEDIUM.contains(&status) { 1 } else { 5 };
        if requests != tries + rests {
            fail!("{requests} requests go to main for one block, of which {rests} parts are good");
        }
        self.expect_remaps(&[first], "-");
        self.expect_read(first, block, true);
        self.expect_health(Health::Ok, Figures::remapped(1));
    }

    /// An error that does not name the medium has to come so many times.
    pub(super) fn try_as_often_as_set(&'static self) {
        let (block, first) = (self.settings.block, self.inner_block());
        let tries = world().random.between(3, 10);
        self.expect_reply(&format!("set tries {tries}"), Ok(""));
        self.check_arguments("relocate", &[("tries", tries)]);
        self.spoil_main(true, first, c::BLK_STS_IOERR);
        let requests = self.main().requests;
        let counts = [("writes", 1), ("write_errors", 1), ("auto_remaps", 1)];
        self.expect_counts(&counts, true, || self.expect_write(first, block, true));
        // With a witness before each try but the first, one behind the last, and one that the keeper asks.
        let requests = self.main().requests - requests;
        if requests != 2 * tries + 1 {
            fail!("{requests} requests go to main for {tries} tries");
        }
        self.expect_reply("set tries 2", Ok(""));
        self.check_arguments("relocate", &[]);
    }

    /// A write fails once. Only an error of the medium says that its block is bad.
    pub(super) fn fail_once(&'static self) {
        let first = self.inner_block();
        let (status, moves) = world()
            .random
            .of(&[(c::BLK_STS_MEDIUM, 1), (c::BLK_STS_IOERR, 0)]);
        let faults = &mut self.main().faults;
        let statuses = std::mem::replace(&mut faults.statuses, vec![status]);
        let next = world().requests + 1;
        world().doomed_requests = next..next + 1;
        let counts = [("writes", 1), ("write_errors", 1), ("auto_remaps", moves)];
        self.expect_counts(&counts, moves > 0, || self.expect_write(first, 1, true));
        world().doomed_requests = 0..0;
        self.main().faults.statuses = statuses;
        self.expect_remaps(&[first][..moves as usize], "-");
    }

    pub(super) fn relocate_block_of_long_write(&'static self) {
        let (block, first) = (self.settings.block, self.inner_block());
        self.spoil_main(true, first + block - 1, c::BLK_STS_MEDIUM);
        let counts = [("writes", 1), ("write_errors", 1), ("auto_remaps", 1)];
        self.expect_counts(&counts, true, || {
            self.expect_write(first - block, 3 * block, true)
        });
        self.expect_remaps(&[first], "-");
        self.expect_read(0, self.limit.get(), true);
    }

    /// A write to several bad blocks moves them together: their entries are written once.
    pub(super) fn relocate_together(&'static self) {
        let (block, first) = (self.settings.block, self.inner_block());
        for sector in [first - block, first, first + block] {
            self.spoil_main(true, sector, c::BLK_STS_MEDIUM);
        }
        let before = self.spare().requests;
        let counts = [("writes", 1), ("write_errors", 1), ("auto_remaps", 3)];
        self.expect_counts(&counts, true, || {
            self.expect_write(first - block, 3 * block, true)
        });
        // With a flush, or with both halves of a page, which may have to be read before.
        let most = 3 + if self.settings.volatile { 1 } else { 3 };
        // The first change upgrades an old area.
        let most = most + 2 * u64::from(self.settings.old_format);
        let sent = self.spare().requests - before;
        if sent > most {
            fail!("{sent} requests go to the spare for three blocks, and not {most}");
        }
        self.expect_remaps(&[first - block, first, first + block], "-");
    }

    /// The spare is slow. Who waits for one of several blocks that move does not wait for all of them.
    pub(super) fn relocate_slowly(&'static self) {
        let (block, first) = (self.settings.block, self.inner_block());
        let (before, behind) = (first - block, first + block);
        for sector in [before + 1, first, behind] {
            self.spoil_main(true, sector, c::BLK_STS_MEDIUM);
        }
        let spare = self.spare();
        let latency = std::mem::replace(&mut spare.latency, (600_000_000, 601_000_000));
        let requests = spare.requests;
        let writer = scheduler::spawn(self.name("writer", 0), false, move || {
            self.expect_write(before + 1, 2 * block, true)
        });
        while self.spare().requests == requests {
            scheduler::sleep(10_000_000);
        }
        let ends = Rc::new(RefCell::new(Vec::new()));
        let readers = [before + 1, behind + block - 1].map(|sector| {
            let ends = ends.clone();
            scheduler::spawn(self.name("reader", sector), false, move || {
                self.expect_read(sector, 1, true);
                ends.borrow_mut().push((world().now, sector));
            })
        });
        [writer, readers[0], readers[1]]
            .into_iter()
            .for_each(scheduler::join);
        let ends = ends.take();
        // When the first block has moved, its read goes to the spare, and the other one is on main still.
        if ends[1].1 != before + 1 || ends[1].0 - ends[0].0 < 500_000_000 {
            fail!("reads of sectors of two blocks that move slowly end at {ends:?}");
        }
        self.spare().latency = latency;
        self.wait_for_rest();
        self.expect_remaps(&[before, first, behind], "-");
    }

    pub(super) fn find_pending_blocks(&'static self) {
        let (block, first) = (self.settings.block, self.inner_block());
        self.spoil_main(false, first + 1, world().random.of(&BLAMES));
        let (from, len) = match world().random.one_in(2) {
            true => (first, block),
            // The keeper finds out which block is bad.
            false => (first - block, 3 * block),
        };
        let line = format!("sector {} is pending", self.shown(first));
        self.expect_line(&line, || {
            self.expect_counts(&[("reads", 1), ("read_errors", 1)], true, || {
                self.expect_read(from, len, false)
            });
        });
        self.expect_pending(&[first]);
        let pending = Figures {
            pending: 1,
            ..Figures::NONE
        };
        self.expect_health(Health::Degraded, pending);
        let list = format!("pending {}", self.shown(first));
        self.expect_reply(
            &format!("{list} 0"),
            Ok(&format!("more {}", self.shown(first))),
        );
        self.expect_reply("retry", Ok("cleared 0 pending 1 unread 0"));
        self.expect_read(first, 1, true);
        self.mend();
        self.expect_reply("retry", Ok("cleared 1 pending 0 unread 0"));
    }

    /// The block moves with what is written. What main refuses of the rest is unread.
    pub(super) fn write_to_pending_block(&'static self) {
        let (block, first) = (self.settings.block, self.inner_block());
        self.spoil_main(false, first + 1, world().random.of(&BLAMES));
        self.expect_read(first + 1, 1, false);
        let counts = [("writes", 1), ("auto_remaps", 1), ("read_errors", 1)];
        self.expect_counts(&counts, true, || self.expect_write(first, 1, true));
        self.expect_remaps(&[first], "unread");
        let unread = Figures {
            unread: 1,
            ..Figures::remapped(1)
        };
        self.expect_health(Health::Degraded, unread);
        self.read_missing_sector(first + 1);
        self.expect_reply("retry", Ok("cleared 0 pending 0 unread 1"));
        match world().random.below(3) {
            0 => {
                self.expect_write(first + 1, 1, true);
                self.expect_remaps(&[first], "-");
            }
            1 => {
                self.mend();
                self.expect_reply("retry", Ok("cleared 0 pending 0 unread 0"));
                self.expect_remaps(&[first], "-");
            }
            // Main has it as it always was.
            _ => {
                let text = format!("unremap {}", self.shown(first));
                self.expect_reply(&text, Ok("unremapped 1"));
                self.expect_read(first + 1, 1, false);
                self.mend();
            }
        }
        self.expect_read(first, block, true);
    }

    /// An unread or lost sector is an error at once, whatever main has.
    pub(super) fn read_missing_sector(&'static self, sector: u64) {
        let requests = || (self.main().requests, self.spare().requests);
        let before = requests();
        self.expect_counts(&[("reads", 1), ("read_errors", 1)], false, || {
            self.expect_read(sector, 1, false)
        });
        if before != requests() {
            fail!("sector {sector}, which is unread or lost, is read from a disk");
        }
    }

    pub(super) fn change_policy(&'static self) {
        let first = self.inner_block();
        self.spoil_main(true, first, world().random.of(&BLAMES));
        for (policy, pending) in [("off", 0), ("record", 1)] {
            self.expect_reply(&format!("policy {policy}"), Ok(""));
            self.check_arguments(policy, &[]);
            self.expect_counts(&[("writes", 1), ("write_errors", 1)], pending > 0, || {
                self.expect_write(first, 1, false)
            });
            self.expect_pending(&[first][..pending]);
            self.expect_remaps(&[], "-");
        }
        self.expect_reply("policy relocate", Ok(""));
        self.check_arguments("relocate", &[]);
    }

    /// Fails where `dmsetup table` prints other arguments than those of the device with that policy and settings.
    pub(super) fn check_arguments(&'static self, policy: &str, numbers: &[(&'static str, u64)]) {
        let sorted = |line: &str| {
            let (needed, options) = line.split_at(line.match_indices(' ').nth(3)?.0);
            let mut options: Vec<String> = options.split(' ').map(str::to_owned).collect();
            options.sort();
            Some((needed.to_owned(), options))
        };
        let printed = self.device().status(c::status_type_t_STATUSTYPE_TABLE);
        let mut settings = self.settings.clone();
        settings.error_policy = match policy {
            "off" => "off",
            "record" => "record",
            _ => "relocate",
        };
        settings.numbers = numbers.to_vec();
        let wanted = settings.line(1 + self.number, false);
        if sorted(&printed) != sorted(&wanted) {
            fail!("the arguments are printed as '{printed}', and not as '{wanted}'");
        }
    }

    /// An error of the path says nothing about a sector. It marks nothing, and ends a scrub.
    pub(super) fn fail_path_to_main(&'static self) {
        let (block, first) = (self.settings.block, self.inner_block());
        self.spoil_main(false, first + 1, c::BLK_STS_TIMEOUT);
        self.expect_counts(&[("reads", 1), ("read_errors", 1)], false, || {
            self.expect_read(first, block, false)
        });
        self.expect_health(Health::Ok, Figures::NONE);
        // What is read together ends before a block on the spare.
        self.move_away(first - block);
        self.expect_counts(&[], true, || {
            let line = format!("scrub stopped at sector {}: ", self.shown(first));
            self.expect_line(&line, || {
                self.expect_reply("scrub start 1", Ok(""));
                self.wait_for_scrub();
                scheduler::sleep(10_000_000);
            });
        });
        let stopped = format!("stopped {first}/{} unreadable 0", self.sectors.get());
        self.expect_reply("scrub status", Ok(&stopped));
    }
}
