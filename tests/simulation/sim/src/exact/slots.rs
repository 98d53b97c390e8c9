// SPDX-License-Identifier: GPL-2.0

//! Slots that fail, or are all taken, and the cache of the spare.

use machine::{
    c,
    disk::BLAMES,
    fail,
    scheduler::world, //
};

use crate::{
    errno::{EIO, ENOSPC},
    judgement::{Figures, Health},
    settings::MEDIUM,
    unit::Unit, //
};

/// Most slots that a block tries besides the first one.
const MAX_REFUSED: u64 = 7;

impl Unit {
    /// Returns the slots that the next block tries, in this order: a table goes through its slots in a circle.
    pub(super) fn next_slots(&'static self, first: u64, count: u64) -> Vec<u64> {
        let mut slot = self.move_away(first);
        let mut slots = Vec::new();
        let bad = self.judge.failed_slots.borrow().clone();
        while (slots.len() as u64) < count {
            slot = self.free_slot_after(slot).unwrap_or(0);
            if !bad.contains(&slot) {
                slots.push(slot);
            }
        }
        self.expect_reply(
            &format!("unremap {}", self.shown(first)),
            Ok("unremapped 1"),
        );
        slots
    }

    pub(super) fn spoil_slots(&self, slots: &[u64], status: u8) {
        let faults = &mut self.spare().faults;
        faults
            .unwritable
            .extend(slots.iter().map(|slot| (*slot, status)));
    }

    pub(super) fn refuse_some_slots(&'static self) {
        let first = self.inner_block();
        let count = world().random.between(1, MAX_REFUSED);
        let slots = self.next_slots(first, count + 1);
        let refused = &slots[..count as usize];
        let status = world().random.of(&BLAMES);
        self.spoil_slots(refused, status);
        // Of a suspicion there is a second one.
        let errors = if MEDIUM.contains(&status) {
            count
        } else {
            2 * count
        };
        let moves = world().random.one_in(2);
        let counts = match moves {
            true => vec![("manual_remaps", 1), ("spare_errors", errors)],
            false => vec![
                ("writes", 1),
                ("write_errors", 1),
                ("auto_remaps", 1),
                ("spare_errors", errors),
            ],
        };
        self.expect_line("has failed, and is not used any more", || {
            self.expect_counts(&counts, !moves, || match moves {
                true => _ = self.move_away(first),
                false => {
                    self.spoil_main(true, first, c::BLK_STS_MEDIUM);
                    self.expect_write(first, 1, true);
                }
            });
        });
        if self.slot_of(first) != slots.last().copied() {
            fail!("sector {first} is not in slot {:?}", slots.last());
        }
        self.judge.failed_slots.borrow_mut().extend(refused);
        self.expect_read(0, self.limit.get(), true);
    }

    pub(super) fn refuse_too_many_slots(&'static self) {
        let first = self.inner_block();
        let slots = self.next_slots(first, MAX_REFUSED + 1);
        self.spoil_slots(&slots, c::BLK_STS_MEDIUM);
        let errors = MAX_REFUSED + 1;
        if world().random.one_in(2) {
            self.fail_relocation(first, errors, || {});
        } else {
            let text = format!("remap {}", self.shown(first));
            self.expect_counts(&[("spare_errors", errors)], false, || {
                self.expect_line("the devices refused, or sectors are lost; 0 blocks", || {
                    self.expect_reply(&text, Err(EIO))
                });
            });
        }
        for slot in slots {
            self.spare().blamed.remove(&slot);
        }
    }

    /// Main refuses a write, and so does the spare, `errors` times.
    fn fail_relocation(&'static self, first: u64, errors: u64, spoil: impl FnOnce()) {
        self.spoil_main(true, first, c::BLK_STS_MEDIUM);
        let counts = [("writes", 1), ("write_errors", 1), ("spare_errors", errors)];
        self.expect_line("cannot be relocated: ", || {
            self.expect_counts(&counts, false, || {
                spoil();
                self.expect_write(first, 1, false);
            });
        });
        self.expect_remaps(&[], "-");
    }

    /// The spare fails in ways that say nothing about a slot.
    pub(super) fn fail_slots_otherwise(&'static self) {
        let (first, blamed) = (self.inner_block(), self.spare().blamed.clone());
        let gone = world().random.one_in(2);
        let slots = self.next_slots(first, 1);
        self.fail_relocation(first, 1, || {
            self.spare().has_failed = true;
            match gone {
                true => self.spare().faults.gone = true,
                false => self.spoil_slots(&slots, c::BLK_STS_TIMEOUT),
            }
        });
        self.spare().blamed = blamed;
    }

    pub(super) fn fail_slot_in_use(&'static self) {
        let (block, first) = (self.settings.block, self.inner_block());
        let slot = self.move_away(first);
        self.spoil_slots(&[slot + 1], world().random.of(&BLAMES));
        let (from, len) = world().random.of(&[(first, block), (first + 1, 1)]);
        let counts = [("writes", 1), ("remapped_writes", 1), ("spare_errors", 1)];
        self.expect_counts(&counts, true, || self.expect_write(from, len, true));
        self.expect_remaps(&[first], "-");
        self.judge.failed_slots.borrow_mut().push(slot);
        self.expect_read(first, block, true);
    }

