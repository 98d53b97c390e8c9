// SPDX-License-Identifier: GPL-2.0

//! Devices that answer nothing for a while, and a main that takes no writes.

use machine::{
    c,
    disk::BLAMES,
    fail,
    scheduler::{self, world}, //
};

use crate::{
    errno::ENOLINK,
    judgement::{Figures, Health},
    unit::Unit, //
};

const SECOND: u64 = 1_000_000_000;

/// The longest that the target takes to find out by itself that a device answers again, or is gone, in nanoseconds.
const RETURN: u64 = 31 * SECOND;

/// Statuses of a device that does not answer.
const SILENT: [u8; 4] = [
    c::BLK_STS_IOERR,
    c::BLK_STS_TARGET,
    c::BLK_STS_TRANSPORT,
    c::BLK_STS_TIMEOUT,
];

impl Unit {
    /// Main answers nothing. Nothing moves and nothing is marked, and when it answers all is as before.
    pub(super) fn fail_main_for_a_while(&'static self) {
        let (block, first) = (self.settings.block, self.inner_block());
        self.spoil_main(false, first + block, c::BLK_STS_MEDIUM);
        self.expect_read(first + block, 1, false);
        self.expect_pending(&[first + block]);
        let figures = Figures {
            pending: 1,
            ..Figures::NONE
        };
        self.main().faults.outage = Some(world().random.of(&SILENT));
        self.expect_line("main_dev does not answer", || {
            self.expect_counts(&[("writes", 1), ("write_errors", 1)], true, || {
                self.expect_write(first, 1, false)
            });
        });
        self.expect_counts(&[("reads", 1), ("read_errors", 1)], false, || {
            self.expect_read(first, 1, false)
        });
        // A write to a pending block goes to main.
        self.expect_counts(&[("writes", 1), ("write_errors", 1)], false, || {
            self.expect_write(first + block, 1, false)
        });
        self.expect_health(Health::Outage, figures);
        self.expect_reply(&format!("remap {}", self.shown(first)), Err(ENOLINK));
        let requests = self.main().requests;
        self.expect_reply("retry", Err(ENOLINK));
        // One may be of a probe.
        if self.main().requests > requests + 1 {
            fail!("a retry reads from main, which does not answer");
        }
        self.expect_health(Health::Outage, figures);
        self.expect_reply("scrub start", Ok(""));
        scheduler::sleep(SECOND);
        let waits = format!("running 0/{} unreadable 0", self.sectors.get());
        self.expect_reply("scrub status", Ok(&waits));
        self.expect_line("main_dev answers again", || {
            self.expect_counts(&[("reads", 1)], true, || {
                self.main().faults.outage = None;
                self.come_back(first);
            })
        });
        let ended = self.wait_for_scrub();
        if ended != format!("done {} unreadable 1", self.sectors.get()) {
            fail!("a scrub of one bad block that had to wait ends with '{ended}'");
        }
        self.expect_health(Health::Degraded, figures);
    }

    /// A write fails, and main answers no more when the write is tried again: the block may be good, and stays.
    pub(super) fn fail_main_between_tries(&'static self) {
        let first = self.inner_block();
        self.spoil_main(true, first, c::BLK_STS_IOERR);
        // The write, and a witness that main still returns.
        self.main().faults.outage_from = self.main().requests + 3;
        self.main().faults.outage = Some(c::BLK_STS_IOERR);
        self.expect_line("main_dev does not answer", || {
            self.expect_counts(&[("writes", 1), ("write_errors", 1)], true, || {
                self.expect_write(first, 1, false)
            });
        });
        self.expect_health(Health::Outage, Figures::NONE);
        self.main().faults.outage_from = 0;
        self.main().faults.outage = None;
        self.mend();
        scheduler::sleep(RETURN);
        self.expect_write(first, 1, true);
        self.expect_health(Health::Ok, Figures::NONE);
    }

    /// A device answers again, which a bio finds out, or the target itself.
    fn come_back(&'static self, sector: u64) {
        if world().random.one_in(2) {
            self.expect_read(sector, 1, true);
        } else {
            scheduler::sleep(RETURN);
            self.expect_read(sector, 1, true);
        }
    }

