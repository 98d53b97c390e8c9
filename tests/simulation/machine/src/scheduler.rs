// SPDX-License-Identifier: GPL-2.0

//! Tasks, and which of them runs when.
//!
//! Tasks are coroutines on one thread. They change only at points: atomics, locks, waits. Which runs
//! next is drawn from the seed: at random, or by priorities that change at a few random moments.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    fmt::Write as _,
    ops::Range, //
};

use corosensei::{stack::DefaultStack, Coroutine, CoroutineResult, Yielder};

use crate::{
    arena,
    block_io::Closing,
    lock::Order,
    random::Random,
    sysfs::Tree, //
};

/// Nobody: the scheduler itself runs.
pub const NONE: usize = usize::MAX;

const STACK: usize = 256 << 10;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Runnable,
    Blocked,
    Done,
}

/// A thread, or an interrupt.
pub struct Task {
    /// For the trace.
    pub name: String,
    coroutine: Option<Coroutine<(), (), (), DefaultStack>>,
    yielder: *const Yielder<(), ()>,
    state: State,
    /// Changes whenever it is woken: who set a timer before is late.
    token: u64,
    /// The address that it waits at.
    channel: usize,
    /// Why it waits.
    reason: &'static str,
    /// Sections without preemption that it is in.
    pub preempt: u32,
    /// Sections without interrupts that it is in.
    pub irqs_off: u32,
    /// It is an interrupt.
    pub irq: bool,
    /// Threads of the kernel get no signals.
    pub is_kernel: bool,
    /// Its allocations do not wait for I/O.
    pub noio: bool,
    /// How often it has left the outermost section without preemption.
    pub sections: u64,
    /// Locks that it holds: address and class.
    pub held: Vec<(usize, usize)>,
    priority: u64,
}

/// How points are used.
#[derive(Clone, Copy, Debug)]
pub enum Policy {
    /// One point in 2^n may change the task, to a random one.
    Random(u32),
    /// The task of the highest priority runs; at so many moments of the run it drops to the lowest.
    Priority(u32),
}

/// Why the scheduler came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The task that was waited for has ended.
    Done,
    /// The power is cut.
    PowerCut,
    /// The run has failed.
    Failed,
}

/// Everything that a run has.
pub struct World {
    /// Where chance comes from.
    pub random: Random,
    /// Nanoseconds.
    pub now: u64,
    /// Points so far.
    pub steps: u64,
    /// What was found.
    pub failure: Option<String>,
    tasks: Vec<Task>,
    /// Those that have not ended.
    live: Vec<usize>,
    current: usize,
    runnable: Vec<usize>,
    timers: BinaryHeap<Reverse<(u64, u64, usize, u64)>>,
    timer_sequence: u64,
    waiters: Vec<(usize, usize)>,
    policy: Policy,
    changes: Vec<u64>,
    lowest: u64,
    /// Of 1024 changes of the task, so many cost it its CPU for a while.
    stalls: u64,
    cut_at: u64,
    time_limit: u64,
    pub(crate) order: Order,
    /// Of 1000 allocations that may fail, so many do.
    pub failing_allocations: u64,
    /// Allocations that may fail so far, and those that do by their number.
    pub allocations: u64,
    /// As above.
    pub doomed_allocations: Range<u64>,
    /// Requests of disks so far, and those that fail by their number.
    pub requests: u64,
    /// As above.
    pub doomed_requests: Range<u64>,
    /// The request that the power is cut with.
    pub last_request: u64,
    /// The request that the power is cut in the middle of: it has flushed before it writes.
    pub torn_request: u64,
    /// Objects that were allocated by the sources under test and not freed.
    pub allocated: i64,
    /// Lines of the log so far, each with the task that left it.
    pub log: Vec<(usize, String)>,
    /// Pages of memory that there are, and those that are taken.
    pub ram: u64,
    /// As above.
    pub pages: u64,
    /// Whoever claims a device keeps writers out that do not.
    pub restricts_writers: bool,
    pub(crate) closing: Closing,
    /// Contents of sysfs and debugfs.
    pub sysfs: Tree,
    /// What happened, where somebody wants to read it.
    trace: Option<Vec<String>>,
    /// Reads what goes to the kernel's log.
    pub log_reader: Option<fn(&str)>,
    /// One of so many answers of a signal's being pending is yes; 0 for never.
    pub signals: u64,
}