    /// The spare takes ten seconds for a request. A block with a slot that fails does not move where its rest would take
    /// more than a minute.
    pub(super) fn leave_slot_too_slowly(&'static self) {
        let (block, first) = (self.settings.block, self.inner_block());
        if block < 8 {
            return;
        }
        let slot = self.move_away(first);
        self.spoil_slots(&[slot], c::BLK_STS_MEDIUM);
        let last = slot + block - 1;
        self.spare()
            .faults
            .unreadable
            .insert(last, c::BLK_STS_MEDIUM);
        let latency =
            std::mem::replace(&mut self.spare().latency, (10_000_000_000, 10_100_000_000));
        let counts = [("writes", 1), ("remapped_writes", 1), ("spare_errors", 1)];
        self.expect_counts(&counts, false, || {
            self.expect_write(first, 1, false);
            self.spare().latency = latency;
        });
        if self.slot_of(first) != Some(slot) {
            fail!("sector {first} has moved, and its slot takes minutes");
        }
        self.expect_remaps(&[first], "-");
    }

    /// The second of three neighbours has a slot that fails.
    pub(super) fn fail_middle_of_range(&'static self) {
        let (block, first) = (self.settings.block, self.inner_block());
        let slots = self.next_slots(first, 2);
        self.spoil_slots(&slots[1..], c::BLK_STS_TIMEOUT);
        let counts = [("manual_remaps", 1), ("spare_errors", 1)];
        self.expect_counts(&counts, false, || {
            let text = format!("remap {} {}", self.shown(first - block), 3 * block);
            let line = format!("remap stopped at sector {}: ", self.shown(first));
            self.expect_line(&line, || {
                self.expect_line("; 1 blocks were moved", || {
                    self.expect_reply(&text, Err(EIO))
                })
            });
        });
        self.expect_remaps(&[first - block], "-");
    }

    pub(super) fn fill_spare(&'static self) {
        let (block, begin) = (self.settings.block, self.settings.begin);
        let slots = self.status().slots;
        let free = slots - self.judge.failed_slots.borrow().len() as u64;
        let few = free - slots.div_ceil(10);
        let blocks = self.limit.get().div_ceil(block);
        if blocks <= free {
            return;
        }
        let remap = |blocks: u64| format!("remap {begin} {}", blocks * block);
        self.expect_reply(&remap(few), Ok(&format!("remapped {few} already 0")));
        self.expect_health(Health::Ok, Figures::remapped(few));
        self.expect_reply(&remap(few + 1), Ok(&format!("remapped 1 already {few}")));
        self.expect_health(Health::SpareLow, Figures::remapped(few + 1));
        let left = free - few - 1;
        self.expect_counts(&[("manual_remaps", left)], true, || {
            self.expect_reply(&format!("remap {begin} {}", self.limit.get()), Err(ENOSPC));
        });
        self.expect_health(Health::SpareFull, Figures::remapped(free));
        let last = self.limit.get() - 1;
        self.spoil_main(true, last, c::BLK_STS_MEDIUM);
        self.expect_counts(&[("writes", 1), ("write_errors", 1)], false, || {
            self.expect_write(last, 1, false)
        });
        self.expect_read(0, self.limit.get(), true);
        self.expect_reply("clear", Ok(&format!("cleared {free}")));
    }

    /// A flush goes to the spare where it was written since the last one.
    pub(super) fn flush_what_was_written(&'static self) {
        let flushes = |wanted: u64, why: &str| {
            let before = (self.main().requests, self.spare().requests);
            self.flush();
            let sent = (
                self.main().requests - before.0,
                self.spare().requests - before.1,
            );
            if sent != (1, wanted) {
                fail!("a flush sends {sent:?} requests where {why}");
            }
        };
        let (first, blamed) = (self.inner_block(), self.spare().blamed.clone());
        flushes(0, "nothing is on the spare");
        self.move_away(first);
        self.flush();
        flushes(0, "nothing was written to the spare");
        self.expect_write(first, 1, true);
        flushes(1, "a block on the spare was written");
        flushes(0, "another flush has just ended");
        self.expect_write(first, 1, true);
        self.spoil_slots(&[self.slot_of(first).unwrap_or(0)], c::BLK_STS_MEDIUM);
        self.expect_reply("policy off", Ok(""));
        flushes(1, "a block on the spare was written");
        self.expect_write(first, 1, false);
        flushes(0, "a write to the spare has failed");
        self.mend();
        self.spare().blamed = blamed;
        self.expect_write(first, 1, true);
        self.expect_reply("clear", Ok("cleared 1"));
        flushes(0, "nothing is on the spare any more");
    }
}
