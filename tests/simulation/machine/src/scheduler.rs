// SPDX-License-Identifier: GPL-2.0

//! Tasks, and which of them runs when.
//!
//! Tasks are coroutines on one thread. They change only at points: atomics, locks, waits. The next task is
//! drawn from the seed: at random, or by priorities that change at a few random moments.
//!
//! Each file imports only files of lines below it:
//!
//! * `run` begins and ends a run, and lets one task after the other run;
//! * `points` are the places where another task may run, `preemption` is what forbids tasks to sleep;
//! * `waiting` has waits, wake-ups and timers;
//! * `log` has the kernel's log, the trace, and the failure of the run;
//! * `world` is everything that a run has;
//! * `task` is a thread or an interrupt.

mod log;
mod points;
mod preemption;
mod run;
mod task;
mod waiting;
mod world;

pub use self::{
    log::{fail, heard, listen, log, print_at_once, trace, tracing},
    points::{point, stall},
    preemption::{may_sleep, preempt_disable, preempt_enable, sections, sections_have_ended},
    run::{
        abandon, begin, begin_to_write, count_request, cut_power_after, end, run, set_time_limit,
        End,
    },
    task::Task,
    waiting::{block, join, sleep, wake},
    world::{
        current, has_ended, kernel_tasks, make_kernel_task, spawn, task, world, Policy, World, NONE,
    },
};