    /// The spare answers nothing. Main has only its own errors meanwhile, and no block moves.
    pub(super) fn fail_spare_for_a_while(&'static self) {
        let (block, first) = (self.settings.block, self.inner_block());
        self.move_away(first);
        self.spare().faults.outage = Some(world().random.of(&SILENT));
        let counts = [("writes", 1), ("remapped_writes", 1), ("spare_errors", 1)];
        self.expect_line("spare_dev does not answer", || {
            self.expect_counts(&counts, true, || self.expect_write(first, 1, false));
        });
        self.expect_health(Health::SpareFailing, Figures::remapped(1));
        let shown = self.shown(first);
        self.expect_reply(&format!("unremap {shown}"), Err(ENOLINK));
        self.expect_reply(&format!("remap {}", shown + block), Err(ENOLINK));
        self.spoil_main(true, first + block, c::BLK_STS_MEDIUM);
        self.expect_counts(&[("writes", 1), ("write_errors", 1)], false, || {
            self.expect_write(first + block, 1, false)
        });
        self.expect_write(first - 1, 1, true);
        self.expect_health(Health::SpareFailing, Figures::remapped(1));
        let counts = [("reads", 1), ("remapped_reads", 1)];
        self.expect_line("spare_dev answers again", || {
            self.expect_counts(&counts, true, || {
                self.spare().faults.outage = None;
                self.come_back(first);
            })
        });
        self.expect_health(Health::Ok, Figures::remapped(1));
        self.expect_write(first + block, block, true);
        self.expect_remaps(&[first, first + block], "-");
    }

    /// The spare is gone, and nothing is on it. That costs nothing but health.
    pub(super) fn lose_unused_spare(&'static self) {
        let first = self.inner_block();
        self.expect_counts(&[("writes", 1), ("reads", 1)], true, || {
            self.spare().faults.gone = true;
            self.spare().has_failed = true;
            self.expect_write(first, 1, true);
            self.flush();
            self.expect_read(first, 1, true);
            scheduler::sleep(RETURN);
        });
        self.expect_health(Health::SpareFailing, Figures::NONE);
        self.spare().faults.gone = false;
        scheduler::sleep(RETURN);
        self.expect_health(Health::Ok, Figures::NONE);
    }

    /// Half of main times out. Sectors of the other half are asked, too, and there is no outage.
    pub(super) fn time_out_half_of_main(&'static self) {
        for sector in 0..self.limit.get() / 2 {
            self.spoil_main(false, sector, c::BLK_STS_TIMEOUT);
        }
        self.expect_read(0, 1, false);
        self.expect_health(Health::Ok, Figures::NONE);
    }

    /// Main is slow, and one sector of it times out. That sector alone does not keep an outage going.
    pub(super) fn time_out_witness(&'static self) {
        let first = self.inner_block();
        self.main().faults.outage = Some(c::BLK_STS_TIMEOUT);
        self.expect_write(first, 1, false);
        self.expect_health(Health::Outage, Figures::NONE);
        self.main().faults.outage = None;
        // The one that is asked first of a main of which nothing is known.
        self.spoil_main(false, 0, c::BLK_STS_TIMEOUT);
        let latency = std::mem::replace(&mut self.main().latency, (3 * SECOND, 3_100_000_000));
        scheduler::sleep(RETURN);
        self.main().latency = latency;
        self.expect_health(Health::Ok, Figures::NONE);
    }

    /// A main that does not answer is asked with pauses that are settings.
    pub(super) fn probe_as_often_as_set(&'static self) {
        let first = self.inner_block();
        self.expect_reply("set probe_min 4000", Ok(""));
        self.expect_reply("set probe_max 8000", Ok(""));
        let numbers = [("probe_min", 4_000), ("probe_max", 8_000)];
        self.check_arguments("relocate", &numbers);
        self.wait_for_rest();
        self.main().faults.outage = Some(c::BLK_STS_TIMEOUT);
        self.expect_write(first, 1, false);
        scheduler::sleep(SECOND);
        for pause in [4, 8, 8] {
            let before = self.main().requests;
            scheduler::sleep((pause - 2) * SECOND);
            if self.main().requests != before {
                fail!("main is asked before {pause} s have passed");
            }
            scheduler::sleep(2 * SECOND);
            if self.main().requests == before {
                fail!("main is not asked within {pause} s");
            }
        }
        self.main().faults.outage = None;
        self.expect_read(first, 1, true);
        self.expect_reply("set probe_min 1000", Ok(""));
        self.expect_reply("set probe_max 30000", Ok(""));
        self.expect_health(Health::Ok, Figures::NONE);
    }

