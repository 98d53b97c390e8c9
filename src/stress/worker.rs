// SPDX-License-Identifier: GPL-2.0

//! Thread that keeps its share of a test's bios in flight.
//!
//! A write never changes the data on the device: the range is read first, and the bytes that were read are
//! written back. Only operations of this test can overlap, and all of them write the data that is there
//! already. Data that could have changed meanwhile is not written back (see [`super::guard`]).

use kernel::{
    prelude::*,
    str::CString,
    sync::{
        atomic::Relaxed,
        Arc,
        Mutex, //
    },
};
use remap_core::{
    epoch::Epoch,
    stress::{
        generator::{
            Action,
            Generator,
            Operation, //
        },
        pace::Pace,
        workload::Seat, //
    }, //
};

use crate::linux::{
    io_queue::{
        Completion,
        IoQueue,
        Transfer, //
    },
    kthread::{
        Current,
        Kthread, //
    },
    system_memory, //
};

use super::{
    guard::Guard,
    integrity::ReservoirSample,
    memory::{
        Account,
        Charge, //
    },
    run::{
        End,
        Run, //
        ThreadToken,
    },
    tally::Tally,
};

/// Number of consecutive failures after which a worker gives up: the device is gone or broken.
const TOO_MANY_FAILURES: u32 = 1000;

/// Interval in nanoseconds at which an inactive worker checks whether to become active.
const PARKED_NS: u64 = 100_000_000;

/// Interval in nanoseconds at which a worker checks whether operations may start again, while its guard
/// forbids them.
const CLOSED_NS: u64 = 10_000_000;

/// Stage of the operation that a transfer is for.
#[derive(Clone, Copy)]
enum Stage {
    /// No operation.
    Idle,
    /// Operation of a single bio: a read or a flush.
    Whole(Operation),
    /// First half of an operation that writes, begun in that epoch: reads the data for the second half.
    Fetch(Operation, Epoch),
    /// Second half of an operation that writes: writes the data back.
    WriteBack(Operation, Epoch),
    /// Read of a range of the sample, to compare its checksum.
    Verify { sectors: u32, checksum: u32 },
}

/// Worker with all the memory that it needs.
pub(super) struct Worker {
    number: u32,
    run: Arc<Run>,
    tally: Arc<Mutex<Tally>>,
    /// Dropped before `idle`, so that all transfers have completed before anything is freed.
    queue: IoQueue<Stage>,
    idle: KVec<Transfer<Stage>>,
    /// Transfers that have read the data for their second half.
    second_halves: KVec<Transfer<Stage>>,
    /// Largest number of bytes that a transfer moves.
    bytes: usize,
    /// Number of transfers.
    transfers: usize,
    /// There was no memory for more transfers.
    exhausted: bool,
    /// Queue depth of the workload.
    queue_depth: u32,
    generator: Generator,
    pace: Pace,
    /// The device supports write-zeroes.
    zeroes: bool,
    sample: ReservoirSample,
    failures_in_a_row: u32,
    memory: KVec<Charge>,
}

/// Starts workers until `run` has `count` of them. `ESRCH` if the test is over. May sleep.
pub(super) fn hire(run: &Arc<Run>, count: u32) -> Result {
    run.grow_crew(count, |number| Worker::new(run, number)?.start())
}

