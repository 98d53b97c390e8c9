// SPDX-License-Identifier: GPL-2.0

//! State machine of the stress manager: the start, the run and the end of a test.

use core::fmt::{
    Arguments,
    Write, //
};

use kernel::{
    new_condvar, new_mutex,
    prelude::*,
    sync::{
        Arc,
        ArcBorrow,
        CondVar,
        Mutex, //
    },
};
use remap_core::{
    interface::device_number::DeviceNumber,
    stress::{
        generator::Plan,
        measurement::{
            Charts,
            Measurement,
            Progress, //
        },
        name::{
            Name,
            Printable, //
        },
        regression::{
            Baselines,
            Regression,
            Thresholds, //
        },
        request::{
            Adjustment,
            DeviceName, //
        },
        stress_test::StressTest,
        verdict::Verdict,
        workload::MAX_IN_FLIGHT, //
    }, //
};

use crate::{
    linux::{
        kthread::Kthread,
        log,
        open_device::{
            Access,
            OpenDevice, //
        },
        text::Text,
        zeroed::EmptyIsZero, //
    },
    remap::table::{
        self,
        Table, //
    },
};

use super::{
    guard,
    memory::{
        Account,
        Charge, //
    },
    monitor,
    pressure::Pressure,
    refusal::{
        busy,
        no_memory,
        no_such_device,
        refuse, //
    },
    remapper::Remapper,
    run::{
        End,
        EndOfRun,
        Request,
        Run, //
    },
    worker,
};

/// Phase of the manager.
///
/// ```text
/// Idle -> Starting -> Running -> Ending -> Idle
///             |                              ^
///             +------------------------------+   on error
/// ```
///
/// Every test leaves `Running` in [`Manager::ended`]. Its monitor calls that function when all other threads
/// of the test have ended, whatever the reason.
enum Phase {
    Idle,
    /// A thread prepares a test, without the lock.
    Starting,
    Running(Arc<Run>),
    /// The test is over. Its memory and its device are being released.
    Ending,
}

struct State {
    phase: Phase,
    /// Monitor of the running or last test. Dropping it waits for its thread.
    monitor: Option<Kthread>,
    /// Stay of the device that the user has set.
    target: Option<u64>,
    thresholds: Thresholds,
    /// Changes of settings for the next test.
    adjustment: Adjustment,
    baselines: KBox<Baselines>,
    /// Results of the last test.
    last: Option<KBox<Measurement>>,
    /// Histograms and trend of the last test.
    charts: KVBox<Charts>,
    /// The module is being unloaded, and no test is started any more.
    closed: bool,
}

/// Stress manager of the module.
#[pin_data]
pub(super) struct Manager {
    #[pin]
    state: Mutex<State>,
    /// Notified by [`Self::enter`] when the phase changes.
    #[pin]
    changed: CondVar,
    account: Arc<Account>,
    _memory: Charge,
}

impl Manager {
    /// Makes a manager without a test. May sleep. `ENOMEM`.
    // Not inlined: it would make the stack frame of its caller large.
    #[inline(never)]
    pub(super) fn new() -> Result<Arc<Self>> {
        let account = Account::new()?;
        // The results of the last test are kept, so their memory is charged from the start.
        let memory = Account::charge(
            &account,
            size_of::<Self>()
                + size_of::<Account>()
                + size_of::<Measurement>()
                + size_of::<Charts>()
                + size_of::<Baselines>(),
        );
        let charts = Charts::boxed()?;
        let baselines = KBox::new(Baselines::new(), GFP_KERNEL)?;
        Arc::pin_init(
            pin_init!(Self {
                state <- new_mutex!(
                    State {
                        phase: Phase::Idle,
                        monitor: None,
                        target: None,
                        thresholds: Thresholds::DEFAULT,
                        adjustment: Adjustment::default(),
                        baselines,
                        last: None,
                        charts,
                        closed: false,
                    },
                    "Manager::state"
                ),
                changed <- new_condvar!("Manager::changed"),
                account,
                _memory: memory,
            }),
            GFP_KERNEL,
        )
    }

    /// Changes the phase, and wakes all waiters. Returns the phase before.
    fn enter(&self, state: &mut State, phase: Phase) -> Phase {
        self.changed.notify_all();
        core::mem::replace(&mut state.phase, phase)
    }

    /// Sets the device of later tests, or unsets it. `EBUSY` unless the manager is idle, `ENODEV` if there is no
    /// such device. May sleep.
    pub(super) fn set_target(&self, file: &str, device: Option<&DeviceName<'_>>) -> Result {
        let mut state = self.state.lock();
        if !matches!(state.phase, Phase::Idle) {
            return Err(busy(file));
        }
        state.target = match device {
            None => None,
            Some(device) => match find(device)? {
                None => return Err(no_such_device(file)),
                Some(table) => Some(table.stay()),
            },
        };
        Ok(())
    }

