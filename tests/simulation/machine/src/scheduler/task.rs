// SPDX-License-Identifier: GPL-2.0

//! A thread or an interrupt: a coroutine with a stack of its own.

use corosensei::{stack::DefaultStack, Coroutine, Yielder};

use crate::arena;

const STACK: usize = 256 << 10;

/// Coroutine of a task.
pub(super) type Body = Coroutine<(), (), (), DefaultStack>;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    Runnable,
    Blocked,
    Done,
}

/// Thread or interrupt.
pub struct Task {
    /// Name in the trace.
    pub name: String,
    /// Coroutine, while the task does not run and has not ended.
    pub(super) coroutine: Option<Body>,
    pub(super) yielder: *const Yielder<(), ()>,
    pub(super) state: State,
    /// Number of waits and wake-ups. A timer has no effect on a later wait than its own.
    pub(super) token: u64,
    /// Address that the task waits at, 0 if only a timer wakes it.
    pub(super) channel: usize,
    /// Reason of the wait.
    pub(super) reason: &'static str,
    /// Depth of sections without preemption.
    pub preempt: u32,
    /// Depth of sections without interrupts.
    pub irqs_off: u32,
    /// The task is an interrupt.
    pub irq: bool,
    /// The task is a thread of the kernel, which gets no signals.
    pub is_kernel: bool,
    /// Allocations of the task do not wait for I/O.
    pub noio: bool,
    /// Number of outermost sections without preemption that the task has left.
    pub sections: u64,
    /// Locks that the task holds: address and class.
    pub held: Vec<(usize, usize)>,
    pub(super) priority: u64,
}

impl Task {
    /// Makes a task that can run.
    pub(super) fn new(name: String, irq: bool, coroutine: Body, priority: u64) -> Self {
        Self {
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
        }
    }

    /// Returns true if the task holds a lock, or is in a section without preemption that it has entered itself.
    pub(super) fn is_atomic(&self) -> bool {
        !self.held.is_empty() || self.preempt != u32::from(self.irq)
    }
}

static mut STACKS: Vec<DefaultStack> = Vec::new();

/// Returns the stacks that no task uses. They outlive the run.
fn stacks() -> &'static mut Vec<DefaultStack> {
    // SAFETY: The simulator has one thread.
    unsafe { &mut *(&raw mut STACKS) }
}

/// Returns a stack for a new task.
pub(super) fn take_stack() -> DefaultStack {
    arena::outside(|| {
        stacks().pop().unwrap_or_else(|| {
            stacks().reserve(1024);
            DefaultStack::new(STACK).expect("a stack")
        })
    })
}

/// Keeps the stack of a coroutine that has ended, or was reset, for the next task.
pub(super) fn keep_stack(coroutine: Body) {
    arena::outside(|| stacks().push(coroutine.into_stack()));
}
