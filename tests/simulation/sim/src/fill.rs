// SPDX-License-Identifier: GPL-2.0

//! Aimed histories: lost sectors that are written while their block moves, and a main disk that refuses
//! every write.

use machine::{
    c,
    disk::BLAMES,
    fail,
    scheduler::{self, world},
    trace, //
};

use crate::{
    judgement::Health,
    kind::Kind,
    unit::Unit, //
};

/// Blocks of which half are more than the breaker lets through.
const MANY: u64 = 260;

/// Most blocks that move while main refuses every write.
const MAX_RELOCATED: u64 = 64;

/// Most blocks of a pass.
const MAX_BATCH: u64 = 256;

impl Unit {
    /// Lost sectors are written, while a write to another sector of the block fails, and the block moves.
    pub(crate) fn fill_rounds(&'static self, life: u64) {
        if self.settings.kind == Kind::Pages {
            // The next slots are in two pages.
            let (page, sectors) = (self.settings.first_page(), self.limit.get());
            let most = page.min(sectors) - 2;
            let taken = world().random.between(most.saturating_sub(8), most);
            self.give_up(0, taken);
        }
        let rounds = match self.settings.kind {
            Kind::Pages => world().random.between(4, 11),
            _ => world().random.between(3, 9),
        };
        for _ in 0..rounds {
            let blocks = self.limit.get().div_ceil(self.settings.block);
            let block = match self.settings.kind {
                Kind::Pages => blocks - 1 - world().random.below(4),
                _ => world().random.below(blocks),
            };
            let first = block * self.settings.block;
            let len = self.settings.block.min(self.limit.get() - first);
            if self.settings.kind == Kind::Pages && life < self.settings.cuts {
                let points = world().random.of(&[500, 2_000, 8_000]);
                scheduler::cut_power_after(world().random.below(points));
            }
            self.fill_round(first, len);
        }
    }

    fn fill_round(&'static self, first: u64, len: u64) {
        self.give_up(first, len);
        let slot = self.slot_of(first);
        if let Some(slot) = slot {
            let at = slot + world().random.below(len);
            self.spare().faults.unwritable.insert(at, c::BLK_STS_MEDIUM);
            if world().random.one_in(3) {
                // What was written there is lost when the block moves, and the rest is unread.
                let at = slot + world().random.below(len);
                let faults = &mut self.spare().faults;
                faults.unreadable.insert(at, c::BLK_STS_MEDIUM);
            }
        }
        let writers = world().random.between(2, 4);
        self.common.at_work.set(writers as u32);
        let mut tasks: Vec<usize> = (0..writers)
            .map(|n| {
                scheduler::spawn(self.name("user", n), false, move || {
                    self.write_block(first, len)
                })
            })
            .collect();
        if !self.settings.faults.is_empty() && world().random.one_in(2) {
            tasks.push(scheduler::spawn(self.name("fault", 0), false, move || {
                self.fail_now_and_then()
            }));
        }
        for task in tasks {
            scheduler::join(task);
        }
        self.status();
        self.heal();
        let moved = self.slot_of(first);
        if let (Some(old), Some(_)) = (slot.filter(|_| slot != moved), moved) {
            self.judge.failed_slots.borrow_mut().push(old);
        }
        for sector in (first..first + len).step_by(self.settings.logical as usize) {
            self.read(sector, self.settings.logical.min(first + len - sector));
        }
    }

    fn write_block(&'static self, first: u64, len: u64) {
        let count = world().random.between(1, 3);
        for _ in 0..count {
            let logical = self.settings.logical;
            let at = world().random.below(len) / logical * logical;
            let most = len - at;
            let len = world()
                .random
                .between(1, most)
                .next_multiple_of(logical)
                .min(most);
            if world().random.one_in(6) {
                self.flush();
            }
            self.write(first + at, len);
            self.rest(self.settings.pause.min(200_000));
        }
        self.common.at_work.set(self.common.at_work.get() - 1);
    }

    /// Main refuses every write, with whatever status, and users go on.
    pub(crate) fn fail_wholesale(&'static self) {
        if world().random.one_in(4) {
            return self.rewrite_pending();
        }
        let blocks = self.limit.get().div_ceil(self.settings.block);
        if blocks > MANY && world().random.one_in(2) {
            return self.write_damaged_stretch(blocks / 2);
        }
        if world().random.one_in(4) {
            return self.relocate_among_good_writes();
        }
        self.fail_long_writes();
        let status = world().random.of(&self.settings.bad_statuses);
        let main = self.main();
        for sector in 0..main.sectors() {
            main.faults.unwritable.insert(sector, status);
        }
        let began = world().now;
        self.write_every_block();
        let moved = self.counter("auto_remaps");
        let took = (world().now - began) / 1_000_000;
        trace!("{moved} blocks were relocated in {took} ms");
        if moved > MAX_RELOCATED && took < 10_000 {
            fail!("{moved} blocks were relocated in {took} ms while no write to main went well");
        }
        self.main().faults.unwritable.clear();
        // Main takes writes again, which is found out while blocks are written.
        for _ in 0..world().random.below(4) {
            self.write_every_block();
        }
    }

