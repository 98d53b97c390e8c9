// SPDX-License-Identifier: GPL-2.0

//! Contents that did not move with their block: unread sectors, which main has, and lost ones.

use machine::{
    c,
    disk::BLAMES,
    fail,
    scheduler::{self, world}, //
};

use crate::{
    errno::EIO,
    judgement::{Figures, Health},
    unit::Unit, //
};

/// The longest that one request takes which began with the longest latency, in nanoseconds.
const REQUEST: u64 = 20_200_000_000;

impl Unit {
    /// A message leaves the contents of a block to main. Nobody reads them there before that is wanted.
    pub(super) fn leave_contents(&'static self) {
        let (block, first) = (self.settings.block, self.inner_block());
        let requests = self.main().requests;
        self.expect_counts(&[("manual_remaps", 1)], true, || self.give_up(first, 1));
        if self.main().requests != requests {
            fail!("main is asked for a block that is left to it");
        }
        self.expect_remaps(&[first], "unread");
        let unread = |unread| Figures {
            unread,
            ..Figures::remapped(1)
        };
        self.expect_health(Health::Degraded, unread(block));
        self.read_missing_sector(first);
        self.expect_write(first, 1, true);
        self.expect_health(Health::Degraded, unread(block - 1));
        match world().random.below(3) {
            0 => {
                self.expect_write(first + 1, block - 1, true);
                self.expect_remaps(&[first], "-");
                self.expect_health(Health::Ok, unread(0));
            }
            1 => {
                let requests = self.main().requests;
                self.expect_reply("retry", Ok("cleared 0 pending 0 unread 0"));
                let requests = self.main().requests - requests;
                if requests != 1 {
                    fail!("{requests} requests go to main for sectors that are neighbours");
                }
                self.expect_remaps(&[first], "-");
                self.expect_health(Health::Ok, unread(0));
            }
            _ => {}
        }
        self.expect_reply("clear", Ok("cleared 1"));
        self.expect_read(first, block, true);
    }

    /// A slot fails, and a sector of it had contents that were nowhere else.
    pub(super) fn lose_contents(&'static self) {
        let (block, first) = (self.settings.block, self.inner_block());
        let slot = self.move_away(first);
        let status = world().random.of(&BLAMES);
        self.spare().faults.unreadable.insert(slot + 1, status);
        self.spoil_slots(&[slot], status);
        let counts = [("writes", 1), ("remapped_writes", 1), ("spare_errors", 2)];
        self.expect_counts(&counts, true, || self.expect_write(first, 1, true));
        self.judge.failed_slots.borrow_mut().push(slot);
        self.expect_remaps(&[first], "lost");
        let lost = Figures {
            lost: 1,
            ..Figures::remapped(1)
        };
        self.expect_health(Health::Degraded, lost);
        self.read_missing_sector(first + 1);
        let unremap = format!("unremap {}", self.shown(first));
        self.expect_reply(&unremap, Err(EIO));
        self.expect_reply("clear", Err(EIO));
        self.mend();
        // The slot can be read again, and has nothing there.
        self.expect_reply(&unremap, Err(EIO));
        self.expect_reply("clear", Err(EIO));
        self.expect_reply("retry", Ok("cleared 0 pending 0 unread 0"));
        self.expect_health(Health::Degraded, lost);
        self.expect_write(first + 1, 1, true);
        self.expect_remaps(&[first], "-");
        self.expect_health(Health::Ok, Figures::remapped(1));
        self.expect_read(first, block, true);
        self.expect_reply("clear", Ok("cleared 1"));
    }

