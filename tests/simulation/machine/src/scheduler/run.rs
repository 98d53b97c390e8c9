// SPDX-License-Identifier: GPL-2.0

//! A run: its begin and end, its power cuts and limits, and the choice of the next task.

use std::{
    cmp::Reverse,
    fmt::Write as _, //
};

use corosensei::CoroutineResult;

use super::{
    task::{keep_stack, State},
    waiting::{channel_of, fire_timers, wake},
    world::{set_world, world, Policy, World, NONE}, //
};
use crate::{
    arena,
    block_io::Closing,
    c,
    fail,
    mapper,
    sysfs::{self, Tree}, //
};

/// Begins a run: in an arena of its own, with a world that comes from `seed`.
pub fn begin(seed: u64, policy: Policy, stalls: u64, trace: bool) {
    arena::enter();
    sysfs::reset_module();
    set_world(Some(World::new(seed, policy, stalls, trace)));
}

/// Ends a run. Returns its failure and its trace, outside the arena.
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
    set_world(None);
    arena::leave();
    kept
}

/// Forgets all tasks where they are, and what they have made of the machine.
pub fn abandon() {
    let world = world();
    for task in &mut world.tasks {
        if let Some(mut coroutine) = task.coroutine.take() {
            // SAFETY: Nothing uses what its stack had, or the objects that it owned: they lie in an arena.
            unsafe { coroutine.force_reset() };
            keep_stack(coroutine);
        }
    }
    world.tasks.clear();
    world.live.clear();
    world.runnable.clear();
    world.timers.clear();
    world.waiters.clear();
    world.order.forget();
    sysfs::reset_module();
    world.closing = Closing::default();
    world.sysfs = Tree::default();
    c::forget_waiters();
    mapper::forget_devices();
    world.current = NONE;
    world.cut_at = u64::MAX;
    world.last_request = u64::MAX;
    world.torn_request = u64::MAX;
}

/// Cuts the power after `points` points from now.
pub fn cut_power_after(points: u64) {
    let world = world();
    world.cut_at = world.steps + points;
}

/// Counts a request to a disk, and cuts the power if it is the last one. Returns true if the request is
/// doomed to fail by its number.
pub fn count_request() -> bool {
    let world = world();
    world.requests += 1;
    if world.requests == world.last_request {
        world.cut_at = world.steps;
    }
    world.doomed_requests.contains(&world.requests)
}

/// Cuts the power if it is to be cut between the flush and the write of this request.
pub fn begin_to_write(request: u64) {
    let world = world();
    if request == world.torn_request {
        world.cut_at = world.steps;
    }
}

/// Lets the run fail as hanging if it is not over in `ns` nanoseconds from now.
pub fn set_time_limit(ns: u64) {
    let world = world();
    world.time_limit = world.now + ns;
}

/// Reason why [`run`] has returned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The last task has ended.
    Done,
    /// The power is cut.
    PowerCut,
    /// The run has failed.
    Failed,
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
        let place = choose(world);
        let number = world.runnable.swap_remove(place);
        resume(number);
    }
}

/// Returns the place of the next task among those that can run.
fn choose(world: &mut World) -> usize {
    match world.policy {
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
    }
}

/// Lets a task run until it returns to the scheduler or ends.
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
        keep_stack(coroutine);
        if task.is_atomic() {
            let name = &task.name;
            fail!("{name} has ended in atomic context, or with locks");
        }
        wake(channel_of(number));
    } else {
        task.coroutine = Some(coroutine);
    }
}

/// Fails the run as hanging, with the waits of all tasks.
fn hang(why: &str) {
    let world = world();
    let mut text = format!("hang: {why}:");
    for task in world.tasks.iter().filter(|task| task.state != State::Done) {
        let _ = write!(text, " [{} {:?} {}]", task.name, task.state, task.reason);
    }
    fail!("{text}");
}
