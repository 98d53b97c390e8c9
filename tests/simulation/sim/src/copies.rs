// SPDX-License-Identifier: GPL-2.0

//! Aimed histories: troubles of the metadata's copies, of which one at a time costs nothing.
//!
//! Each life begins with copies that are all right, since loading has put them right, and ends with a power
//! cut, perhaps while they are put right. A page has entries in several of its sectors, so that a cut can tear
//! it.

use machine::{
    c,
    fail,
    scheduler::{self, world},
    trace, //
};
use remap_core::metadata::layout::{
    Half,
    Place, //
};

use crate::unit::Unit;

/// The page that the entries of all slots are in.
const PAGE: u32 = 1;
/// Where a page says its generation.
const GENERATION: std::ops::Range<usize> = 24..32;

impl Unit {
    /// The power may be cut in the middle of a request of the table that is loaded next.
    pub(crate) fn may_cut_loading(&self, life: u64) {
        let world = world();
        if life > 0 && life < self.settings.cuts && world.random.one_in(3) {
            world.torn_request = world.requests + world.random.between(5, 14);
        }
    }

    /// Meets some trouble, and loses its power at the end of all lives but the last one.
    pub(crate) fn try_copies(&'static self, life: u64) {
        world().torn_request = u64::MAX;
        // What failed when the power was cut.
        self.main().faults.unwritable.clear();
        self.forget_bad_sector();
        if life == 0 {
            // Those that move later have entries beyond the first sector of their page.
            let (begin, len) = (self.settings.begin, self.limit.get());
            let _ = self.send(&format!("remap {begin} {}", len - 12 * self.settings.block));
        }
        if world().random.one_in(2) {
            self.bear_unwritable_copy();
        }
        if life >= self.settings.cuts {
            return;
        }
        let ways: [fn(&'static Self); 4] = [
            Self::tear_copy,
            Self::tear_beside_damage,
            Self::write_uncertain_block,
            Self::leave_sound,
        ];
        let way = world().random.of(&ways);
        way(self);
        scheduler::cut_power_after(0);
        scheduler::sleep(1_000);
    }

    /// Changes entries with one write of their page. Returns whether that went well, or there was nothing to
    /// change.
    fn change_entries(&'static self) -> bool {
        let (first, len) = self.some_blocks();
        let sector = self.settings.begin + first;
        let refused = Err(-5);
        match world().random.below(3) {
            0 => self.send(&format!("remap {sector} {len}")) != refused,
            1 => self.send(&format!("unremap {sector} {len}")) != refused,
            _ => {
                // Where the block is on main, it is relocated.
                let bad = self.settings.main_start + first;
                let faults = &mut self.main().faults;
                faults.unwritable.insert(bad, c::BLK_STS_MEDIUM);
                let written = self.change(first, 1, c::REQ_OP_WRITE);
                self.main().faults.unwritable.remove(&bad);
                written
            }
        }
    }

    /// Some blocks of the device, in sectors.
    fn some_blocks(&self) -> (u64, u64) {
        let (block, end) = (self.settings.block, self.limit.get());
        let random = &mut world().random;
        let first = random.below(end / block) * block;
        let len = random.between(1, 20) * block;
        (first, len.min(end - first))
    }

    /// One sector of one half cannot be written: the page goes to its other places.
    fn bear_unwritable_copy(&'static self) {
        self.have_bad_sector();
        for _ in 0..world().random.between(1, 4) {
            if !self.change_entries() {
                fail!("entries cannot be changed, and one sector of one copy is bad");
            }
        }
        if self.metadata_state() == "failed" {
            fail!("the metadata is failed, and one sector of one copy is bad");
        }
        self.forget_bad_sector();
    }

    /// A sector of the metadata cannot be written from now on.
    fn have_bad_sector(&self) {
        let (head, tail) = self.settings.metadata();
        let half = if world().random.one_in(2) { head } else { tail };
        let sector = world().random.between(half.start, half.end - 1);
        trace!("sector {sector} of the spare cannot be written");
        let faults = &mut self.spare().faults;
        faults.unwritable.insert(sector, c::BLK_STS_MEDIUM);
    }

    /// It can be written again, if there is one, and all copies are put right.
    fn forget_bad_sector(&'static self) {
        let bad = std::mem::take(&mut self.spare().faults.unwritable);
        if bad.is_empty() {
            return;
        }
        if let Err(error) = self.send("save") {
            fail!("'save' fails with {error}, and no copy is bad any more");
        }
    }

    /// The power is cut with a request of a change, perhaps while one sector cannot be written.
    fn tear_copy(&'static self) {
        if world().random.one_in(2) {
            self.have_bad_sector();
        }
        for _ in 0..world().random.below(3) {
            self.change_entries();
        }
        self.change_until_cut();
    }

    /// The same while a copy of what the page is now is damaged, and was not looked at since.
    fn tear_beside_damage(&'static self) {
        // The keeper may have sectors to record.
        self.wait_for_rest();
        let half = world().random.of(&Half::BOTH);
        let first = self.newest_copy(half);
        let sector = first + world().random.below(8);
        trace!("sector {sector} of the spare is damaged");
        let mut random = world().random.clone();
        self.spare().damage(sector, &mut random);
        world().random = random;
        self.change_until_cut();
    }

    /// Where the newest generation of the page of all entries begins in a half.
    fn newest_copy(&self, half: Half) -> u64 {
        let layout = self.settings.layout().expect("metadata");
        let place = |odd| layout.sector_of(PAGE, Place { half, odd });
        let places = [false, true].map(|odd| place(odd).expect("a page of entries"));
        let generation = |sector: &u64| {
            let bytes = self.spare().look(*sector)[GENERATION].try_into();
            u64::from_le_bytes(bytes.expect("eight bytes"))
        };
        let places = places.map(|sector| self.settings.spare_start + sector);
        places.into_iter().max_by_key(generation).expect("two")
    }

    /// Changes entries once, and the power is cut in the middle of a request, if that flushes.
    fn change_until_cut(&'static self) {
        world().torn_request = world().requests + world().random.between(1, 6);
        self.change_entries();
    }

    /// The metadata cannot be written any more while entries change. Their blocks are written afterwards.
    fn write_uncertain_block(&'static self) {
        let (head, tail) = self.settings.metadata();
        self.common.faulty.set(true);
        self.spare().faults.doomed = Some(vec![head, tail]);
        self.main().faults.doomed = Some(Vec::new());
        let world = world();
        let first = world.requests + world.random.between(1, 6);
        world.doomed_requests = first..u64::MAX;
        self.change_entries();
        self.write_here_and_there();
    }

    /// All copies are right: whatever befalls one half of them now, everything stays as it is.
    fn leave_sound(&'static self) {
        self.write_here_and_there();
        // The keeper writes metadata when it has salvaged what has moved.
        scheduler::sleep(1_000_000_000);
        self.judge.sound.set(true);
    }

    /// Writes some blocks durably.
    fn write_here_and_there(&'static self) {
        for _ in 0..world().random.between(1, 5) {
            let (first, len) = self.some_blocks();
            self.change(first, len, c::REQ_OP_WRITE | c::REQ_FUA);
        }
    }
}