    /// The slot of a block refuses what is salvaged, and the block moves on. Health is degraded before and after that.
    pub(super) fn fill_bad_slot(&'static self) {
        let (block, first) = (self.settings.block, self.inner_block());
        let sector = self.settings.main_start + first;
        let status = world().random.of(&BLAMES);
        self.spoil_main(false, first, c::BLK_STS_MEDIUM);
        self.spoil_main(false, first + 1, c::BLK_STS_MEDIUM);
        let slot = self.move_away(first);
        self.spoil_main(false, first + block, c::BLK_STS_MEDIUM);
        self.expect_read(first + block, 1, false);
        let unread = |unread| Figures {
            unread,
            pending: 1,
            ..Figures::remapped(1)
        };
        self.expect_health(Health::Degraded, unread(2));
        self.main().faults.unreadable.remove(&(sector + 1));
        self.spoil_slots(&[slot + 1], status);
        self.expect_line("relocated to spare sector", || {
            // The other sector is refused before the block moves, and behind that.
            let counts = [("read_errors", 2), ("spare_errors", 1)];
            self.expect_counts(&counts, true, || {
                self.expect_reply("retry", Ok("cleared 0 pending 1 unread 1"))
            });
        });
        if self.slot_of(first) == Some(slot) {
            fail!("sector {first} is in slot {slot}, which has failed");
        }
        self.judge.failed_slots.borrow_mut().push(slot);
        self.expect_remaps(&[first], "unread");
        self.expect_health(Health::Degraded, unread(1));
        self.expect_read(first + 1, block - 1, true);
    }

    /// A block moves while a write to its good sectors is on its way to main: what is salvaged has it.
    pub(super) fn salvage_behind_writes(&'static self) {
        let (block, first) = (self.settings.block, self.inner_block());
        if block == 1 {
            return;
        }
        self.spoil_main(true, first, c::BLK_STS_MEDIUM);
        let latency = std::mem::replace(&mut self.main().latency, (1_000_000, 400_000_000));
        let writer = scheduler::spawn(self.name("writer", 0), false, move || {
            self.expect_write(first + 1, block - 1, true)
        });
        self.expect_write(first, 1, true);
        scheduler::join(writer);
        self.main().latency = latency;
        self.wait_for_rest();
        self.expect_remaps(&[first], "-");
        self.expect_read(first, block, true);
    }

    /// Main takes ten seconds for a request. Neither a write nor a suspend waits until the rest of a block is read.
    pub(super) fn salvage_slowly(&'static self) {
        let (block, first) = (self.settings.block, self.inner_block());
        if block < 8 {
            return;
        }
        self.spoil_main(true, first, c::BLK_STS_MEDIUM);
        self.spoil_main(false, first + block - 1, c::BLK_STS_MEDIUM);
        let latency = std::mem::replace(&mut self.main().latency, (10_000_000_000, 10_100_000_000));
        let counts = [
            ("writes", 1),
            ("write_errors", 1),
            ("auto_remaps", 1),
            ("reads", 1),
            // One logical block of main cannot be read.
            ("read_errors", 1),
        ];
        self.expect_counts(&counts, true, || {
            self.expect_soon("a write", REQUEST + 100_000_000, || {
                self.expect_write(first, 1, true)
            });
            self.expect_remaps(&[first], "unread");
            // Main has it so far.
            self.expect_read(first + 1, 1, true);
            self.expect_soon("a suspend", REQUEST + 100_000_000, || self.begin_suspend());
            self.main().latency = latency;
            self.resume();
        });
        self.expect_remaps(&[first], "unread");
        let unread = Figures {
            unread: 1,
            ..Figures::remapped(1)
        };
        self.expect_health(Health::Degraded, unread);
        self.expect_read(first, block - 1, true);
        self.read_missing_sector(first + block - 1);
    }

    /// Main does not say that a sector is bad: it stays untried, and reads of it go to main.
    pub(super) fn fail_path_of_salvage(&'static self) {
        let (block, first) = (self.settings.block, self.inner_block());
        let before = self.shown(first - block);
        self.spoil_main(false, first + 1, c::BLK_STS_TIMEOUT);
        self.expect_counts(&[("manual_remaps", 3)], false, || {
            self.expect_reply(
                &format!("remap {before} {}", 3 * block),
                Ok("remapped 3 already 0"),
            );
        });
        let unread = Figures {
            unread: block,
            ..Figures::remapped(3)
        };
        self.expect_health(Health::Ok, unread);
        self.expect_read(first, 1, true);
        self.expect_counts(&[("reads", 1), ("read_errors", 1)], false, || {
            self.expect_read(first + 1, 1, false)
        });
        self.mend();
        self.expect_reply("retry", Ok("cleared 0 pending 0 unread 0"));
        self.expect_health(Health::Ok, Figures::remapped(3));
        self.expect_read(first - block, 3 * block, true);
    }
}
