// SPDX-License-Identifier: GPL-2.0

//! The thread of remap-heavy tests: it remaps and unremaps blocks by the ordinary path while the
//! workers' I/O runs, and leaves the remap table as it found it. Blocks that main cannot read stay
//! where they are, and what a user wants of a block goes before.

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
    remap::table::{
        self,
        Table, //
    },
};

use super::{
    memory::{
        Account,
        Charge, //
    },
    run::{
        End,
        Run, //
        ThreadToken,
    },
};

/// Most blocks that are remapped at once.
const MOST: usize = 1024;

/// Blocks that are tried in a step, of which any may be remapped already.
const TRIES: u32 = 16;

/// Of 100 steps, how many remap while there is room; the others unremap.
const REMAP_PERCENT: u8 = 60;

/// After this many failures in a row the test gives up.
const TOO_MANY_FAILURES: u32 = 100;

/// How long to wait for a device that is suspended, in nanoseconds.
const PAUSE_NS: u64 = 50_000_000;

/// The random numbers' stream, beside those of the workers.
const STREAM: u64 = u64::MAX;

/// A remapper with all the memory that it needs.
pub(super) struct Remapper {
    run: Arc<Run>,
    random: Random,
    /// The table that the test began with.
    table: Arc<Table>,
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
            table: table::find(run.number).ok_or(ENODEV)?,
            random: Random::new(run.plan.workload().seed, STREAM),
            ours: KVec::with_capacity(MOST, GFP_KERNEL)?,
            failures_in_a_row: 0,
            _memory: Account::charge(&run.account, size_of::<Self>() + MOST * size_of::<u64>()),
        })
    }

    /// Puts the remapper to work in a thread of its own. May sleep.
    pub(super) fn start(self) -> Result<Kthread> {
        let token = ThreadToken::new(&self.run);
        Kthread::spawn(c"dm_remap_stress/remap", move |current| {
            self.work(current);
            drop(token);
        })
    }

    fn work(mut self, current: &Current) {
        self.run.wait_for_begin();
        while !self.run.is_over() {
            self.step();
            self.run.remaps.cpu_ns.store(current.cpu_time(), Relaxed);
            current.yield_now();
        }
        self.restore();
        self.run.remaps.cpu_ns.store(current.cpu_time(), Relaxed);
    }

    fn step(&mut self) {
        let table = &self.table;
        let free = table.spare_blocks().saturating_sub(table.remapped());
        // At least half of the spare blocks that were free are left for real errors.
        let room = self.ours.len() < MOST && free > self.ours.len() as u64;
        let done = if room && (self.ours.is_empty() || self.random.chance(REMAP_PERCENT)) {
            self.remap_one()
        } else {
            self.unremap_one()
        };
        match done {
            Ok(()) => self.failures_in_a_row = 0,
            // Suspended or replaced, or without a spare block.
            Err(error) if error == EAGAIN || error == ENODEV || error == ENOSPC => {
                self.run.sleep_until_end(PAUSE_NS);
            }
            Err(error) => {
                // A block that main cannot read stays where it is, which is no error of a remap.
                let failed = u64::from(error != ENODATA);
                self.run.remaps.errors.fetch_add(failed, Relaxed);
                self.failures_in_a_row = self.failures_in_a_row.saturating_add(1);
                if self.failures_in_a_row == TOO_MANY_FAILURES {
                    self.run.failed_workers.fetch_add(1, Relaxed);
                    self.run.end(End::GaveUp);
                }
            }
        }
    }

    /// Remaps a block chosen at random that is not remapped. Where hardly any is left, moves one of ours
    /// back.
    fn remap_one(&mut self) -> Result {
        let table = &self.table;
        let block = u64::from(table.block_sectors());
        let Some(blocks) = table.sectors().checked_div(block).and_then(NonZeroU64::new) else {
            return Err(ENOSPC);
        };
        for _ in 0..TRIES {
            let sector = self.random.below(blocks).saturating_mul(block);
            match table.lend(sector) {
                Err(error) if error == EEXIST => {}
                lent => {
                    lent?;
                    // There is capacity: step() has seen to it.
                    drop(self.ours.push_within_capacity(sector));
                    return Ok(());
                }
            }
        }
        self.unremap_one()
    }

    /// Moves back one of the blocks that we have remapped.
    fn unremap_one(&mut self) -> Result {
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
        match self.table.take_back(sector) {
            Ok(()) => {}
            // A user has moved it back, or wants it there.
            Err(error) if error == ENODATA => {}
            Err(error) => return Err(error),
        }
        self.ours.pop();
        Ok(())
    }

    /// Moves back all blocks that we have remapped. A suspended device is waited for.
    fn restore(&mut self) {
        while let Some(&sector) = self.ours.last() {
            match self.table.take_back(sector) {
                Err(error) if error == EAGAIN => {
                    self.run.pause(PAUSE_NS);
                    continue;
                }
                Err(error) if error != ENODATA && self.is_remapped(sector) => {
                    self.run.remaps.left_remapped.fetch_add(1, Relaxed);
                }
                _ => {}
            }
            self.ours.pop();
        }
        self.table.end_lending();
    }

    /// Whether a block is on the spare by the table that the device has now.
    fn is_remapped(&self, sector: u64) -> bool {
        table::find(self.run.number).is_some_and(|table| table.is_remapped(sector))
    }
}