impl Worker {
    /// Makes worker `number` of `run`. May sleep.
    #[inline(never)]
    fn new(run: &Arc<Run>, number: u32) -> Result<Self> {
        let seat = run.plan.workload().seat(number).ok_or(EINVAL)?;
        let Seat {
            stream,
            queue_depth,
            ..
        } = seat;
        let tally = run.new_tally()?;
        let mut memory = KVec::new();
        memory.push(
            Account::charge(&run.account, size_of::<Self>() + Tally::FOOTPRINT),
            GFP_KERNEL,
        )?;
        let mut worker = Self {
            number,
            run: run.clone(),
            tally,
            queue: IoQueue::new(run.device.clone(), run.gauge.clone())?,
            idle: KVec::new(),
            second_halves: KVec::new(),
            bytes: run.plan.largest_operation(stream),
            transfers: 0,
            exhausted: false,
            queue_depth,
            generator: Generator::new(&run.plan, &seat, number),
            pace: Pace::new(stream.burst),
            zeroes: run.device.device().takes_write_zeroes(),
            sample: ReservoirSample::new(
                (run.plan.workload().seed, number),
                run.device.device().logical_block_sectors(),
                &run.account,
            )?,
            failures_in_a_row: 0,
            memory,
        };
        worker.provide(run.controls.queue_depth().unwrap_or(queue_depth))?;
        Ok(worker)
    }

    /// Makes transfers until there are `depth` of them. `ENOMEM`. May sleep.
    fn provide(&mut self, depth: u32) -> Result {
        let missing = (depth as usize).saturating_sub(self.transfers);
        if missing == 0 {
            return Ok(());
        }
        let each = Transfer::<Stage>::footprint(self.bytes) + 2 * size_of::<Transfer<Stage>>();
        let needed = missing.saturating_mul(each);
        if needed as u64 > system_memory::available() {
            return Err(ENOMEM);
        }
        // Every transfer has a place in both lists, so that moving one never allocates.
        for list in [&mut self.idle, &mut self.second_halves] {
            list.reserve((depth as usize).saturating_sub(list.len()), GFP_KERNEL)?;
        }
        self.memory
            .push(Account::charge(&self.run.account, needed), GFP_KERNEL)?;
        for _ in 0..missing {
            let transfer = Transfer::new(self.bytes, Stage::Idle)?;
            self.idle.push(transfer, GFP_KERNEL)?;
            self.transfers += 1;
        }
        Ok(())
    }

    /// Starts the thread of the worker. May sleep.
    #[inline(never)]
    fn start(self) -> Result<Kthread> {
        let name = CString::try_from_fmt(fmt!("dm_remap_stress/{}", self.number))?;
        let token = ThreadToken::new(&self.run);
        Kthread::spawn(&name, move |current| {
            self.work(current);
            drop(token);
        })
    }

    /// Runs the worker until the test is over and the sample is verified.
    fn work(mut self, current: &Current) {
        self.run.wait_for_begin();
        while !self.run.is_over() {
            let pause = self.start_operations();
            if self.queue.in_flight() > 0 {
                self.queue.wait(pause);
            } else {
                self.run.sleep_until_end(pause.unwrap_or(0));
            }
            self.take_back(current);
            current.yield_now();
        }
        self.drain(current);
        self.run.drained();
        self.verify(current);
    }

    /// Starts operations until the queue depth is reached. Returns the time until the next one may start, in
    /// nanoseconds; `None` if there is no time to wait for.
    fn start_operations(&mut self) -> Option<u64> {
        let controls = &self.run.controls;
        let workers = controls.workers();
        if self.number >= workers {
            return Some(PARKED_NS);
        }
        let depth = controls.queue_depth().unwrap_or(self.queue_depth);
        let interval = Pace::interval_ns(controls.rate_iops(), workers);
        let write_percent = controls.write_percent();
        self.deepen(depth);
        let mut now = self.run.age_ns();
        while self.queue.in_flight() < depth as usize {
            let epoch = match &self.run.guard {
                Some(guard) if !guard.epoch().is_open() => return Some(CLOSED_NS),
                guard => guard.as_ref().map_or(Epoch::FIRST, Guard::epoch),
            };
            if let Err(wait) = self.pace.start(now, interval) {
                // Submissions take time, so the operation may be due by now.
                let later = self.run.age_ns();
                if later.saturating_sub(now) < wait {
                    return Some(wait.saturating_sub(later.saturating_sub(now)));
                }
                now = later;
                continue;
            }
            let Some(transfer) = self.idle.pop() else {
                break;
            };
            let operation = self.generator.next_operation(write_percent);
            let stage = match operation.action {
                Action::Read | Action::Flush => Stage::Whole(operation),
                Action::Write | Action::DurableWrite | Action::Zero => {
                    Stage::Fetch(operation, epoch)
                }
            };
            self.submit(transfer, stage);
        }
        None
    }

