// SPDX-License-Identifier: GPL-2.0

//! Sections without preemption, which are readers of RCU, and grace periods.
//!
//! The guarantee of `synchronize_rcu()` is one of two for each section (Documentation/RCU, and the memory model of the
//! kernel): the section ends before the grace period does, and the caller then sees all that the section did; or the
//! grace period begins before the section does, and the section then sees all that the caller did before. Which of
//! the two it is, is decided here by one word of each task, which both change; and no other order comes of it:
//! neither between sections, nor from the caller to a section that it waits for.

use std::rc::Rc;

use loom::sync::atomic::{AtomicUsize, Ordering};

use crate::{execution, task};

/// Whether a task is in a section.
pub(crate) struct Reader(AtomicUsize);

const INSIDE: usize = 1;

impl Reader {
    pub(crate) fn new() -> Self {
        Self(AtomicUsize::new(0))
    }
}

fn reader() -> Rc<Reader> {
    let number = task::number();
    execution::with(|execution| execution.readers[number].clone())
}

pub(crate) fn enter() {
    // It sees what the caller of a grace period did that has changed the word before.
    reader().0.fetch_or(INSIDE, Ordering::Acquire);
}

pub(crate) fn leave() {
    reader().0.fetch_and(!INSIDE, Ordering::Release);
}

pub(crate) fn synchronize() {
    let readers = execution::with(|execution| execution.readers.clone());
    for reader in &readers {
        // Changes nothing but who was first. Those who were before are seen, those who come see the caller.
        reader.0.fetch_or(0, Ordering::AcqRel);
    }
    for reader in &readers {
        while reader.0.load(Ordering::Acquire) & INSIDE != 0 {
            loom::thread::yield_now();
        }
    }
}
