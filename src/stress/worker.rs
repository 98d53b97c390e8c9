// SPDX-License-Identifier: GPL-2.0

//! A thread that keeps its share of a test's bios in flight.
//!
//! A write never changes what is on the device: the range is read first, and then those bytes
//! are written back to it. The device is claimed meanwhile, so only this test's own operations
//! can overlap, and all of them write what is there already.

use kernel::{
    prelude::*,
    str::CString,
    sync::{
        atomic::Relaxed,
        Arc,
        Mutex, //
    },
};
use remap_core::workload::{
    Direction,
    Generator,
    Operation, //
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
};

use super::{
    integrity::Sample,
    memory::{
        Account,
        Charge, //
    },
    run::{
        Attendance,
        End,
        Run,
        Tally, //
    },
};

/// A worker that sees this many operations fail in a row gives up: the device is gone or broken,
/// and more of it says nothing new.
const TOO_MANY_FAILURES: u32 = 1000;

/// What a transfer is in flight for.
#[derive(Clone, Copy)]
enum Stage {
    /// Nothing.
    Idle,
    /// A read operation.
    Read(Operation),
    /// The first half of a write operation: it reads what the second half writes.
    Fetch(Operation),
    /// The second half.
    WriteBack(Operation),
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
    generator: Generator,
    sample: Sample,
    failures_in_a_row: u32,
    _memory: Charge,
}

impl Worker {
    /// Worker `number` of `run`. May sleep.
    #[inline(never)]
    pub(super) fn new(run: &Arc<Run>, number: u32) -> Result<Self> {
        let workload = run.plan.workload();
        let depth = workload.queue_depth as usize;
        let bytes = run.plan.largest_operation();
        let tally = run.tallies.get(number as usize).ok_or(EINVAL)?.clone();
        let mut idle = KVec::with_capacity(depth, GFP_KERNEL)?;
        for _ in 0..depth {
            idle.push(Transfer::new(bytes, Stage::Idle)?, GFP_KERNEL)?;
        }
        let each = Transfer::<Stage>::footprint(bytes) + 2 * size_of::<Transfer<Stage>>();
        Ok(Self {
            number,
            run: run.clone(),
            tally,
            queue: IoQueue::new(run.device.clone(), run.gauge.clone())?,
            idle,
            second_halves: KVec::with_capacity(depth, GFP_KERNEL)?,
            generator: Generator::new(&run.plan, number),
            sample: Sample::new(workload.seed, number, &run.account)?,
            failures_in_a_row: 0,
            _memory: Account::charge(&run.account, size_of::<Self>() + depth * each),
        })
    }

    /// Puts the worker to work in a thread of its own. May sleep.
    #[inline(never)]
    pub(super) fn start(self) -> Result<Kthread> {
        let name = CString::try_from_fmt(fmt!("dm_remap_stress/{}", self.number))?;
        let attendance = Attendance::new(&self.run);
        Kthread::spawn(&name, move |current| {
            self.work(current);
            drop(attendance);
        })
    }

    fn work(mut self, current: &Current) {
        self.run.wait_for_begin();
        while !self.run.is_over() {
            self.start_operations();
            self.queue.wait();
            self.take_back(current);
            current.yield_now();
        }
        self.drain(current);
        self.run.drained();
        self.verify(current);
    }

    /// Puts everything idle to work.
    fn start_operations(&mut self) {
        while let Some(transfer) = self.idle.pop() {
            let operation = self.generator.next_operation();
            let stage = match operation.direction {
                Direction::Read => Stage::Read(operation),
                Direction::Write => Stage::Fetch(operation),
            };
            self.submit(transfer, stage);
        }
    }

    fn submit(&mut self, mut transfer: Transfer<Stage>, stage: Stage) {
        let (direction, sector, sectors) = match &stage {
            Stage::Read(operation) | Stage::Fetch(operation) => {
                (Direction::Read, operation.sector, operation.sectors)
            }
            Stage::WriteBack(operation) => (Direction::Write, operation.sector, operation.sectors),
            Stage::Idle | Stage::Verify { .. } => return self.rest(transfer),
        };
        *transfer.value_mut() = stage;
        self.queue.submit(transfer, direction, sector, sectors);
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
        // At most once around, so that a device which completes at once cannot keep us here.
        for _ in 0..self.queue.in_flight() {
            let Some((transfer, completion)) = self.queue.completed() else {
                break;
            };
            self.account(&mut tally, transfer, completion);
        }
        tally.cpu_ns = current.cpu_time();
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
        let (Stage::Read(operation) | Stage::Fetch(operation) | Stage::WriteBack(operation)) =
            stage
        else {
            return self.rest(transfer);
        };
        if completion.result.is_err() {
            self.failed(tally);
            return self.rest(transfer);
        }
        if !matches!(stage, Stage::WriteBack(_)) {
            self.sample
                .offer(&operation, || transfer.checksum(operation.bytes()));
        }
        if let Stage::Fetch(_) = stage {
            *transfer.value_mut() = Stage::WriteBack(operation);
            // There is capacity for every transfer, here as in `idle`.
            return drop(self.second_halves.push_within_capacity(transfer));
        }
        self.failures_in_a_row = 0;
        tally.ops = tally.ops.saturating_add(1);
        tally.bytes = tally.bytes.saturating_add(operation.bytes() as u64);
        match operation.direction {
            Direction::Read => tally.read.record(completion.latency),
            Direction::Write => tally.write.record(completion.latency),
        }
        self.rest(transfer);
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
            self.queue.wait();
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
                    .submit(transfer, Direction::Read, touched.sector, touched.sectors);
            }
            if self.queue.in_flight() == 0 {
                break;
            }
            self.queue.wait();
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
                if transfer.checksum(sectors as usize * 512) != checksum {
                    tally.mismatches = tally.mismatches.saturating_add(1);
                }
            }
        }
        self.rest(transfer);
    }
}
