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
    time::{
        Instant,
        Monotonic, //
    },
};
use remap_core::{
    device_number::DeviceNumber,
    generator::Plan,
    measurement::{
        Charts,
        Integrity,
        Measurement,
        Progress,
        Resources, //
    },
    name::Name,
    regression::{
        Kind,
        Regression, //
    },
    request::Adjustment,
    stress_test::{
        Limit,
        StressTest, //
    },
    trend::Typical,
};

use crate::{
    linux::{
        io_queue::Gauge,
        kthread::Kthread,
        open_device::OpenDevice,
        wait::{
            new_wait_queue,
            WaitQueue, //
        }, //
    },
    remap::table, //
};

use super::{
    controls::Controls,
    guard::Guard,
    memory::{
        Account,
        Charge, //
    },
    tally::{
        RemapTally,
        Tally, //
    },
    watch::Watch,
};

/// Why a test ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum End {
    /// Its time is over, or its work done.
    Completed = 1,
    /// Somebody stopped it, or the module goes.
    Stopped = 2,
    /// A worker gave up.
    GaveUp = 3,
    /// To go on could harm the data of others.
    Hazard = 4,
}

/// What is asked for, but for the workload, which is in the plan.
#[derive(Clone, Copy)]
pub(super) struct Request {
    number: u8,
    name: &'static str,
    limit: Limit,
    compared: bool,
    pressure_bytes: u64,
}

impl Request {
    pub(super) const fn new(test: &StressTest) -> Self {
        Self {
            number: test.number,
            name: test.name,
            limit: test.limit,
            compared: test.compared,
            pressure_bytes: test.pressure_bytes,
        }
    }
}

/// The threads of a test.
struct Crew {
    threads: KVec<Kthread>,
    /// Number of workers among them.
    workers: u32,
    /// Nobody joins any more.
    closed: bool,
}

impl Crew {
    /// Has `start` start a thread. Its place is there before: a thread without one would be dropped, and so
    /// waited for, while it waits for the test to begin. May sleep.
    fn add(&mut self, start: impl FnOnce() -> Result<Kthread>) -> Result {
        self.threads.reserve(1, GFP_KERNEL)?;
        self.threads.push(start()?, GFP_KERNEL)?;
        Ok(())
    }
}

/// Ends the run when dropped, if nothing has yet, and waits for its threads.
pub(super) struct EndOfRun(Arc<Run>);

impl EndOfRun {
    pub(super) fn of(run: &Arc<Run>) -> Self {
        Self(run.clone())
    }
}

impl Drop for EndOfRun {
    fn drop(&mut self) {
        let run = &self.0;
        run.end(End::GaveUp);
        run.crew.lock().closed = true;
        run.wait_for_threads();
        // They have nothing more to do, so this waits for the end of the threads only.
        let threads = core::mem::take(&mut run.crew.lock().threads);
        drop(threads);
        run.finish();
    }
}

/// A thread of a run, from before it is started until it has nothing more to do.
pub(super) struct ThreadToken(Arc<Run>);

impl ThreadToken {
    pub(super) fn new(run: &Arc<Run>) -> Self {
        run.present.fetch_add(1, Full);
        Self(run.clone())
    }
}

impl Drop for ThreadToken {
    fn drop(&mut self) {
        self.0.present.fetch_sub(1, Full);
        self.0.ending.notify_all();
    }
}

