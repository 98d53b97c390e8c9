// SPDX-License-Identifier: GPL-2.0

//! The kernel's log, the trace, and the failure of the run.

use std::fmt::Write as _;

use super::{
    task::State,
    world::{switch, world, NONE}, //
};
use crate::arena;

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

/// Adds a line to the log and to the trace.
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

/// Returns true if the run has a trace.
pub fn tracing() -> bool {
    world().trace.is_some()
}

static mut AT_ONCE: bool = false;

/// Prints lines of the trace at once from now on: for a process that dies before it could print them.
pub fn print_at_once() {
    // SAFETY: The simulator has one thread.
    unsafe { AT_ONCE = true };
}

/// Adds a line to the trace, if the run has one.
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

/// Adds a line to the trace, with the arguments of `format!`.
#[macro_export]
macro_rules! trace {
    ($($argument:tt)*) => {
        if $crate::scheduler::tracing() {
            $crate::scheduler::trace(format_args!($($argument)*));
        }
    };
}

/// Fails the run. Returns only to the scheduler: a task that fails does not run again.
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

/// Fails the run, with the arguments of `format!`.
#[macro_export]
macro_rules! fail {
    ($($argument:tt)*) => { $crate::scheduler::fail(format_args!($($argument)*)) };
}
