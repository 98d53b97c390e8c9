// SPDX-License-Identifier: GPL-2.0

//! One stress test: its request, its device, its threads and its results so far.

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
    interface::device_number::DeviceNumber,
    stress::{
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
        trend::Typical, //
    }, //
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

/// Reason for the end of a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum End {
    /// The time is over, or the volume of data is reached.
    Completed = 1,
    /// A user stopped the test, or the module is being unloaded.
    Stopped = 2,
    /// A worker gave up.
    GaveUp = 3,
    /// The test could damage data if it went on.
    Hazard = 4,
}

/// Request of a user, without the workload, which is in the plan.
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

/// Threads of a test.
struct Crew {
    threads: KVec<Kthread>,
    /// Number of workers among them.
    workers: u32,
    /// No thread can be added any more.
    closed: bool,
}

impl Crew {
    /// Starts a thread by `start`. Its place is reserved before: a thread without one would be dropped, and so
    /// waited for, while it waits for the test to begin. May sleep.
    fn add(&mut self, start: impl FnOnce() -> Result<Kthread>) -> Result {
        self.threads.reserve(1, GFP_KERNEL)?;
        self.threads.push(start()?, GFP_KERNEL)?;
        Ok(())
    }
}

/// Guard that ends the run when dropped, unless it is ending already, and waits for its threads.
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
        // Their work is done, so this waits for the end of the threads only.
        let threads = core::mem::take(&mut run.crew.lock().threads);
        drop(threads);
        run.finish();
    }
}

/// Token of a thread of a run: exists from before the thread starts until the thread's work is done.
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

/// Test that is being prepared, runs, or is ending.
#[pin_data]
pub(super) struct Run {
    request: Request,
    pub(super) plan: Plan,
    pub(super) controls: Controls,
    name: Name,
    pub(super) number: DeviceNumber,
    pub(super) device: Arc<OpenDevice>,
    /// Guard of a test that may write.
    pub(super) guard: Option<Guard>,
    pub(super) gauge: Arc<Gauge>,
    /// Tallies of the workers, one for each.
    #[pin]
    tallies: Mutex<KVec<Arc<Mutex<Tally>>>>,
    pub(super) remaps: RemapTally,
    pub(super) failed_workers: Atomic<u64>,
    #[pin]
    crew: Mutex<Crew>,
    made: Instant<Monotonic>,
    /// Time of the begin, in nanoseconds since `made`; 0 before.
    began_ns: Atomic<u64>,
    /// Number of threads whose work is not done yet.
    present: Atomic<u64>,
    /// Number of bytes moved by all workers.
    moved: Atomic<u64>,
    /// Time when the last worker had no operation in flight, in nanoseconds since the begin; 0 before.
    drained_ns: Atomic<u64>,
    /// Number of an [`End`]; 0 as long as the test is not ending.
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
    /// Makes a test of `device`, which is `claimed` or only read. May sleep.
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

    /// Returns whether the test may write: it has claimed the device then.
    pub(super) fn may_write(&self) -> bool {
        self.guard.is_some()
    }

    /// Makes the tally of another worker. May sleep.
    pub(super) fn new_tally(&self) -> Result<Arc<Mutex<Tally>>> {
        let tally = Arc::pin_init(new_mutex!(Tally::new()?, "Run::tally"), GFP_KERNEL)?;
        self.tallies.lock().push(tally.clone(), GFP_KERNEL)?;
        Ok(tally)
    }

    /// Calls `start` with the number of the next worker until there are `count` workers. `ESRCH` if the test
    /// is over. May sleep.
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

    /// Starts a thread that is not a worker, by `start`. May sleep.
    pub(super) fn join_crew(&self, start: impl FnOnce() -> Result<Kthread>) -> Result {
        self.crew.lock().add(start)
    }

    /// Ends the test for the reason `why`, unless it is ending already. Any context.
    pub(super) fn end(&self, why: End) {
        let _ = self.end.cmpxchg(0, why as u32, Full);
        self.ending.notify_all();
    }

    /// Returns whether the test was told to end. Any context.
    pub(super) fn is_ending(&self) -> bool {
        self.end.load(Acquire) != 0
    }

    /// Returns whether the test is to end. Ends it if a hazard is set or its limit is reached, so that it ends
    /// in time even if the monitor has to wait for a CPU.
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

    /// Returns the remaining time of the test in nanoseconds; `None` if a volume of data limits the test.
    pub(super) fn time_left_ns(&self) -> Option<u64> {
        match self.request.limit {
            Limit::Time(ms) => Some(ms.saturating_mul(1_000_000).saturating_sub(self.age_ns())),
            Limit::Volume(_) => None,
        }
    }