    /// Prints the name of the device that is set; an empty line if none is. May sleep.
    pub(super) fn show_target(&self, text: &mut Text<'_>) -> Result {
        let mut state = self.state.lock();
        let table = set_table(&mut state.target)?;
        let mut print = |name: &[u8]| match core::str::from_utf8(name) {
            Ok(name) => writeln!(text, "{name}"),
            Err(_) => writeln!(text, "{}", Printable(&Name::new(name))),
        };
        let written = match &table {
            Some(table) => table.with_name(print).ok_or(ENODEV)?,
            None => print(b""),
        };
        written.map_err(|_| EOVERFLOW)
    }

    /// Returns how much worse than its baseline a test may be.
    pub(super) fn thresholds(&self) -> Thresholds {
        self.state.lock().thresholds
    }

    /// Sets the thresholds to the result of `change`, which gets the present ones. May sleep.
    pub(super) fn set_thresholds<E>(
        &self,
        change: impl FnOnce(Thresholds) -> Result<Thresholds, E>,
    ) -> Result<(), E> {
        let mut state = self.state.lock();
        state.thresholds = change(state.thresholds)?;
        Ok(())
    }

    /// Calls `change` with the baselines, to read or to change them. May sleep.
    pub(super) fn change_baselines<R>(&self, change: impl FnOnce(&mut Baselines) -> R) -> R {
        change(&mut self.state.lock().baselines)
    }

    /// Changes settings of the running test, or of the next one if none runs. May sleep.
    ///
    /// `EBUSY` while a test starts, `EINVAL` for settings that the test cannot have, `ESRCH` if it is ending.
    pub(super) fn adjust(&self, file: &str, adjustment: &Adjustment) -> Result {
        let mut state = self.state.lock();
        let run = match &state.phase {
            Phase::Running(run) => run,
            Phase::Starting => return Err(busy(file)),
            Phase::Idle | Phase::Ending => {
                state.adjustment = state.adjustment.then(*adjustment);
                return Ok(());
            }
        };
        if adjustment.write_percent.is_some_and(|percent| percent > 0) && !run.may_write() {
            let why = format_args!("write_percent: the test only reads and has claimed no device");
            return Err(refuse(file, why, EINVAL));
        }
        let in_flight = run.controls.in_flight(run.plan.workload(), adjustment);
        check_in_flight(file, in_flight)?;
        if let Some(workers) = adjustment.workers {
            worker::hire(run, workers).map_err(|error| {
                let why = if error == ESRCH {
                    "the test is ending"
                } else {
                    "not enough memory"
                };
                refuse(file, format_args!("workers: {why}"), error)
            })?;
        }
        run.controls.set(adjustment);
        Ok(())
    }

    /// Starts a test for a write to `file`. Returns when the test runs. May sleep.
    pub(super) fn start(this: ArcBorrow<'_, Self>, file: &str, test: &StressTest) -> Result {
        let (target, adjustment) = {
            let mut state = this.state.lock();
            if state.closed {
                return Err(ENODEV);
            }
            if !matches!(state.phase, Phase::Idle) {
                return Err(busy(file));
            }
            let was_set = state.target.is_some();
            let target = set_table(&mut state.target)?;
            if was_set && target.is_none() {
                let why = format_args!("set_target: the device is gone");
                return Err(refuse(file, why, ENODEV));
            }
            this.enter(&mut state, Phase::Starting);
            let monitor = state.monitor.take();
            let adjustment = state.adjustment;
            drop(state);
            // The monitor has handed its test back, so this waits for the end of its thread only.
            drop(monitor);
            (target, adjustment)
        };
        let started = this
            .prepare(file, target, test, &adjustment)
            .and_then(|(run, end)| Self::watch(this, file, run, end));
        if started.is_err() {
            this.enter(&mut this.state.lock(), Phase::Idle);
        }
        started
    }

    /// Starts the monitor of a test, and lets the test begin.
    fn watch(this: ArcBorrow<'_, Self>, file: &str, run: Arc<Run>, end: EndOfRun) -> Result {
        // Held until the phase is `Running`: a monitor that is done at once waits for the lock in `ended`.
        let mut state = this.state.lock();
        let manager: Arc<Self> = this.into();
        let monitor = monitor::spawn(run.clone(), end, move |run| manager.ended(run));
        state.monitor = Some(monitor.map_err(|error| no_memory(file, error))?);
        // Before the phase lets another thread end the test.
        run.begin();
        this.enter(&mut state, Phase::Running(run));
        // The adjustment was for this test.
        state.adjustment = Adjustment::default();
        Ok(())
    }