    /// Makes the transfers for a queue depth that was raised. Logs once if there is no memory.
    fn deepen(&mut self, depth: u32) {
        if depth as usize <= self.transfers || self.exhausted {
            return;
        }
        if self.provide(depth).is_err() {
            self.exhausted = true;
            pr_err!(
                "stress_test_adjust: queue_depth: not enough memory, worker {} keeps {}\n",
                self.number,
                self.transfers
            );
        }
    }

    /// Submits the bio of `stage`. A write-back that the guard forbids is left out. May sleep.
    fn submit(&mut self, mut transfer: Transfer<Stage>, stage: Stage) {
        let (action, operation) = match &stage {
            Stage::Whole(operation) => (operation.action, operation),
            Stage::Fetch(operation, _) => (Action::Read, operation),
            Stage::WriteBack(operation, epoch) => {
                if !self.may_write_back(operation, *epoch) {
                    // The contents of the range may have changed.
                    return self.rest(transfer);
                }
                (operation.action, operation)
            }
            Stage::Idle | Stage::Verify { .. } => return self.rest(transfer),
        };
        let (sector, sectors) = (operation.sector, operation.sectors);
        *transfer.value_mut() = stage;
        self.queue.submit(transfer, action, sector, sectors);
    }

    /// Returns whether the guard allows to write the data back that was read in `epoch`.
    ///
    /// When the test is ending, the monitor no longer checks for writes of other users: they are looked for here.
    fn may_write_back(&self, operation: &Operation, epoch: Epoch) -> bool {
        let Some(guard) = &self.run.guard else {
            return false;
        };
        if self.run.is_ending() {
            guard.look_for_writes();
        }
        guard.begin(epoch, operation.sectors)
    }

    /// Returns a transfer to the idle ones.
    fn rest(&mut self, mut transfer: Transfer<Stage>) {
        *transfer.value_mut() = Stage::Idle;
        // There is capacity for every transfer, so this allocates nothing.
        drop(self.idle.push_within_capacity(transfer));
    }

    /// Takes completed transfers back, and submits second halves. May sleep.
    fn take_back(&mut self, current: &Current) {
        let tally = self.tally.clone();
        let mut tally = tally.lock();
        let moved = tally.bytes;
        // Bounded, so that a device that completes at once cannot keep the loop going.
        for _ in 0..self.queue.in_flight() {
            let Some((transfer, completion)) = self.queue.completed() else {
                break;
            };
            self.account(&mut tally, transfer, completion);
        }
        tally.cpu_ns = current.cpu_time();
        self.run.moved(tally.bytes.saturating_sub(moved));
        drop(tally);
        while let Some(transfer) = self.second_halves.pop() {
            let stage = *transfer.value();
            self.submit(transfer, stage);
        }
    }

