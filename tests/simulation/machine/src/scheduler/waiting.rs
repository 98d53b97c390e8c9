// SPDX-License-Identifier: GPL-2.0

//! Waits, wake-ups and timers.
//!
//! A task waits at a channel, which is the address of an object, or for a timer, or for both.

use std::cmp::Reverse;

use super::{
    task::State,
    world::{has_ended, switch, world, World, NONE}, //
};
use crate::fail;

/// Waits for a wake-up of `channel`, or until `deadline`. Returns `false` if the deadline came first.
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
    // A task that was woken by its timer still has a channel.
    self::world().tasks[current].channel == 0 && channel != 0
}

/// Sleeps for `ns` nanoseconds.
pub fn sleep(ns: u64) {
    let until = world().now + ns;
    block(0, "it sleeps", Some(until));
}

/// Wakes the tasks that wait at `channel`.
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

/// Makes tasks runnable whose timers have expired.
pub(super) fn fire_timers(world: &mut World) {
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

/// Returns the channel of tasks that wait for the end of `task`.
pub(super) fn channel_of(task: usize) -> usize {
    // No object lies there.
    task + 1
}

/// Waits until a task has ended.
pub fn join(task: usize) {
    while !has_ended(task) {
        block(channel_of(task), "the end of a task", None);
    }
}