    /// Counts bytes that a worker has moved.
    pub(super) fn moved(&self, bytes: u64) {
        self.moved.fetch_add(bytes, Relaxed);
    }

    /// Returns the progress of a test whose threads have ended.
    fn progress(&self) -> Progress {
        match self.end.load(Acquire) {
            2 => Progress::StoppedEarly,
            3 | 4 => Progress::GaveUp,
            _ => Progress::Completed,
        }
    }

    /// Returns the nanoseconds since `made`.
    fn since_made(&self) -> u64 {
        u64::try_from(self.made.elapsed().as_nanos()).unwrap_or(0)
    }

    /// Lets all threads begin, and starts the time. May sleep.
    pub(super) fn begin(&self) {
        let mut watch = self.watch.lock();
        watch.begin();
        self.began_ns.store(self.since_made().max(1), Release);
        drop(watch);
        self.ending.notify_all();
    }

    /// Sleeps until the test begins, or was told to end before.
    pub(super) fn wait_for_begin(&self) {
        self.ending.wait_idle(None, || {
            self.began_ns.load(Acquire) != 0 || self.is_ending()
        });
    }

    /// Returns the nanoseconds since the test began.
    pub(super) fn age_ns(&self) -> u64 {
        self.since_made()
            .saturating_sub(self.began_ns.load(Relaxed))
    }

    /// Sleeps for `ns` nanoseconds, or until the test is told to end.
    pub(super) fn sleep_until_end(&self, ns: u64) {
        self.ending.wait_idle(Some(ns), || self.is_ending());
    }

    /// Sleeps for `ns` nanoseconds.
    pub(super) fn pause(&self, ns: u64) {
        self.ending.wait_idle(Some(ns), || false);
    }

    /// Sleeps until the work of every thread is done. There is no time-out: bios that a suspended device
    /// holds come back after its resume.
    fn wait_for_threads(&self) {
        self.ending
            .wait_idle(None, || self.present.load(Acquire) == 0);
    }

    /// Records that a worker has no operation in flight any more.
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

    /// Reads the counters of target and device for the last time, and switches the target's timing off. May sleep.
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

    /// Reads the counters of target and workers, and adds a sample to the trend. May sleep.
    pub(super) fn sample(&self) {
        let (mut ops, mut bytes) = (0_u64, 0_u64);
        for tally in self.tallies.lock().iter() {
            let tally = tally.lock();
            ops = ops.saturating_add(tally.ops);
            bytes = bytes.saturating_add(tally.bytes);
        }
        self.watch.lock().sample(ops, bytes, self.account.now());
    }

    /// Reads the target's counters, and switches its timing on. May sleep.
    pub(super) fn look_at_target(&self) {
        self.watch.lock().look_at_target();
    }

    /// Returns the kind of the run, and its typical figures or why it has none. A later run is compared with
    /// runs of its own kind. `None` for a test that is not compared. May sleep.
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

    /// Returns the number of operations that all workers together keep in flight.
    fn queue_depth(&self) -> u32 {
        self.controls
            .in_flight(self.plan.workload(), &Adjustment::default())
    }

    /// Returns the time of the test in nanoseconds. For a test that has `ended`, this is the time until
    /// the last worker had no operation in flight, without the reads for integrity.
    fn elapsed_ns(&self, ended: bool) -> u64 {
        match (ended, self.drained_ns.load(Relaxed)) {
            (false, _) | (true, 0) => self.age_ns(),
            (true, drained) => drained,
        }
    }

    /// Returns the memory and CPU time of the test, without those of the workers.
    fn resources(&self) -> Resources {
        Resources {
            memory_before: self.memory_before,
            memory_peak: self.account.peak(),
            memory_after: self.account.now(),
            cpu_ns: self.remaps.cpu_ns.load(Relaxed),
            pressure_bytes: self.request.pressure_bytes,
        }
    }

    /// Returns the results so far, and fills in `charts`. `ended` says that every worker has ended. May sleep.
    pub(super) fn measure(&self, ended: bool, charts: &mut Charts) -> Result<KBox<Measurement>> {
        let elapsed_ns = self.elapsed_ns(ended);
        let request = &self.request;
        let watch = self.watch.lock();
        let table = table::find(self.number).filter(|_| watch.timed);
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
                delays: table.map(|table| table.delays_of_test()),
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
                resources: self.resources(),
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

    /// Adds the counts and histograms of the workers.
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