    /// Users write to all blocks.
    fn write_every_block(&'static self) {
        let users = self.settings.submitters;
        self.common.at_work.set(users as u32);
        let tasks: Vec<usize> = (0..users)
            .map(|n| {
                scheduler::spawn(self.name("user", n), false, move || {
                    self.write_all(n, users);
                })
            })
            .collect();
        for task in tasks {
            scheduler::join(task);
        }
    }

    /// Main refuses to write to more blocks in a row than the breaker lets through, and the others are good: each bad
    /// one moves, as long as there are slots.
    fn write_damaged_stretch(&'static self, blocks: u64) {
        let status = world().random.of(&BLAMES);
        let main = self.main();
        for sector in 0..blocks * self.settings.block {
            let on_main = self.settings.main_start + sector;
            main.faults.unwritable.insert(on_main, status);
        }
        self.write_every_block();
        let status = self.status();
        let expected = status.slots.min(blocks);
        let moved = self.counter("auto_remaps");
        if moved != expected || status.health == Health::Failing {
            fail!("{moved} of {expected} bad blocks have moved: {status:?}");
        }
        self.main().faults.unwritable.clear();
    }

    /// A write of many blocks fails once. If they are more than a pass moves, they are not tried one by one.
    fn fail_long_writes(&'static self) {
        let block = self.settings.block;
        for (blocks, single) in [(MAX_BATCH, true), (MAX_BATCH + 1, false)] {
            if blocks * block > self.limit.get() {
                return;
            }
            let statuses =
                std::mem::replace(&mut self.main().faults.statuses, vec![c::BLK_STS_IOERR]);
            let requests = self.main().requests;
            let next = world().requests + 1;
            world().doomed_requests = next..next + 1;
            if !self.change(0, blocks * block, c::REQ_OP_WRITE) {
                fail!("a write that fails once is not written");
            }
            world().doomed_requests = 0..0;
            self.main().faults.statuses = statuses;
            let requests = self.main().requests - requests;
            if (requests > blocks) != single {
                fail!(
                    "main gets {requests} requests for a write of {blocks} blocks that fails once"
                );
            }
        }
    }

    /// No block can be read, and all of them are written: each moves, and main does not count as failing.
    fn rewrite_pending(&'static self) {
        let main = self.main();
        for sector in 0..main.sectors() {
            main.faults.unreadable.insert(sector, c::BLK_STS_MEDIUM);
        }
        let (block, end) = (self.settings.block, self.limit.get());
        let blocks = || {
            (0..end)
                .step_by(block as usize)
                .map(move |first| (first, block.min(end - first)))
        };
        for (first, len) in blocks() {
            self.read(first, len);
        }
        for (first, len) in blocks() {
            if !self.change(first, len, c::REQ_OP_WRITE) {
                fail!("the pending block of sector {first} cannot be written");
            }
        }
        let status = self.status();
        let expected = status.slots.min(blocks().count() as u64);
        let moved = self.counter("auto_remaps");
        if moved != expected || status.health == Health::Failing {
            fail!("{moved} of {expected} pending blocks have moved with a write: {status:?}");
        }
    }

    /// Many blocks are bad, and writes to another one go well all the time: each moves, and nobody has to ask whether
    /// main takes writes.
    fn relocate_among_good_writes(&'static self) {
        let (block, end) = (self.settings.block, self.limit.get());
        let good = (end - 1) / block * block;
        let slots = self.status().slots;
        let bad: Vec<u64> = (0..good)
            .step_by(block as usize)
            .take(slots as usize)
            .collect();
        for first in &bad {
            let sector = self.settings.main_start + first;
            let unwritable = &mut self.main().faults.unwritable;
            unwritable.insert(sector, c::BLK_STS_MEDIUM);
        }
        let requests = self.main().requests;
        for first in &bad {
            for first in [*first, good] {
                if !self.change(first, 1, c::REQ_OP_WRITE) {
                    fail!("sector {first} cannot be written");
                }
            }
        }
        let moved = self.counter("auto_remaps");
        if moved != bad.len() as u64 || self.status().health == Health::Failing {
            fail!("{moved} of {} bad blocks have moved", bad.len());
        }
        scheduler::sleep(1_000_000_000);
        // The two writes, and a read of what the first one has left of its block.
        let wanted = bad.len() as u64 * (1 + block);
        let requests = self.main().requests - requests;
        if requests != wanted {
            fail!("{requests} requests go to main, and not {wanted}");
        }
    }

    /// Writes to each of the blocks of the device that is its own.
    fn write_all(&'static self, n: u64, of: u64) {
        let block = self.settings.block;
        for first in (n * block..self.limit.get()).step_by((of * block) as usize) {
            let len = block.min(self.limit.get() - first);
            let len = world()
                .random
                .between(1, len)
                .next_multiple_of(self.settings.logical);
            if world().random.one_in(2) {
                // That main can be read says nothing about writes.
                self.read(first, 1);
            }
            self.write(first, len.min(self.limit.get() - first));
        }
    }
}
