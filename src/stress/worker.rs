// SPDX-License-Identifier: GPL-2.0

//! A thread that keeps its share of a test's bios in flight.
//!
//! A write never changes what is on the device: the range is read first, and then those bytes
//! are written back to it. Only this test's own operations can overlap, and all of them write what is
//! there already; what could have changed meanwhile is not written back (see [`super::guard`]).

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
    integrity::Sample,
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

/// A worker that sees this many operations fail in a row gives up: the device is gone or broken,
/// and more of it says nothing new.
const TOO_MANY_FAILURES: u32 = 1000;

/// How often a worker that is not wanted at present looks whether it is, in nanoseconds.
const PARKED_NS: u64 = 100_000_000;

/// How often a worker that may not write at present looks whether it may, in nanoseconds.
const CLOSED_NS: u64 = 10_000_000;

/// What a transfer is in flight for.
#[derive(Clone, Copy)]
enum Stage {
    /// Nothing.
    Idle,
    /// An operation that is done in one go: a read or a flush.
    Whole(Operation),
    /// The first half of an operation that writes, begun in that epoch: it reads what the second half
    /// writes.
    Fetch(Operation, Epoch),
    /// The second half.
    WriteBack(Operation, Epoch),
    /// Reading again at the end what has this checksum.
    Verify { sectors: u32, checksum: u32 },
}

/// A worker with all the memory that it needs.
pub(super) struct Worker {
    number: u32,
    run: Arc<Run>,
    tally: Arc<Mutex<Tally>>,
    /// Declared before `idle`, so that what is in flight comes back before anything is freed.
    queue: IoQueue<Stage>,
    idle: KVec<Transfer<Stage>>,
    /// Those that have read what they are to write.
    second_halves: KVec<Transfer<Stage>>,
    /// Bytes that each transfer moves at most, and how many there are.
    bytes: usize,
    transfers: usize,
    /// No more than those can be had.
    exhausted: bool,
    /// Operations in flight that the workload asks for.
    queue_depth: u32,
    generator: Generator,
    pace: Pace,
    /// Whether the device takes back ranges of zeros.
    zeroes: bool,
    sample: Sample,
    failures_in_a_row: u32,
    memory: KVec<Charge>,
}

/// Sees to it that `run` has at least `count` workers. May sleep.
pub(super) fn hire(run: &Arc<Run>, count: u32) -> Result {
    run.grow_crew(count, |number| Worker::new(run, number)?.start())
}

impl Worker {
    /// Worker `number` of `run`. May sleep.
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
            sample: Sample::new(
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

    /// Makes transfers until there are `depth` of them. May sleep.
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

    /// Puts the worker to work in a thread of its own. May sleep.
    #[inline(never)]
    fn start(self) -> Result<Kthread> {
        let name = CString::try_from_fmt(fmt!("dm_remap_stress/{}", self.number))?;
        let token = ThreadToken::new(&self.run);
        Kthread::spawn(&name, move |current| {
            self.work(current);
            drop(token);
        })
    }

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

    /// Starts operations, as many as are wanted at present; where time has to pass before the
    /// next one, that time in nanoseconds.
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
                // Where starting takes its time, it may be due by now.
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

    /// Makes the transfers for a queue depth that was raised, if the memory is there.
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

    fn submit(&mut self, mut transfer: Transfer<Stage>, stage: Stage) {
        let (action, operation) = match &stage {
            Stage::Whole(operation) => (operation.action, operation),
            Stage::Fetch(operation, _) => (Action::Read, operation),
            Stage::WriteBack(operation, epoch) => {
                if !self.may_write_back(operation, *epoch) {
                    // What the range holds by now may be something else.
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

    fn may_write_back(&self, operation: &Operation, epoch: Epoch) -> bool {
        let guard = self.run.guard.as_ref();
        guard.is_some_and(|guard| guard.begin(epoch, operation.sectors))
    }

    fn rest(&mut self, mut transfer: Transfer<Stage>) {
        *transfer.value_mut() = Stage::Idle;
        // There is capacity for every transfer, so this allocates nothing.
        drop(self.idle.push_within_capacity(transfer));
    }

    /// Takes back what has completed, and starts second halves.
    fn take_back(&mut self, current: &Current) {
        let tally = self.tally.clone();
        let mut tally = tally.lock();
        let moved = tally.bytes;
        // At most once around, so that a device which completes at once cannot keep us here.
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

    /// Counts what has completed, and puts it where it is needed next.
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

    /// What is to be done instead of what has failed: a device may find out late that it does not
    /// take zeros back.
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

    /// What is to follow on what `operation` has read. Only what is zero anyway is given back to
    /// the device.
    fn second_half(&self, transfer: &Transfer<Stage>, operation: Operation) -> Operation {
        if operation.action != Action::Zero || self.zeroes && transfer.is_zero(operation.bytes()) {
            return operation;
        }
        Operation {
            action: Action::Write,
            ..operation
        }
    }

    fn failed(&mut self, tally: &mut Tally) {
        tally.errors = tally.errors.saturating_add(1);
        self.failures_in_a_row = self.failures_in_a_row.saturating_add(1);
        if self.failures_in_a_row == TOO_MANY_FAILURES {
            self.run.failed_workers.fetch_add(1, Relaxed);
            self.run.end(End::GaveUp);
        }
    }

    /// Waits for everything in flight, second halves included.
    fn drain(&mut self, current: &Current) {
        while self.queue.in_flight() > 0 {
            self.queue.wait(None);
            self.take_back(current);
            current.yield_now();
        }
    }

    /// Reads the sample again.
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
