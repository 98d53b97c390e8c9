// SPDX-License-Identifier: GPL-2.0

//! Which test runs, who may start one, and the one door through which every test ends.

use core::fmt::Arguments;

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
    device_number::DeviceNumber,
    measurement::{
        Measurement,
        Name,
        Progress, //
    },
    request::DeviceName,
    verdict::Verdict,
    workload::{
        Plan,
        Workload, //
    },
};

use crate::{
    linux::{
        kthread::Kthread,
        log,
        open_device::{
            Access,
            OpenDevice, //
        },
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
    monitor,
    remapper::Remapper,
    run::{
        Crew,
        End,
        Request,
        Run, //
    },
    worker::Worker,
};

/// Logs why a write to `file` is refused, and returns the error for it.
pub(super) fn refuse(file: &str, why: Arguments<'_>, error: Error) -> Error {
    pr_err!("{file}: {why}\n");
    error
}

/// Where the manager is between two tests.
///
/// ```text
/// Idle -> Starting -> Running -> Ending -> Idle
///             |                              ^
///             +------------------------------+   could not be started
/// ```
///
/// Every test leaves `Running` in [`Manager::ended`], which its monitor calls when all threads of
/// the test have ended, whatever the reason.
enum Phase {
    Idle,
    /// Somebody prepares a test, without the lock.
    Starting,
    Running(Arc<Run>),
    /// The test is over; its memory and its device are being given back.
    Ending,
}

struct State {
    phase: Phase,
    /// The monitor of the running or last test, to be waited for.
    monitor: Option<Kthread>,
    /// What the user has set.
    target: Option<Name>,
    /// The last test.
    last: Option<KBox<Measurement>>,
    /// The module goes: no test is started any more.
    closed: bool,
}

/// The manager.
#[pin_data]
pub(super) struct Manager {
    #[pin]
    state: Mutex<State>,
    /// Notified when the phase becomes `Idle`.
    #[pin]
    idle: CondVar,
    account: Arc<Account>,
    _memory: Charge,
}

impl Manager {
    pub(super) fn new() -> Result<Arc<Self>> {
        let account = Account::new()?;
        // What is known of the last test stays, so it is charged from the start.
        let memory = Account::charge(
            &account,
            size_of::<Self>() + size_of::<Account>() + size_of::<Measurement>(),
        );
        Arc::pin_init(
            pin_init!(Self {
                state <- new_mutex!(
                    State {
                        phase: Phase::Idle,
                        monitor: None,
                        target: None,
                        last: None,
                        closed: false,
                    },
                    "Manager::state"
                ),
                idle <- new_condvar!("Manager::idle"),
                account,
                _memory: memory,
            }),
            GFP_KERNEL,
        )
    }

    /// Sets the device of the tests to come.
    pub(super) fn set_target(&self, file: &str, device: &DeviceName<'_>) -> Result {
        let mut state = self.state.lock();
        if !matches!(state.phase, Phase::Idle) {
            return Err(busy(file));
        }
        if find(device)?.is_none() {
            return Err(no_such_device(file));
        }
        state.target = Some(Name::new(device.as_bytes()));
        Ok(())
    }

    /// Starts a test on behalf of `file`. Returns when it runs. May sleep.
    pub(super) fn start(
        this: ArcBorrow<'_, Self>,
        file: &str,
        request: Request,
        workload: Workload,
    ) -> Result {
        let target = {
            let mut state = this.state.lock();
            if state.closed {
                return Err(ENODEV);
            }
            if !matches!(state.phase, Phase::Idle) {
                return Err(busy(file));
            }
            state.phase = Phase::Starting;
            let (monitor, target) = (state.monitor.take(), state.target);
            drop(state);
            // It has handed its test back, so this is the end of the thread only.
            drop(monitor);
            target
        };
        let started = this
            .prepare(file, target, request, workload)
            .and_then(|(run, crew)| Self::watch(this, run, crew));
        if let Err(error) = started {
            if error == ENOMEM {
                pr_err!("{file}: not enough memory for the test\n");
            }
            this.state.lock().phase = Phase::Idle;
            this.idle.notify_all();
        }
        started
    }

    /// Leaves a test to its monitor, and lets it begin.
    fn watch(this: ArcBorrow<'_, Self>, run: Arc<Run>, crew: Crew) -> Result {
        // Held while the monitor starts: it may be done at once, but needs the lock to say so.
        let mut state = this.state.lock();
        state.monitor = Some(monitor::spawn(this.into(), run.clone(), crew)?);
        state.phase = Phase::Running(run.clone());
        drop(state);
        run.begin();
        Ok(())
    }

    /// Everything that a test needs, its threads waiting to begin.
    // Its frame is large, and below it a device is opened: not to be merged with its callers'.
    #[inline(never)]
    fn prepare(
        &self,
        file: &str,
        target: Option<Name>,
        request: Request,
        workload: Workload,
    ) -> Result<(Arc<Run>, Crew)> {
        let table = choose(file, target)?;
        let number = table.device_number();
        let name = table.with_name(Name::new).ok_or(ENODEV)?;
        drop(table);
        let (plan, device) = open(file, number, workload)?;
        let run = Run::new(request, plan, (name, number), device, &self.account)?;

        let mut workers = KVec::with_capacity(workload.workers as usize, GFP_KERNEL)?;
        for number in 0..workload.workers {
            workers.push(Worker::new(&run, number)?, GFP_KERNEL)?;
        }
        let remapper = workload.remaps.then(|| Remapper::new(&run)).transpose()?;
        let mut crew = Crew::new(&run);
        run.prepare_target();
        for worker in workers {
            crew.join(worker.start()?)?;
        }
        if let Some(remapper) = remapper {
            crew.join(remapper.start()?)?;
        }
        if log::admits(log::Level::State) {
            let (test, workers, seed) = (request.test, workload.workers, workload.seed);
            pr_info!(
                "{file}: test {test} on {}, {workers} workers, seed {seed}\n",
                format_args!("{number}")
            );
        }
        Ok((run, crew))
    }

    /// Stops the running test, if there is one, and waits until all its threads have ended.
    ///
    /// The wait can be interrupted by a signal (`ERESTARTSYS`); the test ends all the same. Where
    /// the device is suspended, the test ends when it is resumed.
    pub(super) fn stop(&self) -> Result {
        let mut state = self.state.lock();
        loop {
            match &state.phase {
                Phase::Idle => return Ok(()),
                Phase::Running(run) => run.end(End::Stopped),
                Phase::Starting | Phase::Ending => {}
            }
            if self.idle.wait_interruptible(&mut state) {
                return Err(ERESTARTSYS);
            }
        }
    }

    /// Stops the running test and lets nobody start another. Waits for all threads.
    pub(super) fn shut_down(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        loop {
            match &state.phase {
                Phase::Idle => break,
                Phase::Running(run) => run.end(End::Stopped),
                Phase::Starting | Phase::Ending => {}
            }
            self.idle.wait(&mut state);
        }
        let monitor = state.monitor.take();
        drop(state);
        drop(monitor);
    }

    /// A test has ended, and all its threads but the monitor, which calls this.
    pub(super) fn ended(&self, run: Arc<Run>) {
        let measured = run.measure(true);
        let mut state = self.state.lock();
        // Without memory for it, the results are those of the test before.
        let progress = measured.as_ref().map(|measured| measured.progress).ok();
        if let Ok(mut measured) = measured {
            // Not ended in the eyes of the readers before everything is given back.
            measured.progress = Progress::Running;
            state.last = Some(measured);
        } else {
            pr_err!("no memory for the results of the test\n");
        }
        // The monitor is the last one that uses the run.
        let shared = core::mem::replace(&mut state.phase, Phase::Ending);
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
        state.phase = Phase::Idle;
        drop(state);
        self.idle.notify_all();
    }

    /// Calls `report` with what is known of the running or last test. May sleep.
    pub(super) fn report(
        &self,
        report: impl FnOnce(Option<&Measurement>) -> core::fmt::Result,
    ) -> Result {
        let state = self.state.lock();
        let written = match &state.phase {
            Phase::Running(run) => {
                run.look_at_target_only();
                let measured = run.measure(false)?;
                report(Some(&measured))
            }
            Phase::Idle | Phase::Starting | Phase::Ending => report(state.last.as_deref()),
        };
        written.map_err(|_| EOVERFLOW)
    }
}

fn busy(file: &str) -> Error {
    refuse(file, format_args!("a test runs already"), EBUSY)
}

fn no_such_device(file: &str) -> Error {
    refuse(file, format_args!("device: no such remap device"), ENODEV)
}

/// The table that a user's name stands for. A dm name goes before a number that looks like it.
fn find(device: &DeviceName<'_>) -> Result<Option<Arc<LiveTable>>> {
    let all = live::all()?;
    let by_name =
        |table: &&Arc<LiveTable>| table.with_name(|name| device.is_name(name)) == Some(true);
    let by_number = |table: &&Arc<LiveTable>| device.is_number(table.device_number());
    let found = all
        .iter()
        .find(by_name)
        .or_else(|| all.iter().find(by_number));
    Ok(found.cloned())
}

/// The table to test: the one that was set, or the only one.
fn choose(file: &str, target: Option<Name>) -> Result<Arc<LiveTable>> {
    if let Some(name) = target {
        // It was taken when it was set, so it has the form of a name.
        let device = DeviceName::parse(name.as_bytes()).map_err(|_| EINVAL)?;
        return find(&device)?
            .ok_or_else(|| refuse(file, format_args!("set_target: the device is gone"), ENODEV));
    }
    let mut all = live::all()?;
    // Targets of one device are one device to us.
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

/// Opens the device and fits the workload to it.
fn open(file: &str, number: DeviceNumber, workload: Workload) -> Result<(Plan, OpenDevice)> {
    let access = if workload.read_percent < 100 {
        Access::ExclusiveWrite
    } else {
        Access::SharedRead
    };
    let device = OpenDevice::open(number, access).map_err(|error| {
        let why = if error == EBUSY {
            "is in use by someone else"
        } else {
            "cannot be opened"
        };
        refuse(file, format_args!("device {number}: {why}"), error)
    })?;
    let bytes = device.device().logical_block_sectors().saturating_mul(512);
    let plan = Plan::new(workload, device.device().sectors(), bytes).map_err(|why| {
        refuse(
            file,
            format_args!("device {number}: {}", why.reason()),
            EINVAL,
        )
    })?;
    Ok((plan, device))
}
