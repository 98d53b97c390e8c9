// SPDX-License-Identifier: GPL-2.0

//! The stress manager's part of the module: it is loaded, watched by what it logs, and unloaded.

use std::cell::{Cell, RefCell, UnsafeCell};

use machine::{
    block_io,
    fail,
    scheduler::{self, world},
    sysfs,
    trace, //
};

use crate::{
    stress::Stress,
    unit::Unit,
    MODULE, //
};

/// A test that was prepared and has not ended, as far as anybody can tell from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Active {
    /// The task that starts it.
    starter: usize,
    pub(crate) seed: u64,
    /// The write that starts it has returned, well.
    returned: bool,
}

/// Knowledge of the stress manager.
pub(crate) struct Module {
    stress: UnsafeCell<Option<Stress>>,
    /// The module is there, wholly.
    pub(crate) loaded: Cell<bool>,
    /// Writes that may start a test, under way and so far.
    pub(crate) starting: Cell<u32>,
    pub(crate) starts: Cell<u64>,
    pub(crate) active: Cell<Option<Active>>,
    /// Those that were prepared, and have to fail, since another one was prepared after them.
    superseded: RefCell<Vec<Active>>,
    /// Something has happened to the device, the module or a test; so often.
    pub(crate) events: Cell<u64>,
    /// Somebody has adjusted something, or set a target.
    pub(crate) adjusts: Cell<bool>,
    pub(crate) targets: Cell<bool>,
    /// When the device was disturbed last.
    disturbed: Cell<u64>,
    /// Users who have the device open, and writes of theirs.
    pub(crate) users: Cell<u32>,
    pub(crate) user_writes: Cell<u64>,
    /// Writes of users that have not ended; and that there was one when the last test ended, of which
    /// nobody could know.
    pub(crate) writing: Cell<u32>,
    pub(crate) ended_beside_write: Cell<bool>,
    /// So often the device was opened by users, made read-only, and given another table.
    pub(crate) opened: Cell<u64>,
    pub(crate) set_read_only: Cell<u64>,
    pub(crate) replaced: Cell<u64>,
    /// There is no table, or no device.
    pub(crate) absent: Cell<bool>,
    /// Bios of the manager so far, and those that failed, of devices that have gone.
    pub(crate) submitted: Cell<u64>,
    pub(crate) failed: Cell<u64>,
    /// Where the user wants each block to be, on the spare or not; nothing where that is uncertain.
    pub(crate) wanted: RefCell<Vec<Option<bool>>>,
    /// Blocks may have been left on the spare.
    pub(crate) strays: Cell<bool>,
    /// The newest figures of a test: its seed, and operations.
    pub(crate) figures: Cell<(u64, u64)>,
    /// The results of the last test: its seed, and their text.
    pub(crate) results: RefCell<Option<(String, String)>>,
}

static mut WATCHED: *const Module = std::ptr::null();

/// Looks at a line of the log for what it says of tests.
fn watch_log(line: &str) {
    // SAFETY: The simulator has one thread, and the module outlives the run.
    let Some(module) = (unsafe { WATCHED.as_ref() }) else {
        return;
    };
    if let Some((_, seed)) = line.split_once(" workers, seed ") {
        module.prepared(seed.parse().unwrap_or(0));
    } else if line.starts_with("stress test on ") && line.contains(" ended: ")
        || line.starts_with("no memory for the results")
    {
        module.ended();
    }
}

impl Active {
    /// Returns whether the write that started it has returned.
    pub(crate) fn returned(&self) -> bool {
        self.returned
    }
}

impl Module {
    /// A module that is not loaded, and a device with so many blocks.
    pub(crate) fn new(blocks: u64) -> Self {
        Self {
            stress: UnsafeCell::new(None),
            loaded: Cell::new(false),
            starting: Cell::new(0),
            starts: Cell::new(0),
            active: Cell::new(None),
            superseded: RefCell::new(Vec::new()),
            events: Cell::new(0),
            adjusts: Cell::new(false),
            targets: Cell::new(false),
            disturbed: Cell::new(0),
            users: Cell::new(0),
            user_writes: Cell::new(0),
            writing: Cell::new(0),
            ended_beside_write: Cell::new(false),
            opened: Cell::new(0),
            set_read_only: Cell::new(0),
            replaced: Cell::new(0),
            absent: Cell::new(false),
            submitted: Cell::new(0),
            failed: Cell::new(0),
            wanted: RefCell::new(vec![Some(false); blocks as usize]),
            strays: Cell::new(false),
            figures: Cell::new((0, 0)),
            results: RefCell::new(None),
        }
    }

    /// The power was cut.
    pub(crate) fn forget(&self) {
        // SAFETY: There is one thread. What it held lies in the arena, and nobody drops it.
        std::mem::forget(unsafe { (*self.stress.get()).take() });
        self.loaded.set(false);
        self.starting.set(0);
        self.users.set(0);
        self.writing.set(0);
        self.absent.set(false);
        // Tests have left blocks where they were.
        self.strays.set(true);
        self.wanted.borrow_mut().fill(None);
        self.begin();
    }

