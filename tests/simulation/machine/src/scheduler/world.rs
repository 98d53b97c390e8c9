// SPDX-License-Identifier: GPL-2.0

//! The world: everything that a run has.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    ops::Range,
    ptr::null_mut, //
};

use corosensei::{Coroutine, Yielder};

use super::task::{take_stack, State, Task};
use crate::{
    block_io::Closing,
    lock::Order,
    random::Random,
    sysfs::Tree, //
};

/// Sentinel that is no task: the scheduler itself runs.
pub const NONE: usize = usize::MAX;

/// Policy by which points change the task.
#[derive(Clone, Copy, Debug)]
pub enum Policy {
    /// One point in 2^n changes the task, to a random one.
    Random(u32),
    /// The task of the highest priority runs. At n moments of the run it drops to the lowest priority.
    Priority(u32),
}

/// Everything that a run has.
pub struct World {
    /// Source of all that is drawn.
    pub random: Random,
    /// Time in nanoseconds.
    pub now: u64,
    /// Number of points so far.
    pub steps: u64,
    /// First failure of the run.
    pub failure: Option<String>,
    /// Tasks by number, also those that have ended.
    pub(super) tasks: Vec<Task>,
    /// Tasks that have not ended.
    pub(super) live: Vec<usize>,
    /// Task that runs, or [`NONE`].
    pub(super) current: usize,
    /// Tasks that can run, without the one that runs.
    pub(super) runnable: Vec<usize>,
    /// Timers: time, sequence number, task, token of the task.
    pub(super) timers: BinaryHeap<Reverse<(u64, u64, usize, u64)>>,
    pub(super) timer_sequence: u64,
    /// Tasks that wait for a wake-up: channel and task.
    pub(super) waiters: Vec<(usize, usize)>,
    pub(super) policy: Policy,
    /// Steps at which a priority drops, the next one last.
    pub(super) changes: Vec<u64>,
    /// Lowest priority so far.
    pub(super) lowest: u64,
    /// Number of changes of the task, of 1024, at which the task loses its CPU for a while.
    pub(super) stalls: u64,
    /// Step at which the power is cut.
    pub(super) cut_at: u64,
    /// Time at which a run counts as hanging.
    pub(super) time_limit: u64,
    pub(crate) order: Order,
    /// Number of allocations, of 1000 that may fail, that do.
    pub failing_allocations: u64,
    /// An allocation has failed.
    pub memory_has_failed: bool,
    /// Number of allocations so far that may fail.
    pub allocations: u64,
    /// Numbers of the allocations that fail.
    pub doomed_allocations: Range<u64>,
    /// Number of requests to disks so far.
    pub requests: u64,
    /// Numbers of the requests that fail.
    pub doomed_requests: Range<u64>,
    /// Number of the request with which the power is cut.
    pub last_request: u64,
    /// Number of the request in the middle of which the power is cut, between its flush and its write.
    pub torn_request: u64,
    /// Number of objects that the sources under test have allocated and not freed.
    pub allocated: i64,
    /// Lines of the log so far, each with its task.
    pub log: Vec<(usize, String)>,
    /// Number of pages of memory.
    pub ram: u64,
    /// Number of pages that are taken.
    pub pages: u64,
    /// Opening a device with `BLK_OPEN_RESTRICT_WRITES` keeps other writers out.
    pub restricts_writers: bool,
    pub(crate) closing: Closing,
    /// Contents of sysfs and debugfs.
    pub sysfs: Tree,
    /// Lines of the trace, if the run has one.
    pub(super) trace: Option<Vec<String>>,
    /// Reader of each line that goes to the kernel's log.
    pub log_reader: Option<fn(&str)>,
    /// A signal is pending at one check in so many; 0 for never.
    pub signals: u64,
}

