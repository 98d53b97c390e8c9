// SPDX-License-Identifier: GPL-2.0

//! Blocks that a user wants on the spare, or at home, while a test moves blocks to and fro.

use machine::{
    fail,
    scheduler::world, //
};

use crate::{
    errno::{EEXIST, ENODATA},
    unit::Unit,
};

impl Unit {
    /// Sends messages that want single blocks on the spare or at home.
    pub(crate) fn want_blocks(&'static self) {
        let blocks = self.sectors.get().div_ceil(self.settings.block);
        for _ in 0..self.settings.operations {
            self.rest(self.settings.pause.max(1_000_000) * 4);
            if self.common.at_work.get() == 0 {
                return;
            }
            let block = world().random.below(blocks);
            let first = block * self.settings.block;
            match world().random.below(20) {
                0..8 => self.want(block, true, &format!("remap {first}")),
                8..14 => self.want(block, false, &format!("unremap {first}")),
                14 => {
                    self.wants(block, None);
                    self.give_up(first, 1);
                }
                15 => {
                    let cleared = self.send("clear").is_ok();
                    self.module
                        .wanted
                        .borrow_mut()
                        .fill(cleared.then_some(false));
                }
                _ => {
                    let message = world().random.of(&[
                        "list", "verify", "pending", "scrub", "retry", "save", "status", "stats",
                    ]);
                    self.send_one(message);
                }
            }
        }
    }

    fn wants(&self, block: u64, place: Option<bool>) {
        self.module.wanted.borrow_mut()[block as usize] = place;
    }

    fn want(&'static self, block: u64, on_spare: bool, message: &str) {
        // Meanwhile it may be anywhere.
        self.wants(block, None);
        let there = match self.send(message) {
            Ok(_) => true,
            Err(error) => error == if on_spare { EEXIST } else { ENODATA },
        };
        self.wants(block, there.then_some(on_spare));
    }

    /// Fails where a test has left a block elsewhere than the user wants it, or than it was.
    pub(crate) fn check_home(&'static self) {
        let Some(remaps) = self.remapped_blocks() else {
            return;
        };
        let settings = &self.settings;
        // Errors move blocks as well.
        let moved = self.module.strays.get()
            || !settings.faults.is_empty()
            || settings.failing_allocations > 0;
        for (block, wanted) in (0..).zip(self.module.wanted.borrow().iter()) {
            let on_spare = remaps.contains(&block);
            match wanted {
                Some(true) if !on_spare => {
                    fail!("block {block} is at home, and the user wants it on the spare");
                }
                Some(false) if on_spare && !moved => {
                    fail!("block {block} was left on the spare");
                }
                _ => {}
            }
        }
    }
}