/// One test.
#[pin_data]
pub(super) struct Run {
    request: Request,
    pub(super) plan: Plan,
    pub(super) controls: Controls,
    name: Name,
    pub(super) number: DeviceNumber,
    pub(super) device: Arc<OpenDevice>,
    /// There where the test may write.
    pub(super) guard: Option<Guard>,
    pub(super) gauge: Arc<Gauge>,
    /// One for each worker.
    #[pin]
    tallies: Mutex<KVec<Arc<Mutex<Tally>>>>,
    pub(super) remaps: RemapTally,
    pub(super) failed_workers: Atomic<u64>,
    #[pin]
    crew: Mutex<Crew>,
    made: Instant<Monotonic>,
    /// When the workers began, in nanoseconds from when this was made; 0 before.
    began_ns: Atomic<u64>,
    /// Threads that have not done yet.
    present: Atomic<u64>,
    /// Bytes moved by all workers.
    moved: Atomic<u64>,
    /// When the last worker had its operations back, in nanoseconds from the start; 0 before.
    drained_ns: Atomic<u64>,
    /// An [`End`], or 0 as long as the test is to run.
    end: Atomic<u32>,
    #[pin]
    ending: WaitQueue,
    #[pin]
    watch: Mutex<Watch>,
    memory_before: u64,
    /// Sectors of the device that had been changed before.
    changed_before: u64,
    pub(super) account: Arc<Account>,
    _memory: Charge,
}

impl Run {
    /// A test of `device`, which is `claimed` or only read. May sleep.
    #[inline(never)]
    pub(super) fn new(
        request: Request,
        plan: Plan,
        adjustment: &Adjustment,
        (name, number): (Name, DeviceNumber),
        (device, claimed): (OpenDevice, bool),
        account: &Arc<Account>,
    ) -> Result<Arc<Self>> {
        let memory_before = account.now();
        account.start_peak();
        let controls = Controls::new(plan.workload(), adjustment);
        let changed_before = device.device().changed_sectors();
        let watch = Watch::new(number, claimed)?;
        let device = Arc::new(device, GFP_KERNEL)?;
        let guard = claimed.then(|| Guard::new(&device, number)).transpose()?;
        let gauge = Arc::new(Gauge::new(), GFP_KERNEL)?;
        let memory = Account::charge(
            account,
            size_of::<Self>() + Watch::FOOTPRINT + Guard::FOOTPRINT,
        );
        Arc::pin_init(
            pin_init!(Self {
                request,
                plan,
                controls,
                name,
                number,
                device,
                guard,
                gauge,
                tallies <- new_mutex!(KVec::new(), "Run::tallies"),
                remaps: RemapTally::new(),
                failed_workers: Atomic::new(0),
                crew <- new_mutex!(
                    Crew {
                        threads: KVec::new(),
                        workers: 0,
                        closed: false,
                    },
                    "Run::crew"
                ),
                made: Instant::now(),
                began_ns: Atomic::new(0),
                present: Atomic::new(0),
                moved: Atomic::new(0),
                drained_ns: Atomic::new(0),
                end: Atomic::new(0),
                ending <- new_wait_queue!("Run::ending"),
                watch <- new_mutex!(watch, "Run::watch"),
                memory_before,
                changed_before,
                account: account.clone(),
                _memory: memory,
            }),
            GFP_KERNEL,
        )
    }

    /// Whether the test may write: whether it has claimed the device.
    pub(super) fn may_write(&self) -> bool {
        self.guard.is_some()
    }

    /// The tally of another worker. May sleep.
    pub(super) fn new_tally(&self) -> Result<Arc<Mutex<Tally>>> {
        let tally = Arc::pin_init(new_mutex!(Tally::new()?, "Run::tally"), GFP_KERNEL)?;
        self.tallies.lock().push(tally.clone(), GFP_KERNEL)?;
        Ok(tally)
    }

    /// Has `start` start workers, by number, until there are `count`. `ESRCH` when the test is
    /// over. May sleep.
    pub(super) fn grow_crew(
        &self,
        count: u32,
        mut start: impl FnMut(u32) -> Result<Kthread>,
    ) -> Result {
        let mut crew = self.crew.lock();
        while crew.workers < count {
            if crew.closed {
                return Err(ESRCH);
            }
            let number = crew.workers;
            crew.add(|| start(number))?;
            crew.workers += 1;
        }
        Ok(())
    }

