// SPDX-License-Identifier: GPL-2.0

//! The thread of remap-heavy tests: it remaps and unremaps blocks by the ordinary path while the
//! workers' I/O runs, and leaves the remap table as it found it.

use core::num::NonZeroU64;

use kernel::{
    prelude::*,
    sync::{
        atomic::Relaxed,
        Arc, //
    },
};
use remap_core::random::Random;

use crate::{
    linux::kthread::{
        Current,
        Kthread, //
    },
    target::live::{
        self,
        LiveTable, //
    },
};

use super::{
    memory::{
        Account,
        Charge, //
    },
    run::{
        Attendance,
        End,
        Run, //
    },
};

/// Most blocks that are remapped at once.
const MOST: usize = 1024;

/// Of 100 steps, how many remap while there is room; the others unremap.
const REMAP_PERCENT: u8 = 60;

/// After this many failures in a row the test gives up.
const TOO_MANY_FAILURES: u32 = 100;

/// How long to wait for a device that is suspended, in nanoseconds.
const PAUSE_NS: u64 = 50_000_000;

/// How often to wait for a table that is not there, before it is taken for gone.
const PATIENCE: u32 = 100;

/// The random numbers' stream, beside those of the workers.
const STREAM: u64 = u64::MAX;

/// A remapper with all the memory that it needs.
pub(super) struct Remapper {
    run: Arc<Run>,
    random: Random,
    /// First sectors of the blocks that we have remapped. None of them was before.
    ours: KVec<u64>,
    failures_in_a_row: u32,
    _memory: Charge,
}

impl Remapper {
    /// The remapper of `run`. May sleep.
    pub(super) fn new(run: &Arc<Run>) -> Result<Self> {
        Ok(Self {
            run: run.clone(),
            random: Random::new(run.plan.workload().seed, STREAM),
            ours: KVec::with_capacity(MOST, GFP_KERNEL)?,
            failures_in_a_row: 0,
            _memory: Account::charge(&run.account, size_of::<Self>() + MOST * size_of::<u64>()),
        })
    }

    /// Puts the remapper to work in a thread of its own. May sleep.
    pub(super) fn start(self) -> Result<Kthread> {
        let attendance = Attendance::new(&self.run);
        Kthread::spawn(c"dm_remap_stress/remap", move |current| {
            self.work(current);
            drop(attendance);
        })
    }

    fn work(mut self, current: &Current) {
        self.run.wait_for_begin();
        while !self.run.is_over() {
            match live::find(self.run.number) {
                Some(table) => self.step(&table),
                None => self.run.sleep_until_end(PAUSE_NS),
            }
            self.run.remaps.cpu_ns.store(current.cpu_time(), Relaxed);
            current.yield_now();
        }
        self.restore();
        self.run.remaps.cpu_ns.store(current.cpu_time(), Relaxed);
    }

    fn step(&mut self, table: &LiveTable) {
        let free = table.spare_blocks().saturating_sub(table.remapped());
        // At least half of the spare blocks that were free are left for real errors.
        let room = self.ours.len() < MOST && free > self.ours.len() as u64;
        let done = if room && (self.ours.is_empty() || self.random.chance(REMAP_PERCENT)) {
            self.remap_one(table)
        } else {
            self.unremap_one(table)
        };
        match done {
            Ok(()) => self.failures_in_a_row = 0,
            Err(error) if error == EAGAIN || error == ENOSPC => {
                self.run.sleep_until_end(PAUSE_NS);
            }
            Err(_) => {
                self.run.remaps.errors.fetch_add(1, Relaxed);
                self.failures_in_a_row = self.failures_in_a_row.saturating_add(1);
                if self.failures_in_a_row == TOO_MANY_FAILURES {
                    self.run.failed_workers.fetch_add(1, Relaxed);
                    self.run.end(End::GaveUp);
                }
            }
        }
    }

    /// Remaps a block chosen at random, unless it is remapped already.
    fn remap_one(&mut self, table: &LiveTable) -> Result {
        let block = u64::from(table.block_sectors());
        let Some(blocks) = table.sectors().checked_div(block).and_then(NonZeroU64::new) else {
            return Err(ENOSPC);
        };
        let sector = self.random.below(blocks).saturating_mul(block);
        match table.remap(sector) {
            Ok(()) => {
                // There is capacity: step() has seen to it.
                drop(self.ours.push_within_capacity(sector));
                Ok(())
            }
            Err(error) if error == EEXIST => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Moves back one of the blocks that we have remapped.
    fn unremap_one(&mut self, table: &LiveTable) -> Result {
        let Some(count) = NonZeroU64::new(self.ours.len() as u64) else {
            // Nothing of ours, and no spare block to be had.
            return Err(ENOSPC);
        };
        let place = self.random.below(count) as usize;
        let last = self.ours.len().saturating_sub(1);
        self.ours.swap(place, last);
        let Some(&sector) = self.ours.last() else {
            return Ok(());
        };
        match table.unremap(sector) {
            Ok(()) => {}
            // Somebody else has moved it back.
            Err(error) if error == ENODATA => {}
            Err(error) => return Err(error),
        }
        self.ours.pop();
        Ok(())
    }

    /// Moves back all blocks that we have remapped. A suspended device is waited for.
    fn restore(&mut self) {
        let mut patience = PATIENCE;
        while let Some(&sector) = self.ours.last() {
            let done = match live::find(self.run.number) {
                Some(table) => table.unremap(sector),
                None if patience > 0 => {
                    patience = patience.saturating_sub(1);
                    Err(EAGAIN)
                }
                None => Err(ENODEV),
            };
            match done {
                Err(error) if error == EAGAIN => {
                    self.run.pause(PAUSE_NS);
                    continue;
                }
                Err(error) if error != ENODATA => {
                    self.run.remaps.left_remapped.fetch_add(1, Relaxed);
                }
                _ => {}
            }
            self.ours.pop();
        }
    }
}
