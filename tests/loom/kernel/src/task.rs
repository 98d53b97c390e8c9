// SPDX-License-Identifier: GPL-2.0

//! Tasks, each of which runs on some CPU.

use std::{cell::Cell, rc::Rc};

use loom::{
    sync::atomic::{AtomicBool, Ordering},
    thread::Thread,
};

use crate::{
    bindings::CPUS,
    execution::{self, TASKS},
    rcu::Reader,
};

loom::thread_local! {
    static NUMBER: Cell<usize> = Cell::new(0);
    static CPU: Cell<usize> = Cell::new(0);
}

/// Which task runs this; the first is 0.
pub(crate) fn number() -> usize {
    NUMBER.with(Cell::get)
}

pub(crate) fn cpu() -> usize {
    CPU.with(Cell::get)
}

/// Goes on on another CPU. Orders nothing.
pub fn migrate(to: usize) {
    assert!(to < CPUS, "there are not so many CPUs");
    CPU.with(|cpu| cpu.set(to));
}

struct Progress<R> {
    ended: AtomicBool,
    result: Cell<Option<R>>,
    /// Who waits for the end.
    waiter: Cell<Option<Thread>>,
}

/// A task that was started.
pub struct Task<R>(Rc<Progress<R>>);

/// Starts a task on a CPU.
pub fn spawn<R: 'static>(cpu: usize, run: impl FnOnce() -> R + 'static) -> Task<R> {
    let number = {
        let reader = Rc::new(Reader::new());
        execution::with(|execution| {
            execution.readers.push(reader);
            execution.readers.len() - 1
        })
    };
    assert!(number < TASKS, "loom has not so many threads");
    let progress = Rc::new(Progress {
        ended: AtomicBool::new(false),
        result: Cell::new(None),
        waiter: Cell::new(None),
    });
    let task = Task(progress.clone());
    loom::thread::spawn(move || {
        NUMBER.with(|mine| mine.set(number));
        migrate(cpu);
        progress.result.set(Some(run()));
        // Loom keeps an RMW and a store in no order.
        progress.ended.fetch_or(true, Ordering::Release);
        if let Some(waiter) = progress.waiter.take() {
            waiter.unpark();
        }
    });
    task
}

impl<R> Task<R> {
    /// Waits until the task has ended, and sees all that it did.
    pub fn join(self) -> R {
        // Loom's own join prints a line each time.
        while !self.0.ended.fetch_or(false, Ordering::Acquire) {
            self.0.waiter.set(Some(loom::thread::current()));
            loom::thread::park();
        }
        self.0.result.take().expect("it has ended")
    }
}
