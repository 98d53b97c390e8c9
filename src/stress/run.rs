// SPDX-License-Identifier: GPL-2.0

//! One stress test: what it does, to which device, and what is known of it so far.

use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Full,
            Relaxed,
            Release, //
        },
        Arc,
        Mutex, //
    },
    task::MAX_SCHEDULE_TIMEOUT,
    time::{
        msecs_to_jiffies,
        Instant,
        Jiffies,
        Monotonic,
        Msecs, //
    },
};
use remap_core::{
    counters::Counters,
    device_number::DeviceNumber,
    histogram::Histogram,
    measurement::{
        Engine,
        Integrity,
        Measurement,
        Name,
        Progress,
        Resources, //
    },
    trend::{
        Sample,
        Trend, //
    },
    workload::Plan, //
};

use crate::{
    linux::{
        io_queue::Gauge,
        kthread::Kthread,
        open_device::OpenDevice,
        wait::{
            new_wait_queue,
            WaitQueue, //
        },
        zeroed::EmptyIsZero, //
    },
    target::live, //
};

use super::memory::{
    Account,
    Charge, //
};

/// Why a test ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum End {
    /// Its time is over.
    Completed = 1,
    /// Somebody stopped it, or the module goes.
    Stopped = 2,
    /// A worker gave up.
    GaveUp = 3,
}

/// What is asked for.
#[derive(Clone, Copy)]
pub(super) struct Request {
    /// Number and name of the test type.
    pub(super) test: u8,
    pub(super) test_name: &'static str,
    pub(super) duration_ms: u64,
}

/// Jiffies that are at least `ns` nanoseconds: one more than they make, because the present one
/// is part over.
fn jiffies(ns: u64) -> Jiffies {
    let ms = ns.div_ceil(1_000_000);
    msecs_to_jiffies(Msecs::try_from(ms).unwrap_or(Msecs::MAX)).saturating_add(1)
}

/// The threads of a run. Dropping it ends the run, if nothing has yet, and waits for them.
pub(super) struct Crew {
    run: Arc<Run>,
    threads: KVec<Kthread>,
}

impl Crew {
    pub(super) fn new(run: &Arc<Run>) -> Self {
        Self {
            run: run.clone(),
            threads: KVec::new(),
        }
    }

    pub(super) fn join(&mut self, thread: Kthread) -> Result {
        self.threads.push(thread, GFP_KERNEL)?;
        Ok(())
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        self.run.end(End::GaveUp);
        self.run.wait_for_threads();
        // They have nothing more to do, so this waits for the end of the threads only.
        self.threads.clear();
        self.run.finish();
    }
}

/// A thread of a run, from before it is started until it has nothing more to do.
pub(super) struct Attendance(Arc<Run>);

impl Attendance {
    pub(super) fn new(run: &Arc<Run>) -> Self {
        run.present.fetch_add(1, Full);
        Self(run.clone())
    }
}

impl Drop for Attendance {
    fn drop(&mut self) {
        self.0.present.fetch_sub(1, Full);
        self.0.ending.notify_all();
    }
}

/// What a worker has counted. Written by the worker, in batches.
pub(super) struct Tally {
    /// Operations that ended well.
    pub(super) ops: u64,
    pub(super) bytes: u64,
    pub(super) errors: u64,
    /// Bios that had completed when their submission returned, and all bios.
    pub(super) synchronous: u64,
    pub(super) bios: u64,
    pub(super) read: KBox<Histogram>,
    pub(super) write: KBox<Histogram>,
    pub(super) verified: u64,
    pub(super) mismatches: u64,
    pub(super) unreadable: u64,
    pub(super) cpu_ns: u64,
}

/// What the remapping thread has counted.
pub(super) struct RemapTally {
    pub(super) errors: Atomic<u64>,
    pub(super) left_remapped: Atomic<u64>,
    pub(super) cpu_ns: Atomic<u64>,
}

/// What the monitor knows.
struct Watch {
    trend: KBox<Trend>,
    /// What the target added, as last asked for.
    added: KBox<Histogram>,
    /// Whether it was there to be asked.
    timed: bool,
    /// Where the table was when it was last found; only ever compared.
    table: usize,
    /// Its counters when the test first saw it.
    counters: Counters,
    engine: Option<Engine>,
    /// Whether somebody else may have changed the device.
    foreign_writes: bool,
    last: Sample,
    last_at: Instant<Monotonic>,
}