    /// Counts a completed transfer, and puts it into the list for its next stage.
    fn account(
        &mut self,
        tally: &mut Tally,
        mut transfer: Transfer<Stage>,
        completion: Completion,
    ) {
        tally.bios = tally.bios.saturating_add(1);
        tally.synchronous = tally
            .synchronous
            .saturating_add(u64::from(completion.synchronous));
        let stage = *transfer.value();
        if let (Stage::WriteBack(..), Some(guard)) = (&stage, &self.run.guard) {
            guard.end();
        }
        let (Stage::Whole(operation) | Stage::Fetch(operation, _) | Stage::WriteBack(operation, _)) =
            stage
        else {
            return self.rest(transfer);
        };
        if completion.result.is_err() {
            if let Some(instead) = self.instead_of(&stage) {
                *transfer.value_mut() = instead;
                return drop(self.second_halves.push_within_capacity(transfer));
            }
            self.failed(tally);
            return self.rest(transfer);
        }
        if !matches!(stage, Stage::WriteBack(..)) && operation.sectors > 0 {
            self.sample
                .offer(&operation, |offset, bytes| transfer.checksum(offset, bytes));
        }
        if let Stage::Fetch(_, epoch) = stage {
            let second = self.second_half(&transfer, operation);
            *transfer.value_mut() = Stage::WriteBack(second, epoch);
            // There is capacity for every transfer, here as in `idle`.
            return drop(self.second_halves.push_within_capacity(transfer));
        }
        self.failures_in_a_row = 0;
        tally.count(&operation, completion.latency);
        self.rest(transfer);
    }

    /// Returns the stage that replaces a failed one, if any. A failed write-zeroes becomes a write: a device
    /// may discover late that it does not support write-zeroes.
    fn instead_of(&mut self, stage: &Stage) -> Option<Stage> {
        match stage {
            Stage::WriteBack(operation, epoch) if operation.action == Action::Zero => {
                self.zeroes = false;
                let instead = Operation {
                    action: Action::Write,
                    ..*operation
                };
                Some(Stage::WriteBack(instead, *epoch))
            }
            _ => None,
        }
    }

    /// Returns the second half of `operation`, whose first half has completed. Write-zeroes is used only for
    /// a range that is zero already; it becomes a write for any other.
    fn second_half(&self, transfer: &Transfer<Stage>, operation: Operation) -> Operation {
        if operation.action != Action::Zero || self.zeroes && transfer.is_zero(operation.bytes()) {
            return operation;
        }
        Operation {
            action: Action::Write,
            ..operation
        }
    }

    /// Counts a failed operation. Ends the test after too many in a row.
    fn failed(&mut self, tally: &mut Tally) {
        tally.errors = tally.errors.saturating_add(1);
        self.failures_in_a_row = self.failures_in_a_row.saturating_add(1);
        if self.failures_in_a_row == TOO_MANY_FAILURES {
            self.run.failed_workers.fetch_add(1, Relaxed);
            self.run.end(End::GaveUp);
        }
    }

    /// Waits until no operation is in flight, second halves included. Sleeps.
    fn drain(&mut self, current: &Current) {
        while self.queue.in_flight() > 0 {
            self.queue.wait(None);
            self.take_back(current);
            current.yield_now();
        }
    }

    /// Reads the ranges of the sample again, and compares their checksums. Sleeps.
    fn verify(&mut self, current: &Current) {
        loop {
            while let Some(mut transfer) = self.idle.pop() {
                let Some(touched) = self.sample.take() else {
                    self.rest(transfer);
                    break;
                };
                *transfer.value_mut() = Stage::Verify {
                    sectors: touched.sectors,
                    checksum: touched.checksum,
                };
                self.queue
                    .submit(transfer, Action::Read, touched.sector, touched.sectors);
            }
            if self.queue.in_flight() == 0 {
                break;
            }
            self.queue.wait(None);
            while let Some((transfer, completion)) = self.queue.completed() {
                self.compare(transfer, completion);
            }
        }
        self.tally.lock().cpu_ns = current.cpu_time();
    }

    /// Compares a range that was read again with the sample, and counts the result.
    fn compare(&mut self, transfer: Transfer<Stage>, completion: Completion) {
        if let Stage::Verify { sectors, checksum } = *transfer.value() {
            let mut tally = self.tally.lock();
            if completion.result.is_err() {
                tally.unreadable = tally.unreadable.saturating_add(1);
            } else {
                tally.verified = tally.verified.saturating_add(1);
                if transfer.checksum(0, sectors as usize * 512) != checksum {
                    tally.mismatches = tally.mismatches.saturating_add(1);
                }
            }
        }
        self.rest(transfer);
    }
}
