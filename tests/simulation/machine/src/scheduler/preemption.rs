// SPDX-License-Identifier: GPL-2.0

//! Sections without preemption: tasks do not sleep in them, and grace periods wait for them.

use super::{
    task::State,
    world::{task, world}, //
};
use crate::fail;

/// Fails the run if the current task must not sleep.
pub fn may_sleep(what: &str) {
    let Some(task) = task() else { return };
    if task.irq {
        fail!("sleeping in an interrupt: {what}");
    } else if task.preempt > 0 || task.irqs_off > 0 {
        fail!("sleeping in atomic context: {what}");
    }
}

/// Begins a section without preemption.
pub fn preempt_disable() {
    if let Some(task) = task() {
        task.preempt += 1;
    }
}

/// Ends a section without preemption.
pub fn preempt_enable() {
    if let Some(task) = task() {
        task.preempt -= 1;
        if task.preempt == 0 {
            task.sections += 1;
        }
    }
}

/// Returns the sections without preemption that other tasks are in: task and serial number.
pub fn sections() -> Vec<(usize, u64)> {
    let world = world();
    let others = world.live.iter().filter(|task| **task != world.current);
    others
        .filter(|task| world.tasks[**task].preempt > 0)
        .map(|task| (*task, world.tasks[*task].sections))
        .collect()
}

/// Returns true if all sections of a list by [`sections`] have ended.
pub fn sections_have_ended(sections: &[(usize, u64)]) -> bool {
    let world = world();
    sections.iter().all(|(number, serial)| {
        let task = &world.tasks[*number];
        task.state == State::Done || task.preempt == 0 || task.sections != *serial
    })
}