static mut WORLD: *mut World = std::ptr::null_mut();
static mut STACKS: Vec<DefaultStack> = Vec::new();

/// The world of the run. Borrow it for a moment only: every point may change it.
pub fn world() -> &'static mut World {
    // SAFETY: The simulator has one thread, and a run has a world.
    unsafe {
        debug_assert!(!WORLD.is_null());
        &mut *WORLD
    }
}

fn stacks() -> &'static mut Vec<DefaultStack> {
    // SAFETY: The simulator has one thread.
    unsafe { &mut *(&raw mut STACKS) }
}

/// Begins a run: in an arena of its own, with a world that comes from `seed`.
pub fn begin(seed: u64, policy: Policy, stalls: u64, trace: bool) {
    arena::enter();
    crate::sysfs::reset_module();
    let mut random = Random::new(seed);
    let changes = match policy {
        Policy::Random(_) => Vec::new(),
        Policy::Priority(count) => {
            let mut steps: Vec<u64> = (0..count).map(|_| random.below(60_000)).collect();
            steps.sort_unstable_by(|a, b| b.cmp(a));
            steps
        }
    };
    let world = Box::new(World {
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
    });
    // SAFETY: The world before lay in an arena that is gone.
    unsafe { WORLD = Box::into_raw(world) };
}

/// Ends a run; returns its failure and its trace, outside the arena.
pub fn end() -> (Option<String>, Vec<String>) {
    abandon();
    let world = world();
    let kept = arena::outside(|| {
        let trace = world
            .trace
            .as_ref()
            .map(|lines| lines.iter().map(|line| line.as_str().to_owned()).collect());
        (
            world
                .failure
                .as_ref()
                .map(|failure| failure.as_str().to_owned()),
            trace.unwrap_or_default(),
        )
    });
    // SAFETY: What is left of it lies in the arena.
    unsafe { WORLD = std::ptr::null_mut() };
    arena::leave();
    kept
}

/// Whether somebody reads what happens.
pub fn tracing() -> bool {
    world().trace.is_some()
}

static mut AT_ONCE: bool = false;

/// What is noted is printed at once from now on: for when the process does not live to print it.
pub fn print_at_once() {
    // SAFETY: The simulator has one thread.
    unsafe { AT_ONCE = true };
}

/// Returns where the log ends now, for [`heard`].
pub fn listen() -> usize {
    world().log.len()
}

/// Returns the lines that the task that runs has left in the log since.
pub fn heard(since: usize) -> Vec<String> {
    let world = world();
    let mine = world.log[since..]
        .iter()
        .filter(|(task, _)| *task == world.current);
    mine.map(|(_, line)| line.clone()).collect()
}

/// A line of the log, for the judges and for the trace.
pub fn log(line: std::fmt::Arguments<'_>) {
    let text = line.to_string();
    let text = text.trim_end();
    trace(format_args!("dm_remap: {text}"));
    let world = world();
    world.log.push((world.current, text.to_owned()));
    if let Some(reader) = world.log_reader {
        reader(text);
    }
}

/// Notes what happens.
pub fn trace(line: std::fmt::Arguments<'_>) {
    let world = world();
    if world.trace.is_none() {
        return;
    }
    let mut text = String::new();
    let name = match world.tasks.get(world.current) {
        Some(task) => task.name.as_str(),
        None => "-",
    };
    let _ = write!(
        text,
        "{:>11.3} us  {name:<12} {line}",
        (world.now - 1_000_000_000) as f64 / 1000.0
    );
    // SAFETY: The simulator has one thread.
    if unsafe { AT_ONCE } {
        arena::outside(|| println!("{text}"));
    }
    if let Some(trace) = &mut world.trace {
        trace.push(text);
    }
}

