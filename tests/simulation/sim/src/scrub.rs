// SPDX-License-Identifier: GPL-2.0

//! What a scrub has to find.

use machine::{
    c,
    disk::{Disk, BLAMES},
    fail,
    scheduler::{self, world}, //
};

use crate::{judgement::Health, unit::Unit};

/// The longest that a scrub may take, in nanoseconds.
const PATIENCE: u64 = 300_000_000_000;

impl Unit {
    /// Scrubs a device that nobody uses, and whose disks fail in single sectors only. Fails where that does
    /// not find each of them.
    pub(crate) fn check_scrub(&'static self) {
        if self.settings.units > 1 {
            // The other device mends the spare disk meanwhile.
            return;
        }
        let mut statuses = self.main().faults.unreadable.values();
        if self.wait_for_return().health < Health::SpareFull
            || statuses.any(|status| *status == c::BLK_STS_AGAIN)
        {
            // Nothing that fails says anything about its block; or it is tried again, and again.
            return;
        }
        if let Err(error) = self.send("scrub stop") {
            fail!("'scrub stop' fails with {error}");
        }
        self.wait_for_scrub();
        let since = world().log.len();
        if let Err(error) = self.send("scrub start 1000") {
            fail!("'scrub start' fails with {error}, and nothing else does");
        }
        let ended = self.wait_for_scrub();
        let mut lines = world().log[since..].iter();
        if ended.is_empty() || lines.any(|(_, line)| line.contains("does not answer")) {
            // On a small disk all that is asked whether it is alive may be bad.
            return;
        }
        let Some((on_main, on_spare)) = self.unreadable_blocks() else {
            // Nobody knows what else its disks answer.
            return;
        };
        let found = on_main.len() + on_spare;
        let expected = format!("done {} unreadable {found}", self.sectors.get());
        if ended != expected {
            fail!("a scrub ends with '{ended}' instead of '{expected}'");
        }
        let pending = self.pages("pending").unwrap_or_default();
        if let Some(sector) = on_main
            .iter()
            .find(|sector| !pending.contains(&sector.to_string()))
        {
            fail!("a scrub has read sector {sector}, which is bad, and it is not pending: {pending:?}");
        }
    }

    /// Waits until no scrub runs. Returns how the last one ended.
    pub(crate) fn wait_for_scrub(&'static self) -> String {
        let began = world().now;
        loop {
            match self.send("scrub status") {
                Ok(reply) if reply.starts_with("running") => {}
                Ok(reply) => return reply,
                Err(error) => fail!("'scrub status' fails with {error}"),
            }
            if world().now - began > PATIENCE {
                if self.wait_for_return().health < Health::SpareFull {
                    // It waits for a device that answers.
                    let _ = self.send("scrub stop");
                    return String::new();
                }
                fail!("a scrub takes longer than {} s", PATIENCE / 1_000_000_000);
            }
            scheduler::sleep(10_000_000);
        }
    }

    /// Returns the first sectors of the blocks that are on main and cannot be read, and how many on the spare
    /// cannot. Nothing where that is not the medium's fault, or the metadata meets bad sectors.
    fn unreadable_blocks(&'static self) -> Option<(Vec<u64>, usize)> {
        let settings = &self.settings;
        let remaps = self.remaps()?;
        let says_medium = |status: &u8| BLAMES.contains(status);
        let (main, spare) = (self.main(), self.spare());
        let mut statuses = main
            .faults
            .unreadable
            .values()
            .chain(spare.faults.unreadable.values());
        if !statuses.all(says_medium) || !spare.faults.unwritable.is_empty() {
            return None;
        }
        if spare
            .faults
            .unreadable
            .keys()
            .any(|sector| !settings.is_in_slot(*sector))
        {
            return None;
        }
        let is_bad = |disk: &Disk, from: u64, len: u64| {
            disk.faults
                .unreadable
                .range(from..from + len)
                .next()
                .is_some()
        };
        let (mut on_main, mut on_spare) = (Vec::new(), 0);
        for first in (0..self.sectors.get()).step_by(settings.block as usize) {
            let len = settings.block.min(self.sectors.get() - first);
            let shown = settings.begin + first;
            match remaps.iter().find(|remap| remap.sector == shown) {
                Some(remap) => on_spare += usize::from(is_bad(spare, remap.spare, len)),
                None if is_bad(main, settings.main_start + first, len) => on_main.push(shown),
                None => {}
            }
        }
        Some((on_main, on_spare))
    }
}