impl World {
    /// Makes the world of a seed, without tasks.
    pub(super) fn new(seed: u64, policy: Policy, stalls: u64, trace: bool) -> Box<Self> {
        let mut random = Random::new(seed);
        let changes = match policy {
            Policy::Random(_) => Vec::new(),
            Policy::Priority(count) => {
                let mut steps: Vec<u64> = (0..count).map(|_| random.below(60_000)).collect();
                steps.sort_unstable_by(|a, b| b.cmp(a));
                steps
            }
        };
        Box::new(Self {
            random,
            now: 1_000_000_000,
            steps: 0,
            failure: None,
            tasks: Vec::with_capacity(64),
            live: Vec::with_capacity(64),
            current: NONE,
            runnable: Vec::new(),
            timers: BinaryHeap::new(),
            timer_sequence: 0,
            waiters: Vec::new(),
            policy,
            changes,
            lowest: u64::MAX / 2,
            stalls,
            cut_at: u64::MAX,
            time_limit: u64::MAX,
            order: Order::default(),
            failing_allocations: 0,
            memory_has_failed: false,
            allocations: 0,
            doomed_allocations: 0..0,
            requests: 0,
            doomed_requests: 0..0,
            last_request: u64::MAX,
            torn_request: u64::MAX,
            allocated: 0,
            log: Vec::new(),
            ram: 1 << 20,
            pages: 0,
            restricts_writers: false,
            closing: Closing::default(),
            sysfs: Tree::default(),
            trace: trace.then(Vec::new),
            log_reader: None,
            signals: 0,
        })
    }
}

static mut WORLD: *mut World = null_mut();

/// Returns the world of the run. Borrow it for a moment only: every point may change it.
pub fn world() -> &'static mut World {
    // SAFETY: The simulator has one thread, and a run has a world.
    unsafe {
        debug_assert!(!WORLD.is_null());
        &mut *WORLD
    }
}

/// Returns the world of the run, or `None` outside of runs.
#[inline]
pub(super) fn world_in_run() -> Option<&'static mut World> {
    // SAFETY: As for `world`.
    unsafe { WORLD.as_mut() }
}

/// Replaces the world. The one before is not dropped: it lies in an arena that is left, or gone.
pub(super) fn set_world(world: Option<Box<World>>) {
    // SAFETY: The simulator has one thread.
    unsafe { WORLD = world.map_or(null_mut(), Box::into_raw) };
}

/// Returns the number of the task that runs, or [`NONE`].
pub fn current() -> usize {
    world().current
}

/// Returns the task that runs, or `None` if the scheduler runs.
pub fn task() -> Option<&'static mut Task> {
    let world = world();
    world.tasks.get_mut(world.current)
}

/// Starts a task. Returns its number.
pub fn spawn(name: String, irq: bool, body: impl FnOnce() + 'static) -> usize {
    let world = world();
    let stack = take_stack();
    let number = world.tasks.len();
    let coroutine = Coroutine::with_stack(stack, move |yielder: &Yielder<(), ()>, ()| {
        self::world().tasks[number].yielder = yielder;
        body();
    });
    let priority = world.random.number() / 2 + u64::MAX / 2;
    world.tasks.push(Task::new(name, irq, coroutine, priority));
    world.runnable.push(number);
    world.live.push(number);
    number
}

/// Makes a task a thread of the kernel.
pub fn make_kernel_task(task: usize) {
    world().tasks[task].is_kernel = true;
}

/// Returns the names of the threads of the kernel that have not ended.
pub fn kernel_tasks() -> impl Iterator<Item = &'static str> {
    let world = world();
    let live = world.live.iter().map(|task| &world.tasks[*task]);
    live.filter(|task| task.is_kernel)
        .map(|task| task.name.as_str())
}

/// Returns true if a task has ended.
pub fn has_ended(task: usize) -> bool {
    world().tasks[task].state == State::Done
}

/// Returns from the task that runs to the scheduler, until the scheduler resumes the task.
pub(super) fn switch() {
    let world = world();
    // SAFETY: The current task runs, so its coroutine is there.
    let yielder = unsafe { &*world.tasks[world.current].yielder };
    yielder.suspend(());
}