/// Notes what happens, with the words of `format!`.
#[macro_export]
macro_rules! trace {
    ($($argument:tt)*) => {
        if $crate::scheduler::tracing() {
            $crate::scheduler::trace(format_args!($($argument)*));
        }
    };
}

/// The run has failed. Comes back only to who is no task.
pub fn fail(why: std::fmt::Arguments<'_>) {
    let world = world();
    if world.failure.is_none() {
        let name = world
            .tasks
            .get(world.current)
            .map_or("-", |task| task.name.as_str());
        world.failure = Some(format!("{why} (in {name})"));
    }
    if world.current != NONE {
        loop {
            let task = &mut world.tasks[world.current];
            task.state = State::Blocked;
            task.reason = "failed";
            switch();
        }
    }
}

/// Fails, with the words of `format!`.
#[macro_export]
macro_rules! fail {
    ($($argument:tt)*) => { $crate::scheduler::fail(format_args!($($argument)*)) };
}

/// The task that runs.
pub fn current() -> usize {
    world().current
}

/// What the task that runs is; nothing where the scheduler runs.
pub fn task() -> Option<&'static mut Task> {
    let world = world();
    world.tasks.get_mut(world.current)
}

/// Starts a task.
pub fn spawn(name: String, irq: bool, body: impl FnOnce() + 'static) -> usize {
    let world = world();
    let stack = arena::outside(|| {
        stacks().pop().unwrap_or_else(|| {
            stacks().reserve(1024);
            DefaultStack::new(STACK).expect("a stack")
        })
    });
    let number = world.tasks.len();
    let coroutine = Coroutine::with_stack(stack, move |yielder: &Yielder<(), ()>, ()| {
        self::world().tasks[number].yielder = yielder;
        body();
    });
    let priority = world.random.number() / 2 + u64::MAX / 2;
    world.tasks.push(Task {
        name,
        coroutine: Some(coroutine),
        yielder: std::ptr::null(),
        state: State::Runnable,
        token: 0,
        channel: 0,
        reason: "",
        preempt: u32::from(irq),
        irqs_off: u32::from(irq),
        irq,
        is_kernel: false,
        noio: false,
        sections: 0,
        held: Vec::new(),
        priority,
    });
    world.runnable.push(number);
    world.live.push(number);
    number
}

/// The task is a thread of the kernel.
pub fn make_kernel_task(task: usize) {
    world().tasks[task].is_kernel = true;
}

/// The names of the threads of the kernel that have not ended.
pub fn kernel_tasks() -> impl Iterator<Item = &'static str> {
    let world = world();
    let live = world.live.iter().map(|task| &world.tasks[*task]);
    live.filter(|task| task.is_kernel)
        .map(|task| task.name.as_str())
}

/// Whether a task has ended.
pub fn has_ended(task: usize) -> bool {
    world().tasks[task].state == State::Done
}

fn switch() {
    let world = world();
    // SAFETY: The current task runs, so its coroutine is there.
    let yielder = unsafe { &*world.tasks[world.current].yielder };
    yielder.suspend(());
}

/// Another task may run now.
#[inline]
pub fn point() {
    // SAFETY: As for `world`; atomics are used outside of runs as well.
    let Some(world) = (unsafe { WORLD.as_mut() }) else {
        return;
    };
    if world.current == NONE {
        return;
    }
    world.steps += 1;
    match world.policy {
        Policy::Random(shift) => {
            if world.random.number() >> (64 - shift) == 0 {
                give_way();
            }
        }
        Policy::Priority(_) => {
            if world
                .changes
                .last()
                .is_some_and(|step| *step <= world.steps)
            {
                world.changes.pop();
                world.lowest -= 1;
                let lowest = world.lowest;
                world.tasks[world.current].priority = lowest;
                give_way();
            } else if world.steps % 64 == 0 || !world.runnable.is_empty() && world.steps % 4 == 0 {
                give_way();
            }
        }
    }
}

/// As [`point`], but where tasks lose their CPU at all in this run, one in `of` does so here.
pub fn stall(of: u64) {
    let world = world();
    if world.current != NONE && world.stalls > 0 && world.random.one_in(of) {
        let until = world.now + world.random.below(500_000);
        block(0, "it lost its CPU", Some(until));
    } else {
        point();
    }
}