/// One test.
#[pin_data]
pub(super) struct Run {
    pub(super) request: Request,
    pub(super) plan: Plan,
    pub(super) name: Name,
    pub(super) number: DeviceNumber,
    pub(super) device: Arc<OpenDevice>,
    pub(super) gauge: Arc<Gauge>,
    /// One for each worker.
    pub(super) tallies: KVec<Arc<Mutex<Tally>>>,
    pub(super) remaps: RemapTally,
    pub(super) failed_workers: Atomic<u64>,
    made: Instant<Monotonic>,
    /// When the workers began, in nanoseconds from when this was made; 0 before.
    began_ns: Atomic<u64>,
    /// Threads that have not done yet.
    present: Atomic<u64>,
    /// When the last worker had its operations back, in nanoseconds from the start; 0 before.
    drained_ns: Atomic<u64>,
    /// An [`End`], or 0 as long as the test is to run.
    end: Atomic<u32>,
    #[pin]
    pub(super) ending: WaitQueue,
    #[pin]
    watch: Mutex<Watch>,
    memory_before: u64,
    pub(super) account: Arc<Account>,
    _memory: Charge,
}

impl Run {
    /// A test of `device`. May sleep.
    #[inline(never)]
    pub(super) fn new(
        request: Request,
        plan: Plan,
        (name, number): (Name, DeviceNumber),
        device: OpenDevice,
        account: &Arc<Account>,
    ) -> Result<Arc<Self>> {
        let memory_before = account.now();
        account.start_peak();
        let workers = plan.workload().workers as usize;
        let mut tallies = KVec::with_capacity(workers, GFP_KERNEL)?;
        for _ in 0..workers {
            let tally = Tally {
                ops: 0,
                bytes: 0,
                errors: 0,
                synchronous: 0,
                bios: 0,
                read: Histogram::boxed()?,
                write: Histogram::boxed()?,
                verified: 0,
                mismatches: 0,
                unreadable: 0,
                cpu_ns: 0,
            };
            tallies.push(
                Arc::pin_init(new_mutex!(tally, "Run::tallies"), GFP_KERNEL)?,
                GFP_KERNEL,
            )?;
        }
        let each = size_of::<Mutex<Tally>>() + 2 * size_of::<Histogram>();
        let own = size_of::<Self>() + size_of::<Histogram>() + size_of::<Trend>();
        let now = Instant::now();
        let watch = Watch {
            trend: Trend::boxed()?,
            added: Histogram::boxed()?,
            timed: false,
            table: 0,
            counters: Counters::default(),
            engine: None,
            foreign_writes: false,
            last: Sample::default(),
            last_at: now,
        };
        let device = Arc::new(device, GFP_KERNEL)?;
        let gauge = Arc::new(Gauge::new(), GFP_KERNEL)?;
        let memory = Account::charge(account, own + workers * each);
        Arc::pin_init(
            pin_init!(Self {
                request,
                plan,
                name,
                number,
                device,
                gauge,
                tallies,
                remaps: RemapTally {
                    errors: Atomic::new(0),
                    left_remapped: Atomic::new(0),
                    cpu_ns: Atomic::new(0),
                },
                failed_workers: Atomic::new(0),
                made: now,
                began_ns: Atomic::new(0),
                present: Atomic::new(0),
                drained_ns: Atomic::new(0),
                end: Atomic::new(0),
                ending <- new_wait_queue!("Run::ending"),
                watch <- new_mutex!(watch, "Run::watch"),
                memory_before,
                account: account.clone(),
                _memory: memory,
            }),
            GFP_KERNEL,
        )
    }

    /// Ends the test for that reason, unless it is ending already. Any context.
    pub(super) fn end(&self, why: End) {
        let _ = self.end.cmpxchg(0, why as u32, Full);
        self.ending.notify_all();
    }

    /// Whether the test is to end.
    pub(super) fn is_ending(&self) -> bool {
        self.end.load(Acquire) != 0
    }

    /// Whether the test is to end, which includes that its time is over: so it ends in time even
    /// where the monitor has to wait for a CPU.
    pub(super) fn is_over(&self) -> bool {
        if self.is_ending() {
            return true;
        }
        let over = self.age_ns() >= self.duration_ns();
        if over {
            self.end(End::Completed);
        }
        over
    }

