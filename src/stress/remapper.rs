// SPDX-License-Identifier: GPL-2.0

//! Thread of remap-heavy tests, which remaps and unremaps blocks while the workers' I/O is in flight.
//!
//! At the end the thread leaves the remap table as it was. Blocks that main cannot read are not remapped. A
//! user's request for a block takes precedence.

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
    linux::{
        compat::ENODATA,
        kthread::{
            Current,
            Kthread, //
        }, //
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

/// Largest number of blocks that are remapped at once.
const MOST: usize = 1024;

/// Number of blocks that a step tries, of which any may be remapped already.
const TRIES: u32 = 16;

/// Number of steps in 100 that remap while there is room; the others unremap.
const REMAP_PERCENT: u8 = 60;

/// Number of consecutive failures after which the test gives up.
const TOO_MANY_FAILURES: u32 = 100;

/// Time between two attempts on a suspended device, in nanoseconds.
const PAUSE_NS: u64 = 50_000_000;

/// Stream of random numbers, apart from those of the workers.
const STREAM: u64 = u64::MAX;

/// Remapper with all the memory that it needs.
pub(super) struct Remapper {
    run: Arc<Run>,
    random: Random,
    /// Table that the test began with.
    table: Arc<Table>,
    /// First sectors of the blocks that this remapper has remapped. None of them was remapped before.
    ours: KVec<u64>,
    failures_in_a_row: u32,
    _memory: Charge,
}

impl Remapper {
    /// Makes the remapper of `run`. May sleep.
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

    /// Starts the thread of the remapper. May sleep.
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
            // The table is suspended or replaced, or has no free spare block.
            Err(error) if error == EAGAIN || error == ENODEV || error == ENOSPC => {
                self.run.sleep_until_end(PAUSE_NS);
            }
            Err(error) => {
                // A block that main cannot read is not remapped, which is no error of the target.
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

    /// Remaps a block chosen at random that is not remapped. If hardly any is left, moves one of the test's
    /// blocks back. Fails with `ENODATA` if main cannot read the block, or has failed on it before.
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

    /// Moves one of the blocks back that this remapper has remapped.
    fn unremap_one(&mut self) -> Result {
        let Some(count) = NonZeroU64::new(self.ours.len() as u64) else {
            // No block to move back, and no free spare block.
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
            // A user has moved the block back, or wants it on the spare.
            Err(error) if error == ENODATA => {}
            Err(error) => return Err(error),
        }
        self.ours.pop();
        Ok(())
    }

    /// Moves all blocks back that this remapper has remapped. Waits while the device is suspended.
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

    /// Returns whether a block is on the spare in the present table of the device.
    fn is_remapped(&self, sector: u64) -> bool {
        table::find(self.run.number).is_some_and(|table| table.is_remapped(sector))
    }
}