fn give_way() {
    let world = world();
    let current = world.current;
    if world.random.below(1024) < world.stalls {
        let pause = world.random.below(500_000);
        let until = world.now + pause;
        block(0, "it lost its CPU", Some(until));
        return;
    }
    world.runnable.push(current);
    switch();
}

/// Fails the run where the current task must not sleep.
pub fn may_sleep(what: &str) {
    let Some(task) = task() else { return };
    if task.irq {
        fail!("sleeping in an interrupt: {what}");
    } else if task.preempt > 0 || task.irqs_off > 0 {
        fail!("sleeping in atomic context: {what}");
    }
}

/// Waits until somebody wakes `channel`, or `deadline`. Returns whether it was woken.
pub fn block(channel: usize, reason: &'static str, deadline: Option<u64>) -> bool {
    let world = world();
    let current = world.current;
    if current == NONE {
        fail!("nobody can wait here: {reason}");
        return false;
    }
    let task = &mut world.tasks[current];
    task.state = State::Blocked;
    task.token += 1;
    task.channel = channel;
    task.reason = reason;
    let token = task.token;
    if channel != 0 {
        world.waiters.push((channel, current));
    }
    if let Some(deadline) = deadline {
        world.timer_sequence += 1;
        world
            .timers
            .push(Reverse((deadline, world.timer_sequence, current, token)));
    }
    switch();
    // Who was woken by the timer has a channel still.
    self::world().tasks[current].channel == 0 && channel != 0
}

/// Sleeps for so many nanoseconds.
pub fn sleep(ns: u64) {
    let until = world().now + ns;
    block(0, "it sleeps", Some(until));
}

/// Wakes whoever waits at `channel`.
pub fn wake(channel: usize) {
    let world = world();
    let mut n = 0;
    while n < world.waiters.len() {
        let (at, task) = world.waiters[n];
        if at == channel {
            world.waiters.swap_remove(n);
            let task_ref = &mut world.tasks[task];
            task_ref.channel = 0;
            task_ref.token += 1;
            task_ref.state = State::Runnable;
            world.runnable.push(task);
        } else {
            n += 1;
        }
    }
}

/// The serial numbers of all sections without preemption that are under way.
pub fn sections() -> Vec<(usize, u64)> {
    let world = world();
    let others = world.live.iter().filter(|task| **task != world.current);
    others
        .filter(|task| world.tasks[**task].preempt > 0)
        .map(|task| (*task, world.tasks[*task].sections))
        .collect()
}

/// Whether all of these have ended.
pub fn sections_have_ended(sections: &[(usize, u64)]) -> bool {
    let world = world();
    sections.iter().all(|(number, serial)| {
        let task = &world.tasks[*number];
        task.state == State::Done || task.preempt == 0 || task.sections != *serial
    })
}

/// Begins a section without preemption.
pub fn preempt_disable() {
    if let Some(task) = task() {
        task.preempt += 1;
    }
}

/// Ends one.
pub fn preempt_enable() {
    if let Some(task) = task() {
        task.preempt -= 1;
        if task.preempt == 0 {
            task.sections += 1;
        }
    }
}

/// The power is cut after so many points from now.
pub fn cut_power_after(points: u64) {
    let world = world();
    world.cut_at = world.steps + points;
}

/// Counts a request of a disk. Returns whether it fails for its number.
pub fn count_request() -> bool {
    let world = world();
    world.requests += 1;
    if world.requests == world.last_request {
        world.cut_at = world.steps;
    }
    world.doomed_requests.contains(&world.requests)
}

/// A request has flushed, and writes now.
pub fn begin_to_write(request: u64) {
    let world = world();
    if request == world.torn_request {
        world.cut_at = world.steps;
    }
}

/// What takes until `ns` nanoseconds from now hangs.
pub fn set_time_limit(ns: u64) {
    let world = world();
    world.time_limit = world.now + ns;
}

