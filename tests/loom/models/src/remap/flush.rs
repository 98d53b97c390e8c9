// SPDX-License-Identifier: GPL-2.0

//! Flushes of the spare, and a write that completes meanwhile.

use std::rc::Rc;

use kernel::{
    sync::atomic::{Acquire, Atomic, Relaxed, Release},
    task::spawn,
};

use super::state::spare_cache::SpareCache;
use crate::Model;

pub(super) const MODEL: Model = Model {
    name: "spare_flush",
    holds: "a flush that is mapped when a write to the spare was acknowledged is sent, unless an earlier one has made \
            the write durable",
    preemptions: None,
    run: |check| check.every_execution(flush),
};

const NO: u32 = 0;
const YES: u32 = 1;
/// Answers of the device to the first flush.
const WITHOUT_THE_WRITE: u32 = 1;
const WITH_THE_WRITE: u32 = 2;

/// The spare, with a write in flight, and its cache.
struct Spare {
    cache: SpareCache,
    flush_sent: Atomic<u32>,
    flush_answer: Atomic<u32>,
    write_completed: Atomic<u32>,
    write_acknowledged: Atomic<u32>,
}

impl Spare {
    fn new() -> Self {
        Self {
            cache: SpareCache::new(true),
            flush_sent: Atomic::new(NO),
            flush_answer: Atomic::new(NO),
            write_completed: Atomic::new(NO),
            write_acknowledged: Atomic::new(NO),
        }
    }

    /// The work of the device: the write, and the flush before it or after it.
    fn work(&self) {
        let early = self.flush_sent.load(Acquire) == YES;
        if early {
            self.flush_answer.store(WITHOUT_THE_WRITE, Release);
        }
        self.write_completed.store(YES, Release);
        if !early && self.flush_sent.load(Acquire) == YES {
            self.flush_answer.store(WITH_THE_WRITE, Release);
        }
    }

    /// The end of the write. Nothing orders the look at the completion.
    fn end_write(&self) {
        if self.write_completed.load(Relaxed) == YES {
            self.cache.record_write();
            self.write_acknowledged.store(YES, Release);
        }
    }
}

fn flush() {
    let spare = Rc::new(Spare::new());
    let tasks = [Spare::work, Spare::end_write].map(|work| {
        let spare = spare.clone();
        spawn(1, move || work(&spare))
    });
    assert!(
        spare.cache.begin_flush(),
        "a table begins with a full cache"
    );
    spare.flush_sent.store(YES, Release);
    if spare.flush_answer.load(Acquire) != NO {
        spare.cache.end_flush(true);
    }
    if spare.write_acknowledged.load(Acquire) == YES && !spare.cache.begin_flush() {
        let answer = spare.flush_answer.load(Acquire);
        assert_eq!(
            answer, WITH_THE_WRITE,
            "an acknowledged write is not flushed"
        );
    }
    for task in tasks {
        task.join();
    }
}