    /// How long the test is to run, in nanoseconds.
    pub(super) fn duration_ns(&self) -> u64 {
        self.request.duration_ms.saturating_mul(1_000_000)
    }

    fn progress(&self) -> Progress {
        match self.end.load(Acquire) {
            2 => Progress::StoppedEarly,
            3 => Progress::GaveUp,
            _ => Progress::Completed,
        }
    }

    fn since_made(&self) -> u64 {
        u64::try_from(self.made.elapsed().as_nanos()).unwrap_or(0)
    }

    /// Finds the target and has it take times. May sleep.
    pub(super) fn prepare_target(&self) {
        self.look_at_target(&mut self.watch.lock());
    }

    /// Lets all threads begin, and the time with them. May sleep.
    pub(super) fn begin(&self) {
        let mut watch = self.watch.lock();
        watch.last_at = Instant::now();
        self.began_ns.store(self.since_made().max(1), Release);
        drop(watch);
        self.ending.notify_all();
    }

    /// Sleeps until the test begins, or is to end before.
    pub(super) fn wait_for_begin(&self) {
        self.ending.wait_idle(MAX_SCHEDULE_TIMEOUT as Jiffies, || {
            self.began_ns.load(Acquire) != 0 || self.is_ending()
        });
    }

    /// Nanoseconds since the test began.
    pub(super) fn age_ns(&self) -> u64 {
        self.since_made()
            .saturating_sub(self.began_ns.load(Relaxed))
    }

    /// Sleeps for `ns` nanoseconds, or until the test is to end.
    pub(super) fn sleep_until_end(&self, ns: u64) {
        self.ending.wait_idle(jiffies(ns), || self.is_ending());
    }

    /// Sleeps for `ns` nanoseconds.
    pub(super) fn pause(&self, ns: u64) {
        self.ending.wait_idle(jiffies(ns), || false);
    }

    /// Sleeps until every thread of the test has done what it had to do. However long that is:
    /// bios that a suspended device holds come back when it is resumed.
    pub(super) fn wait_for_threads(&self) {
        self.ending.wait_idle(MAX_SCHEDULE_TIMEOUT as Jiffies, || {
            self.present.load(Acquire) == 0
        });
    }

    /// A worker has all its operations back.
    pub(super) fn drained(&self) {
        let now = self.age_ns().max(1);
        let mut known = self.drained_ns.load(Relaxed);
        while now > known {
            match self.drained_ns.cmpxchg(known, now, Relaxed) {
                Ok(_) => return,
                Err(other) => known = other,
            }
        }
    }

    /// Looks at the target for the last time, and has it take no more times. May sleep.
    pub(super) fn finish(&self) {
        self.look_at_target(&mut self.watch.lock());
        if let Some(table) = live::find(self.number) {
            // Switching off needs no memory, so it does not fail.
            let _ = table.set_timing(false);
        }
    }

    /// Looks at target and workers: for status, trend and reports. May sleep.
    pub(super) fn look(&self) {
        let mut watch = self.watch.lock();
        self.look_at_target(&mut watch);
        let now = Instant::now();
        let (ops, bytes) = self
            .tallies
            .iter()
            .fold((0_u64, 0_u64), |(ops, bytes), tally| {
                let tally = tally.lock();
                (
                    ops.saturating_add(tally.ops),
                    bytes.saturating_add(tally.bytes),
                )
            });
        let total = Sample {
            ns: 0,
            ops,
            bytes,
            added_count: watch.added.count(),
            added_ns: watch.added.sum(),
        };
        let span = Sample {
            ns: u64::try_from((now - watch.last_at).as_nanos()).unwrap_or(0),
            ops: total.ops.saturating_sub(watch.last.ops),
            bytes: total.bytes.saturating_sub(watch.last.bytes),
            added_count: total.added_count.saturating_sub(watch.last.added_count),
            added_ns: total.added_ns.saturating_sub(watch.last.added_ns),
        };
        watch.last = total;
        watch.last_at = now;
        watch.trend.push(span);
    }

    /// Looks at the target only. May sleep.
    pub(super) fn look_at_target_only(&self) {
        self.look_at_target(&mut self.watch.lock());
    }

