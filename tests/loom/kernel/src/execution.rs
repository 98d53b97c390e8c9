// SPDX-License-Identifier: GPL-2.0

//! One execution of a model, and what loom does not know of it.
//!
//! Loom runs one task at a time, all of them on one thread of the host. Nothing here is an access that loom sees,
//! so nothing here orders anything.

use std::{alloc::Layout, cell::RefCell, rc::Rc};

use crate::rcu::Reader;

/// Most tasks of a model.
pub(crate) const TASKS: usize = 5;

#[derive(Default)]
pub(crate) struct Execution {
    /// Nanoseconds that have been slept.
    pub(crate) now: i64,
    /// Where each task is a reader.
    pub(crate) readers: Vec<Rc<Reader>>,
    /// Objects that have not been freed.
    pub(crate) allocated: usize,
    /// Memory that was freed.
    pub(crate) freed: Vec<(*mut u8, Layout)>,
}

thread_local! {
    static EXECUTION: RefCell<Execution> = RefCell::default();
}

/// Lends the execution. No access of loom's may be made meanwhile.
pub(crate) fn with<R>(look: impl FnOnce(&mut Execution) -> R) -> R {
    EXECUTION.with_borrow_mut(look)
}

/// Runs a model once: `model` returns when its tasks have been joined and everything was freed.
pub fn run(model: impl FnOnce()) {
    let first = Rc::new(Reader::new());
    with(|execution| {
        *execution = Execution {
            readers: vec![first],
            ..Execution::default()
        };
    });
    model();
    let (left, freed) =
        with(|execution| (execution.allocated, std::mem::take(&mut execution.freed)));
    for (memory, layout) in freed {
        // SAFETY: It was allocated with this layout, and no task is left that could use it.
        unsafe { std::alloc::dealloc(memory, layout) };
    }
    assert_eq!(left, 0, "objects that are not freed");
}
