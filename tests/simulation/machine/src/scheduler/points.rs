// SPDX-License-Identifier: GPL-2.0

//! Points: the places where another task may run.

use super::{
    waiting::block,
    world::{switch, world, world_in_run, Policy, NONE}, //
};

/// Lets another task run, if the policy says so. Atomics call this outside of runs as well, without effect.
#[inline]
pub fn point() {
    let Some(world) = world_in_run() else {
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

/// Lets one task in `of` lose its CPU for a while, in runs in which tasks do. Otherwise acts as [`point`].
pub fn stall(of: u64) {
    let world = world();
    if world.current != NONE && world.stalls > 0 && world.random.one_in(of) {
        let until = world.now + world.random.below(500_000);
        block(0, "it lost its CPU", Some(until));
    } else {
        point();
    }
}

/// Returns to the scheduler, which may resume any task. Now and then the task loses its CPU for a while.
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
