// SPDX-License-Identifier: GPL-2.0

//! A script that meets every path of an error: one allocation or request of it fails, or all from one
//! on, or the power is cut with it.

use machine::{
    c,
    scheduler::{self, world}, //
};

use crate::{
    settings::Dooms,
    unit::Unit, //
};

impl Unit {
    /// Follows the script: after a power cut, only its end.
    pub(crate) fn follow_script(&'static self, life: u64) {
        let block = self.settings.block;
        let begin = self.settings.begin;
        if life + 1 == self.settings.cuts && life > 0 {
            // What was found stays, whatever befalls one half of the metadata now.
            scheduler::cut_power_after(0);
            scheduler::sleep(1_000);
        }
        if life == 0 {
            self.write_together(0);
            self.send_all(&["ping", "stats", "policy relocate", "save"]);
            self.send_ranges(&["remap", "verify"], begin, 2 * block);
            self.write_together(0);
            self.fail_sector(true, 3 * block);
            self.write_together(3 * block);
            self.send_ranges(&["bad"], begin + 4 * block, block);
            self.fail_slot_of(4 * block);
            self.write_together(4 * block);
            self.fail_sector(false, 5 * block + 1);
            self.read(5 * block, block);
            self.read(4 * block, 2 * block);
            self.write_together(5 * block);
            self.fail_sector(false, 6 * block);
            self.send_ranges(&["remap"], begin + 6 * block, block);
            self.send_all(&["scrub start", "scrub status", "retry"]);
            self.flush();
            self.send_ranges(&["unremap"], begin, block);
            self.write_together(0);
            self.suspend();
            if !self.settings.volatile {
                self.reload();
            }
            self.send_all(&["scrub stop", "save", "stats"]);
            if !self.settings.volatile {
                self.send_all(&["stats reset"]);
                self.remove();
            }
            self.write_together(block);
            self.send_all(&["clear"]);
        }
        self.common.hit.set(self.common.hit.get() || self.was_hit());
        if life == 0 && self.dooms() == Some(Dooms::Metadata) {
            scheduler::cut_power_after(0);
            scheduler::sleep(1_000);
        }
        self.heal();
        self.write_together(0);
        self.send_ranges(&["remap"], begin + block, block);
        self.send_all(&["save"]);
        if !self.settings.volatile {
            self.refuse_slot(2 * block);
        }
    }

    /// The slot that comes next refuses the block of a sector: this table does not use it again, nor does the next.
    fn refuse_slot(&'static self, sector: u64) {
        let send =
            |command: &str| self.send(&format!("{command} {}", self.settings.begin + sector));
        let _ = send("unremap");
        let Some(slot) = send("remap").ok().and_then(|_| self.slot_of(sector)) else {
            return;
        };
        let Some(slot) = self
            .free_slot_after(slot)
            .filter(|_| send("unremap").is_ok())
        else {
            return;
        };
        self.spare().blamed.remove(&slot);
        self.spare()
            .faults
            .unwritable
            .insert(slot, c::BLK_STS_MEDIUM);
        let moved = send("remap");
        self.spare().faults.unwritable.remove(&slot);
        if moved.is_ok() && self.spare().blamed.contains(&slot) {
            self.judge.failed_slots.borrow_mut().push(slot);
            self.reload();
            self.send_ranges(&["remap"], self.settings.begin, 5 * self.settings.block);
        }
    }

    /// Returns the first sector of the next slot that no block is in. A table goes through its slots in a circle.
    pub(crate) fn free_slot_after(&'static self, slot: u64) -> Option<u64> {
        let (first, end) = self.settings.slots();
        let used: Vec<u64> = self.remaps()?.iter().map(|remap| remap.spare).collect();
        let all = (first..end).step_by(self.settings.block as usize);
        let mut later = all.clone().filter(|next| *next > slot).chain(all);
        later.find(|next| !used.contains(next))
    }

    fn was_hit(&self) -> bool {
        let world = world();
        match self.dooms() {
            Some(Dooms::Allocations) => world.allocations >= world.doomed_allocations.start,
            Some(Dooms::Requests | Dooms::Metadata) => {
                world.requests >= world.doomed_requests.start
            }
            Some(Dooms::Power) | None => false,
        }
    }

    /// What is to happen to a call.
    pub(crate) fn dooms(&self) -> Option<Dooms> {
        self.settings.nth.as_ref().map(|nth| nth.dooms)
    }

    /// Two writes and a read of two blocks from `first` on, at the same time.
    fn write_together(&'static self, first: u64) {
        let block = self.settings.block;
        let tasks = [
            scheduler::spawn(self.name("user", 0), false, move || {
                self.change(first, block, c::REQ_OP_WRITE | c::REQ_FUA);
            }),
            scheduler::spawn(self.name("user", 1), false, move || {
                self.change(first + block / 2, block, c::REQ_OP_WRITE);
            }),
            scheduler::spawn(self.name("user", 2), false, move || {
                self.read(first, 2 * block);
            }),
        ];
        tasks.into_iter().for_each(scheduler::join);
    }

    fn send_all(&'static self, messages: &[&str]) {
        for message in messages {
            let _ = self.send(message);
        }
    }

    fn send_ranges(&'static self, messages: &[&str], sector: u64, len: u64) {
        for message in messages {
            match *message {
                "bad" => self.give_up(sector - self.settings.begin, len),
                "verify" => drop(self.send(&format!("verify {sector}"))),
                message => drop(self.send(&format!("{message} {sector} {len}"))),
            }
        }
    }

    /// A sector of main cannot be written any more, or not be read.
    fn fail_sector(&'static self, writes: bool, sector: u64) {
        let sector = self.settings.main_start + sector;
        let faults = &mut self.main().faults;
        let list = if writes {
            &mut faults.unwritable
        } else {
            &mut faults.unreadable
        };
        list.insert(sector, c::BLK_STS_MEDIUM);
    }

    /// The slot of a block cannot be written any more.
    fn fail_slot_of(&'static self, sector: u64) {
        if let Some(slot) = self.slot_of(sector) {
            let faults = &mut self.spare().faults;
            faults.unwritable.insert(slot, c::BLK_STS_MEDIUM);
        }
    }
}