    /// Makes everything that a test needs. Its threads wait for the begin. May sleep.
    // Not inlined: its stack frame is large, and its callees open a device.
    #[inline(never)]
    fn prepare(
        &self,
        file: &str,
        target: Option<Arc<Table>>,
        test: &StressTest,
        adjustment: &Adjustment,
    ) -> Result<(Arc<Run>, EndOfRun)> {
        let table = choose(file, target).map_err(|error| no_memory(file, error))?;
        let number = table.device_number();
        let name = table.with_name(Name::new).ok_or(ENODEV)?;
        drop(table);
        let run = self.new_run(file, (name, number), test, adjustment)?;
        let workload = run.plan.workload();
        check_in_flight(
            file,
            run.controls.in_flight(workload, &Adjustment::default()),
        )?;

        let end = EndOfRun::of(&run);
        let pressure = match test.pressure_bytes {
            0 => None,
            bytes => Some(Pressure::new(file, bytes, &self.account)?),
        };
        Self::staff(&run, pressure).map_err(|error| no_memory(file, error))?;
        run.look_at_target();
        if log::admits(log::Level::State) {
            let (workers, seed) = (run.controls.workers(), workload.seed);
            pr_info!(
                "{file}: test {} on {}, {workers} workers, seed {seed}\n",
                test.number,
                format_args!("{number}")
            );
        }
        Ok((run, end))
    }

    /// Starts the threads of a test.
    fn staff(run: &Arc<Run>, pressure: Option<Pressure>) -> Result {
        if let Some(pressure) = pressure {
            run.join_crew(|| pressure.start(run))?;
        }
        worker::hire(run, run.controls.workers())?;
        if run.plan.workload().remaps {
            let remapper = Remapper::new(run)?;
            run.join_crew(|| remapper.start())?;
        }
        Ok(())
    }

    /// Makes a test that is fitted to its device, without threads. May sleep.
    #[inline(never)]
    fn new_run(
        &self,
        file: &str,
        (name, number): (Name, DeviceNumber),
        test: &StressTest,
        adjustment: &Adjustment,
    ) -> Result<Arc<Run>> {
        let writes =
            test.workload.writes() || adjustment.write_percent.is_some_and(|percent| percent > 0);
        let device = open(file, number, writes)?;
        let bytes = device.device().logical_block_sectors().saturating_mul(512);
        let plan =
            Plan::new(&test.workload, device.device().sectors(), bytes).map_err(|error| {
                refuse(
                    file,
                    format_args!("device {number}: {}", error.reason()),
                    EINVAL,
                )
            })?;
        Run::new(
            Request::new(test),
            plan,
            adjustment,
            (name, number),
            (device, writes),
            &self.account,
        )
        .map_err(|error| no_memory(file, error))
    }

    /// Stops the running test, if there is one, and waits until all its threads have ended. Sleeps.
    ///
    /// A signal interrupts the wait (`ERESTARTSYS`); the test ends all the same. If the device is suspended,
    /// the test ends after its resume.
    pub(super) fn stop(&self) -> Result {
        let mut state = self.state.lock();
        loop {
            match &state.phase {
                Phase::Idle => return Ok(()),
                Phase::Running(run) => run.end(End::Stopped),
                Phase::Starting | Phase::Ending => {}
            }
            if self.changed.wait_interruptible(&mut state) {
                return Err(ERESTARTSYS);
            }
        }
    }

    /// Stops the running test, and refuses to start another one. Waits for all threads. Sleeps.
    pub(super) fn shut_down(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        loop {
            match &state.phase {
                Phase::Idle => break,
                Phase::Running(run) => run.end(End::Stopped),
                Phase::Starting | Phase::Ending => {}
            }
            self.changed.wait(&mut state);
        }
        let monitor = state.monitor.take();
        drop(state);
        drop(monitor);
    }

    /// Takes the results of a test, and releases its device and memory. Sleeps.
    ///
    /// The monitor calls this after all other threads of the test have ended.
    pub(super) fn ended(&self, run: Arc<Run>) {
        let mut state = self.state.lock();
        let measured = run.measure(true, &mut state.charts);
        let progress = measured.as_ref().map(|measured| measured.progress).ok();
        state.last = measured.ok();
        if let Some((kind, typical)) = run.comparable() {
            let thresholds = state.thresholds;
            let judged = Regression::judge(typical, &kind, &mut state.baselines, thresholds);
            if let Some(last) = &mut state.last {
                last.regression = judged;
            }
        }
        match &mut state.last {
            // Readers must not see the end before everything is released.
            Some(last) => last.progress = Progress::Running,
            None => pr_err!("no memory for the results of the test\n"),
        }
        // The monitor is the last thread that uses the run.
        let shared = self.enter(&mut state, Phase::Ending);
        drop(state);
        drop(shared);
        // The last reference: closes the device and frees the memory.
        drop(run);

        let mut state = self.state.lock();
        if let (Some(last), Some(progress)) = (&mut state.last, progress) {
            last.resources.memory_after = self.account.now();
            last.progress = progress;
            if log::admits(log::Level::State) {
                let result = Verdict::new(last).result();
                pr_info!(
                    "stress test on {} ended: {}, {}\n",
                    format_args!("{}", last.device),
                    progress.word(),
                    result.word()
                );
            }
        }
        self.enter(&mut state, Phase::Idle);
    }