    fn begin(&self) {
        self.active.set(None);
        self.superseded.take();
        self.figures.set((0, 0));
        self.results.take();
    }

    /// Counts an event.
    pub(crate) fn happens(&self) {
        self.events.set(self.events.get() + 1);
    }

    fn prepared(&self, seed: u64) {
        self.happens();
        let starter = scheduler::current();
        if let Some(other) = self.active.get() {
            if other.returned {
                fail!(
                    "a test is prepared while that with seed {} runs",
                    other.seed
                );
            }
            self.superseded.borrow_mut().push(other);
        }
        self.active.set(Some(Active {
            starter,
            seed,
            returned: false,
        }));
    }

    fn ended(&self) {
        self.happens();
        self.ended_beside_write.set(self.writing.get() > 0);
        if self.active.take().is_none() {
            fail!("a test ends that nobody has started");
        }
    }

    /// A write has returned that was to start a test, well or not. Returns the seed of the test.
    pub(crate) fn returned(&self, well: bool) {
        let me = scheduler::current();
        let mine = |active: &Active| active.starter == me && !active.returned;
        let superseded = self.superseded.borrow().iter().any(mine);
        self.superseded.borrow_mut().retain(|other| !mine(other));
        if superseded && well {
            fail!("two tests were started at once");
        }
        match self.active.get() {
            Some(active) if mine(&active) => self.active.set(well.then_some(Active {
                returned: true,
                ..active
            })),
            // It may have ended by now, if it had begun.
            _ => {}
        }
        self.happens();
    }
}

impl Unit {
    /// The device is disturbed: what waits for it may take its time from here.
    pub(crate) fn disturb(&self) {
        self.module.disturbed.set(world().now);
    }

    /// When the device was disturbed last, or that moment, if it is later.
    pub(crate) fn undisturbed_since(&self, began: u64) -> u64 {
        self.module.disturbed.get().max(began)
    }

    /// Loads the module, as far as it is the stress manager, once more where memory was short.
    pub(crate) fn load_module(&'static self) {
        let module = &self.module;
        module.begin();
        // SAFETY: The simulator has one thread.
        unsafe { WATCHED = module };
        world().log_reader = Some(watch_log);
        sysfs::load_module();
        loop {
            trace!("the module is loaded");
            match Stress::register(&MODULE) {
                Ok(stress) => {
                    // SAFETY: There is one thread.
                    unsafe { *module.stress.get() = Some(stress) };
                    break;
                }
                Err(error) => {
                    trace!("loading fails with {error:?}");
                    if !self.is_short_of_memory() || error.to_errno() != -12 {
                        fail!("the module cannot be loaded: {error:?}");
                    }
                    let calm = &self.common.calm;
                    if !world().sysfs.is_empty() {
                        fail!("a module that could not be loaded has left files");
                    }
                    calm.set(calm.get() + 1);
                    self.heal();
                    calm.set(calm.get() - 1);
                }
            }
        }
        module.loaded.set(true);
        module.happens();
    }

    /// Unloads the module, unless it is in use: there is no table of its target. Returns whether it is
    /// unloaded.
    pub(crate) fn unload_module(&'static self) -> bool {
        if !sysfs::try_to_unload() {
            return false;
        }
        let module = &self.module;
        module.loaded.set(false);
        module.happens();
        trace!("the module is unloaded");
        let began = world().now;
        // SAFETY: There is one thread, and nobody keeps it.
        drop(unsafe { (*module.stress.get()).take() });
        block_io::return_to_user();
        trace!("the module is gone");
        self.check_stop_time("the removal of the module", began);
        self.check_no_test(true);
        if !world().sysfs.is_empty() {
            fail!("files of a module are left that is gone");
        }
        let left = world().allocated - i64::from(block_io::files_to_close());
        if left != 0 {
            fail!("{left} objects of a module are left that is gone");
        }
        module.happens();
        true
    }

    /// Fails where a test is under way, or has left something behind. A monitor that has handed its test
    /// back may not have ended so far, but `monitor` says that it has.
    pub(crate) fn check_no_test(&self, monitor: bool) {
        let of_test = |name: &&str| {
            name.starts_with("dm_remap_stress/") && (monitor || !name.ends_with("/monitor"))
        };
        if let Some(name) = scheduler::kernel_tasks().find(of_test) {
            fail!("{name} runs, and the test has ended");
        }
        let device = self.device();
        let bios = device.openers.kernel_bios();
        if bios > 0 {
            fail!("{bios} bios of a test are in flight, and it has ended");
        }
        // Of starts that have failed, whose shells are about to return.
        let closing = block_io::files_to_close();
        let (all, users) = (device.openers.count(), self.module.users.get());
        if all > users + closing {
            fail!("{all} have the device open, and {users} of them are users");
        }
        if self.module.active.get().is_some() {
            fail!("a test has ended, and nobody was told of its result");
        }
    }
}