/// Runs tasks until `last` has ended.
pub fn run(last: usize) -> End {
    loop {
        let world = world();
        if world.failure.is_some() {
            return End::Failed;
        }
        if world.steps >= world.cut_at {
            return End::PowerCut;
        }
        if world.tasks[last].state == State::Done {
            return End::Done;
        }
        world.now += 50 + world.random.below(400);
        fire_timers(world);
        if world.runnable.is_empty() {
            let Some(Reverse((time, ..))) = world.timers.peek() else {
                hang("nobody can go on");
                return End::Failed;
            };
            world.now = world.now.max(*time);
            fire_timers(world);
            continue;
        }
        if world.now > world.time_limit {
            hang("it takes too long");
            return End::Failed;
        }
        if world.steps > 30_000_000 {
            hang("it goes round and round");
            return End::Failed;
        }
        let place = match world.policy {
            Policy::Random(_) => world.random.below(world.runnable.len() as u64) as usize,
            Policy::Priority(_) => {
                let tasks = &world.tasks;
                let highest = world
                    .runnable
                    .iter()
                    .enumerate()
                    .max_by_key(|(_, task)| tasks[**task].priority);
                highest.map_or(0, |(place, _)| place)
            }
        };
        let number = world.runnable.swap_remove(place);
        resume(number);
    }
}

fn resume(number: usize) {
    let world = world();
    world.current = number;
    let mut coroutine = world.tasks[number]
        .coroutine
        .take()
        .expect("a task that runs");
    let ended = matches!(coroutine.resume(()), CoroutineResult::Return(()));
    let world = self::world();
    world.current = NONE;
    let task = &mut world.tasks[number];
    if ended {
        task.state = State::Done;
        world.live.retain(|live| *live != number);
        let left = !task.held.is_empty() || task.preempt != u32::from(task.irq);
        arena::outside(|| stacks().push(coroutine.into_stack()));
        if left {
            let name = &task.name;
            fail!("{name} has ended in atomic context, or with locks");
        }
        wake(channel_of(number));
    } else {
        task.coroutine = Some(coroutine);
    }
}

/// Where those wait who wait for the end of a task.
pub fn channel_of(task: usize) -> usize {
    // No object lies there.
    task + 1
}

/// Waits until a task has ended.
pub fn join(task: usize) {
    while !has_ended(task) {
        block(channel_of(task), "the end of a task", None);
    }
}

fn fire_timers(world: &mut World) {
    while let Some(Reverse((time, _, task, token))) = world.timers.peek().copied() {
        if time > world.now {
            return;
        }
        world.timers.pop();
        let sleeper = &mut world.tasks[task];
        if sleeper.token == token && sleeper.state == State::Blocked {
            sleeper.state = State::Runnable;
            sleeper.token += 1;
            let channel = sleeper.channel;
            world.waiters.retain(|waiter| *waiter != (channel, task));
            world.runnable.push(task);
        }
    }
}

fn hang(why: &str) {
    let world = world();
    let mut text = format!("hang: {why}:");
    for task in world.tasks.iter().filter(|task| task.state != State::Done) {
        let _ = write!(text, " [{} {:?} {}]", task.name, task.state, task.reason);
    }
    fail!("{text}");
}

/// Forgets all tasks where they are.
pub fn abandon() {
    let world = world();
    for task in &mut world.tasks {
        if let Some(mut coroutine) = task.coroutine.take() {
            // SAFETY: Nobody looks at what its stack had, or at objects that it owned: they lie in an
            // arena.
            unsafe { coroutine.force_reset() };
            arena::outside(|| stacks().push(coroutine.into_stack()));
        }
    }
    world.tasks.clear();
    world.live.clear();
    world.runnable.clear();
    world.timers.clear();
    world.waiters.clear();
    world.order.forget();
    crate::sysfs::reset_module();
    world.closing = Closing::default();
    world.sysfs = Tree::default();
    crate::c::forget_waiters();
    crate::mapper::forget_devices();
    world.current = NONE;
    world.cut_at = u64::MAX;
    world.last_request = u64::MAX;
    world.torn_request = u64::MAX;
}