    /// Has `start` start a thread that is no worker. May sleep.
    pub(super) fn join_crew(&self, start: impl FnOnce() -> Result<Kthread>) -> Result {
        self.crew.lock().add(start)
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
        if self
            .guard
            .as_ref()
            .is_some_and(|guard| guard.hazard().is_some())
        {
            self.end(End::Hazard);
            return true;
        }
        let over = match self.request.limit {
            Limit::Time(_) => self.time_left_ns() == Some(0),
            Limit::Volume(bytes) => self.moved.load(Relaxed) >= bytes,
        };
        if over {
            self.end(End::Completed);
        }
        over
    }

    /// How long the test has still to run, in nanoseconds; `None` where that is no matter of time.
    pub(super) fn time_left_ns(&self) -> Option<u64> {
        match self.request.limit {
            Limit::Time(ms) => Some(ms.saturating_mul(1_000_000).saturating_sub(self.age_ns())),
            Limit::Volume(_) => None,
        }
    }

    /// A worker has moved so many more bytes.
    pub(super) fn moved(&self, bytes: u64) {
        self.moved.fetch_add(bytes, Relaxed);
    }

    fn progress(&self) -> Progress {
        match self.end.load(Acquire) {
            2 => Progress::StoppedEarly,
            3 | 4 => Progress::GaveUp,
            _ => Progress::Completed,
        }
    }

    fn since_made(&self) -> u64 {
        u64::try_from(self.made.elapsed().as_nanos()).unwrap_or(0)
    }

    /// Lets all threads begin, and the time with them. May sleep.
    pub(super) fn begin(&self) {
        let mut watch = self.watch.lock();
        watch.begin();
        self.began_ns.store(self.since_made().max(1), Release);
        drop(watch);
        self.ending.notify_all();
    }