    /// Calls `report` with the measurement of the running or last test. May sleep.
    pub(super) fn report(
        &self,
        report: impl FnOnce(Option<&Measurement>, &Charts) -> core::fmt::Result,
    ) -> Result {
        let state = self.state.lock();
        let written = match &state.phase {
            Phase::Running(run) => {
                run.look_at_target();
                let mut charts = Charts::boxed()?;
                let measured = run.measure(false, &mut charts)?;
                report(Some(&measured), &charts)
            }
            Phase::Idle | Phase::Starting | Phase::Ending => {
                report(state.last.as_deref(), &state.charts)
            }
        };
        written.map_err(|_| EOVERFLOW)
    }
}

/// Refuses a test that would keep more than [`MAX_IN_FLIGHT`] operations in flight: `EINVAL`.
fn check_in_flight(file: &str, in_flight: u32) -> Result {
    if in_flight > MAX_IN_FLIGHT {
        return Err(refuse(
            file,
            format_args!("queue_depth: {in_flight} in flight are more than {MAX_IN_FLIGHT}"),
            EINVAL,
        ));
    }
    Ok(())
}

/// Returns the table of the device that a user has named: by dm name, or else by number. May sleep.
fn find(device: &DeviceName<'_>) -> Result<Option<Arc<Table>>> {
    let all = table::all()?;
    let by_name = |table: &&Arc<Table>| table.with_name(|name| device.is_name(name)) == Some(true);
    let by_number = |table: &&Arc<Table>| device.is_number(table.device_number());
    let found = all
        .iter()
        .find(by_name)
        .or_else(|| all.iter().find(by_number));
    Ok(found.cloned())
}

/// Returns the table of the device that is set. Unsets a device that is gone. May sleep.
fn set_table(target: &mut Option<u64>) -> Result<Option<Arc<Table>>> {
    let Some(stay) = *target else {
        return Ok(None);
    };
    let table = table::all()?
        .iter()
        .find(|table| table.stay() == stay)
        .cloned();
    if table.is_none() {
        *target = None;
    }
    Ok(table)
}

/// Returns the table to test: `target` if set, or else the table of the only device. `ENODEV` if there are
/// several devices or none. May sleep.
fn choose(file: &str, target: Option<Arc<Table>>) -> Result<Arc<Table>> {
    if let Some(table) = target {
        return Ok(table);
    }
    let mut all = table::all()?;
    // A device with several targets is one device.
    all.retain({
        let mut seen = None;
        move |table| seen.replace(table.device_number()) != Some(table.device_number())
    });
    match (all.pop(), all.is_empty()) {
        (Some(only), true) => Ok(only),
        (Some(_), false) => {
            let why = format_args!("set_target: not set, and there are several remap devices");
            Err(refuse(file, why, ENODEV))
        }
        (None, _) => Err(refuse(
            file,
            format_args!("there is no remap device"),
            ENODEV,
        )),
    }
}

/// Opens the device, and claims it for a test that writes. May sleep.
fn open(file: &str, number: DeviceNumber, writes: bool) -> Result<OpenDevice> {
    let access = if writes {
        Access::ExclusiveWrite
    } else {
        Access::SharedRead
    };
    let refuse =
        |why: Arguments<'_>, error| refuse(file, format_args!("device {number}: {why}"), error);
    let device = OpenDevice::open(number, access).map_err(|error| {
        let why = if error == EBUSY {
            "is in use by someone else, who has claimed it"
        } else {
            "cannot be opened"
        };
        refuse(format_args!("{why}"), error)
    })?;
    if !writes {
        return Ok(device);
    }
    if device.device().is_read_only() {
        return Err(refuse(format_args!("is read-only"), EROFS));
    }
    match device.become_only_user(guard::PATIENCE) {
        Ok(true) => Ok(device),
        Ok(false) => {
            let others = device.device().openers().saturating_sub(1).max(1);
            Err(refuse(
                format_args!("is in use by someone else: other openers: {others}"),
                EBUSY,
            ))
        }
        Err(error) => Err(refuse(format_args!("cannot be written out"), error)),
    }
}