    /// Main refuses every write: so many blocks move as is set, and no other.
    pub(super) fn refuse_all_writes(&'static self) {
        let (block, first) = (self.settings.block, self.inner_block());
        let count = world().random.between(1, 4);
        self.expect_reply(&format!("set breaker_count {count}"), Ok(""));
        self.expect_reply("set breaker_window 60000", Ok(""));
        let numbers = [("breaker_count", count), ("breaker_window", 60_000)];
        self.check_arguments("relocate", &numbers);
        let status = world().random.of(&BLAMES);
        for sector in 0..self.limit.get() {
            self.spoil_main(true, sector, status);
        }
        let mut blocks = self.all_blocks().map(|(first, _)| first);
        let blocks: Vec<u64> = blocks.by_ref().filter(|other| *other != first).collect();
        let moved = &blocks[..count as usize];
        let counts = [("writes", 1), ("write_errors", 1), ("auto_remaps", 1)];
        for first in moved {
            self.expect_counts(&counts, true, || self.expect_write(*first, block, true));
        }
        self.expect_line("main_dev fails wholesale", || {
            self.expect_counts(&counts[..2], true, || self.expect_write(first, 1, false));
        });
        let figures = Figures::remapped(count);
        self.expect_health(Health::Failing, figures);
        // Its errors mark nothing, and blocks on the spare still work.
        self.spoil_main(false, first, c::BLK_STS_MEDIUM);
        self.expect_counts(&[("reads", 1), ("read_errors", 1)], false, || {
            self.expect_read(first, 1, false)
        });
        self.expect_counts(&counts[..2], false, || self.expect_write(first, 1, false));
        self.expect_write(moved[0], 1, true);
        self.expect_health(Health::Failing, figures);
        let last = blocks[blocks.len() - 1];
        self.expect_counts(&[("manual_remaps", 1)], false, || _ = self.move_away(last));
        self.mend();
        match world().random.below(3) {
            0 => self.expect_write(first, 1, true),
            1 => self.expect_reply("policy relocate", Ok("")),
            _ => scheduler::sleep(RETURN),
        }
        self.expect_health(Health::Ok, Figures::remapped(count + 1));
        self.expect_reply("set breaker_count 64", Ok(""));
        self.expect_reply("set breaker_window 10000", Ok(""));
    }

    /// Main refuses writes to more blocks in a row than is set, and takes others: each of them moves. Blocks that are good
    /// are written back meanwhile, while users write to them.
    pub(super) fn refuse_writes_to_stretch(&'static self) {
        let block = self.settings.block;
        let count = world().random.between(1, 3);
        self.expect_reply(&format!("set breaker_count {count}"), Ok(""));
        self.expect_reply("set breaker_window 60000", Ok(""));
        for sector in 0..(count + 2) * block {
            self.spoil_main(true, sector, c::BLK_STS_MEDIUM);
        }
        let counts = [("writes", 1), ("write_errors", 1), ("auto_remaps", 1)];
        let blocks: Vec<u64> = (0..count + 2).map(|number| number * block).collect();
        let (last, others) = blocks.split_last().expect("three blocks");
        for first in others {
            self.expect_counts(&counts, true, || self.expect_write(*first, block, true));
        }
        let latency = std::mem::replace(&mut self.main().latency, (1_000_000, 400_000_000));
        let (good, end) = (last + block, self.limit.get());
        let writer = scheduler::spawn(self.name("writer", 0), false, move || {
            for _ in 0..3 {
                self.expect_write(good, end - good, true);
            }
        });
        self.expect_write(*last, block, true);
        scheduler::join(writer);
        self.main().latency = latency;
        self.expect_remaps(&blocks, "-");
        self.expect_read(good, end - good, true);
        self.expect_health(Health::Ok, Figures::remapped(count + 2));
        self.expect_reply("set breaker_count 64", Ok(""));
        self.expect_reply("set breaker_window 10000", Ok(""));
    }
}