    /// Sleeps until the test begins, or is to end before.
    pub(super) fn wait_for_begin(&self) {
        self.ending.wait_idle(None, || {
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
        self.ending.wait_idle(Some(ns), || self.is_ending());
    }

    /// Sleeps for `ns` nanoseconds.
    pub(super) fn pause(&self, ns: u64) {
        self.ending.wait_idle(Some(ns), || false);
    }

    /// Sleeps until every thread of the test has done what it had to do. However long that is:
    /// bios that a suspended device holds come back when it is resumed.
    fn wait_for_threads(&self) {
        self.ending
            .wait_idle(None, || self.present.load(Acquire) == 0);
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

    /// Looks at target and device for the last time, and has the target take no more times. May sleep.
    fn finish(&self) {
        self.look_at_target();
        if let Some(table) = table::find(self.number) {
            // Switching off needs no memory, so it does not fail.
            let _ = table.set_timing(false);
        }
        // As late as can be: what is in flight shows when it has ended.
        match &self.guard {
            Some(guard) => guard.look_for_writes(),
            // The target does not count again what was in flight when the test began.
            None => {
                let changed = self.device.device().changed_sectors() != self.changed_before;
                self.watch.lock().foreign_writes |= changed;
            }
        }
    }

    /// Looks at target and workers, and adds a sample to the trend. May sleep.
    pub(super) fn sample(&self) {
        let (mut ops, mut bytes) = (0_u64, 0_u64);
        for tally in self.tallies.lock().iter() {
            let tally = tally.lock();
            ops = ops.saturating_add(tally.ops);
            bytes = bytes.saturating_add(tally.bytes);
        }
        self.watch.lock().sample(ops, bytes, self.account.now());
    }

    /// Looks at the target, and has it take times. May sleep.
    pub(super) fn look_at_target(&self) {
        self.watch.lock().look_at_target();
    }

    /// What later runs have to have in common with this one to be compared with it, and what is
    /// typical of it or why that cannot be said. `None` for a test that is not compared.
    pub(super) fn comparable(&self) -> Option<(Kind, Result<Typical, &'static str>)> {
        let request = &self.request;
        let kind = Kind {
            device: self.name,
            test: request.number,
            workers: self.controls.workers(),
            queue_depth: self.queue_depth(),
        };
        let typical = if self.progress() != Progress::Completed {
            Err("the run was not completed")
        } else if self.controls.adjusted() {
            Err("the test was adjusted")
        } else {
            self.watch.lock().trend.typical()
        };
        request.compared.then_some((kind, typical))
    }

    /// Operations that all workers keep in flight together.
    fn queue_depth(&self) -> u32 {
        self.controls
            .in_flight(self.plan.workload(), &Adjustment::default())
    }

    /// All that is known at present; `ended` when every worker has ended. `charts` is filled in
    /// as well. May sleep.
    pub(super) fn measure(&self, ended: bool, charts: &mut Charts) -> Result<KBox<Measurement>> {
        let elapsed_ns = match (ended, self.drained_ns.load(Relaxed)) {
            (false, _) | (true, 0) => self.age_ns(),
            (true, drained) => drained,
        };
        let request = &self.request;
        let watch = self.watch.lock();
        charts.trend.copy_from(&watch.trend);
        charts.added.copy_from(&watch.added);
        let mut measured = KBox::new(
            Measurement {
                name: self.name,
                device: self.number,
                test: request.number,
                test_name: request.name,
                limit: request.limit,
                workers: self.controls.workers(),
                queue_depth: self.queue_depth(),
                seed: self.plan.workload().seed,
                progress: if ended {
                    self.progress()
                } else {
                    Progress::Running
                },
                elapsed_ns,
                ops: 0,
                bytes: 0,
                flushes: 0,
                zeroed: 0,
                errors: 0,
                in_flight: self.gauge.now(),
                peak_in_flight: self.gauge.peak(),
                synchronous: false,
                added: watch.timed.then(|| watch.added.summary()),
                read: Default::default(),
                write: Default::default(),
                quarters: watch.trend.quarters(),
                variation: watch.trend.latency_variation(),
                peak_bytes_per_second: watch.trend.peak(),
                slope: watch.trend.course().map(|course| course.slope),
                regression: if request.compared {
                    Regression::Pending
                } else {
                    Regression::NotAsked
                },
                integrity: None,
                engine: watch.engine,
                resources: Resources {
                    memory_before: self.memory_before,
                    memory_peak: self.account.peak(),
                    memory_after: self.account.now(),
                    cpu_ns: self.remaps.cpu_ns.load(Relaxed),
                    pressure_bytes: request.pressure_bytes,
                },
                failed_workers: u32::try_from(self.failed_workers.load(Relaxed))
                    .unwrap_or(u32::MAX),
                hazard: self.guard.as_ref().and_then(Guard::hazard),
                left_remapped: self.remaps.left_remapped.load(Relaxed),
                remap_errors: self.remaps.errors.load(Relaxed),
            },
            GFP_KERNEL,
        )?;
        let guard = self.guard.as_ref();
        let shared = watch.foreign_writes || guard.is_some_and(Guard::saw_foreign_writes);
        drop(watch);
        self.add_workers(&mut measured, charts, (ended, shared));
        Ok(measured)
    }

    fn add_workers(
        &self,
        measured: &mut Measurement,
        charts: &mut Charts,
        (ended, shared): (bool, bool),
    ) {
        let mut integrity = Integrity {
            shared,
            ..Integrity::default()
        };
        let (mut synchronous, mut bios) = (0_u64, 0_u64);
        charts.read.clear();
        charts.write.clear();
        for tally in self.tallies.lock().iter() {
            let tally = tally.lock();
            synchronous = synchronous.saturating_add(tally.synchronous);
            bios = bios.saturating_add(tally.bios);
            tally.add_to(measured, charts, &mut integrity);
        }
        measured.read = charts.read.summary();
        measured.write = charts.write.summary();
        measured.synchronous = synchronous > bios / 2;
        measured.integrity = ended.then_some(integrity);
    }
}