    fn look_at_target(&self, watch: &mut Watch) {
        let Some(table) = live::find(self.number) else {
            // Another target has taken its place: what the device holds is no longer ours to say.
            watch.foreign_writes = true;
            watch.engine = None;
            return;
        };
        let place = Arc::as_ptr(&table) as usize;
        if watch.table != place {
            watch.foreign_writes |= watch.table != 0;
            watch.table = place;
            watch.counters = table.counters();
            watch.last.added_count = 0;
            watch.last.added_ns = 0;
            watch.timed = table.set_timing(true).is_ok();
        }
        watch.added.clear();
        table.added_latency(&mut watch.added);
        let counters = table.counters().since(&watch.counters);
        // A test that only reads writes nothing, so all that is written is somebody else's.
        watch.foreign_writes |= !self.plan.writes() && counters.writes > 0;
        watch.engine = Some(Engine {
            entries: table.remapped(),
            spare_blocks: table.spare_blocks(),
            fast: counters.fast_path(),
            slow: counters.slow_path,
            reads: counters.reads,
            writes: counters.writes,
            remapped_reads: counters.remapped_reads,
            remapped_writes: counters.remapped_writes,
        });
    }

    /// All that is known at present; `ended` when every worker has ended. May sleep.
    pub(super) fn measure(&self, ended: bool) -> Result<KBox<Measurement>> {
        let workload = self.plan.workload();
        let elapsed_ns = match (ended, self.drained_ns.load(Relaxed)) {
            (false, _) | (true, 0) => self.age_ns(),
            (true, drained) => drained,
        };
        let watch = self.watch.lock();
        let mut measured = KBox::new(
            Measurement {
                name: self.name,
                device: self.number,
                test: self.request.test,
                test_name: self.request.test_name,
                duration_ms: self.request.duration_ms,
                workers: workload.workers,
                queue_depth: self.plan.in_flight(),
                seed: workload.seed,
                progress: if ended {
                    self.progress()
                } else {
                    Progress::Running
                },
                elapsed_ns,
                ops: 0,
                bytes: 0,
                errors: 0,
                in_flight: self.gauge.now(),
                peak_in_flight: self.gauge.peak(),
                synchronous: false,
                added: watch.timed.then(|| watch.added.summary()),
                read: Default::default(),
                write: Default::default(),
                quarters: watch.trend.quarters(),
                variation: watch.trend.latency_variation(),
                integrity: None,
                engine: watch.engine,
                resources: Resources {
                    memory_before: self.memory_before,
                    memory_peak: self.account.peak(),
                    memory_after: self.account.now(),
                    cpu_ns: self.remaps.cpu_ns.load(Relaxed),
                },
                failed_workers: u32::try_from(self.failed_workers.load(Relaxed))
                    .unwrap_or(u32::MAX),
                left_remapped: self.remaps.left_remapped.load(Relaxed),
                remap_errors: self.remaps.errors.load(Relaxed),
            },
            GFP_KERNEL,
        )?;
        let shared = watch.foreign_writes;
        drop(watch);
        self.add_workers(&mut measured, ended, shared)?;
        Ok(measured)
    }

    fn add_workers(&self, measured: &mut Measurement, ended: bool, shared: bool) -> Result {
        let mut read = Histogram::boxed()?;
        let mut write = Histogram::boxed()?;
        let mut integrity = Integrity {
            shared,
            ..Integrity::default()
        };
        let (mut synchronous, mut bios) = (0_u64, 0_u64);
        for tally in &self.tallies {
            let tally = tally.lock();
            measured.ops = measured.ops.saturating_add(tally.ops);
            measured.bytes = measured.bytes.saturating_add(tally.bytes);
            measured.errors = measured.errors.saturating_add(tally.errors);
            synchronous = synchronous.saturating_add(tally.synchronous);
            bios = bios.saturating_add(tally.bios);
            read.merge(&tally.read);
            write.merge(&tally.write);
            integrity.verified = integrity.verified.saturating_add(tally.verified);
            integrity.mismatches = integrity.mismatches.saturating_add(tally.mismatches);
            integrity.unreadable = integrity.unreadable.saturating_add(tally.unreadable);
            let cpu = &mut measured.resources.cpu_ns;
            *cpu = cpu.saturating_add(tally.cpu_ns);
        }
        measured.read = read.summary();
        measured.write = write.summary();
        measured.synchronous = synchronous > bios / 2;
        measured.integrity = ended.then_some(integrity);
        Ok(())
    }
}
