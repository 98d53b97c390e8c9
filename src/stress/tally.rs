// SPDX-License-Identifier: GPL-2.0

//! Counts of the threads of a test.

use kernel::{
    prelude::*,
    sync::{
        atomic::Atomic,
        Mutex, //
    },
};
use remap_core::stress::{
    generator::{
        Action,
        Operation, //
    },
    histogram::Histogram,
    measurement::{
        Charts,
        Integrity,
        Measurement, //
    }, //
};

use crate::linux::zeroed::EmptyIsZero;

/// Counts of a worker, which updates them in batches.
pub(super) struct Tally {
    /// Number of operations that succeeded.
    pub(super) ops: u64,
    pub(super) bytes: u64,
    flushes: u64,
    zeroed: u64,
    pub(super) errors: u64,
    /// Number of bios that completed before their submission returned.
    pub(super) synchronous: u64,
    /// Number of all bios.
    pub(super) bios: u64,
    read: KVBox<Histogram>,
    write: KVBox<Histogram>,
    pub(super) verified: u64,
    pub(super) mismatches: u64,
    pub(super) unreadable: u64,
    pub(super) cpu_ns: u64,
}

impl Tally {
    /// Bytes of memory that a tally takes.
    pub(super) const FOOTPRINT: usize = size_of::<Mutex<Self>>() + 2 * size_of::<Histogram>();

    /// Makes an empty tally. May sleep.
    pub(super) fn new() -> Result<Self> {
        Ok(Self {
            ops: 0,
            bytes: 0,
            flushes: 0,
            zeroed: 0,
            errors: 0,
            synchronous: 0,
            bios: 0,
            read: Histogram::boxed()?,
            write: Histogram::boxed()?,
            verified: 0,
            mismatches: 0,
            unreadable: 0,
            cpu_ns: 0,
        })
    }

    /// Counts `operation`, which has succeeded and whose last bio took `latency` nanoseconds.
    pub(super) fn count(&mut self, operation: &Operation, latency: u64) {
        self.ops = self.ops.saturating_add(1);
        self.bytes = self.bytes.saturating_add(operation.bytes() as u64);
        match operation.action {
            Action::Read => return self.read.record(latency),
            Action::Write | Action::DurableWrite => {}
            Action::Zero => self.zeroed = self.zeroed.saturating_add(1),
            Action::Flush => self.flushes = self.flushes.saturating_add(1),
        }
        self.write.record(latency);
    }

    /// Adds the counts to the results of a test.
    pub(super) fn add_to(
        &self,
        measured: &mut Measurement,
        charts: &mut Charts,
        integrity: &mut Integrity,
    ) {
        let add = |sum: &mut u64, part: u64| *sum = sum.saturating_add(part);
        add(&mut measured.ops, self.ops);
        add(&mut measured.bytes, self.bytes);
        add(&mut measured.flushes, self.flushes);
        add(&mut measured.zeroed, self.zeroed);
        add(&mut measured.errors, self.errors);
        add(&mut measured.resources.cpu_ns, self.cpu_ns);
        add(&mut integrity.verified, self.verified);
        add(&mut integrity.mismatches, self.mismatches);
        add(&mut integrity.unreadable, self.unreadable);
        charts.read.merge(&self.read);
        charts.write.merge(&self.write);
    }
}

/// Counts of the remapping thread.
pub(super) struct RemapTally {
    pub(super) errors: Atomic<u64>,
    pub(super) left_remapped: Atomic<u64>,
    pub(super) cpu_ns: Atomic<u64>,
}

impl RemapTally {
    /// Makes an empty tally.
    pub(super) const fn new() -> Self {
        Self {
            errors: Atomic::new(0),
            left_remapped: Atomic::new(0),
            cpu_ns: Atomic::new(0),
        }
    }
}
