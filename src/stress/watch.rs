// SPDX-License-Identifier: GPL-2.0

//! Observations of a test from outside its workers: the target's counters, and the trend.

use kernel::{
    prelude::*,
    sync::Arc,
    time::{
        Instant,
        Monotonic, //
    },
};
use remap_core::{
    interface::{
        counters::Counters,
        device_number::DeviceNumber, //
    },
    stress::{
        histogram::Histogram,
        measurement::Engine,
        trend::{
            Sample,
            Trend, //
        }, //
    }, //
};

use crate::{
    linux::zeroed::EmptyIsZero,
    remap::table, //
};

/// Observations of a test.
pub(super) struct Watch {
    number: DeviceNumber,
    /// The test itself may write to the device.
    writes: bool,
    pub(super) trend: KVBox<Trend>,
    /// Latency that the target has added, when it was last read.
    pub(super) added: KVBox<Histogram>,
    /// The present table measures added latency and delays.
    pub(super) timed: bool,
    /// Address of the table that was last found. Only compared, never followed.
    table: usize,
    /// Counters of the table when the test first found it.
    counters: Counters,
    pub(super) engine: Option<Engine>,
    /// Another user may have changed the device.
    pub(super) foreign_writes: bool,
    last: Sample,
    last_at: Instant<Monotonic>,
}

impl Watch {
    /// Bytes of memory that a watch allocates.
    pub(super) const FOOTPRINT: usize = size_of::<Trend>() + size_of::<Histogram>();

    /// Makes a watch without observations. May sleep.
    pub(super) fn new(number: DeviceNumber, writes: bool) -> Result<Self> {
        Ok(Self {
            number,
            writes,
            trend: Trend::boxed()?,
            added: Histogram::boxed()?,
            timed: false,
            table: 0,
            counters: Counters::default(),
            engine: None,
            foreign_writes: false,
            last: Sample::default(),
            last_at: Instant::now(),
        })
    }

    /// Starts the time of the first sample.
    pub(super) fn begin(&mut self) {
        self.last_at = Instant::now();
    }

    /// Adds a sample to the trend. `ops` and `bytes` are the totals of all workers, `memory` is the
    /// manager's memory in bytes. May sleep.
    pub(super) fn sample(&mut self, ops: u64, bytes: u64, memory: u64) {
        self.look_at_target();
        let now = Instant::now();
        let total = Sample {
            ns: 0,
            ops,
            bytes,
            added_count: self.added.count(),
            added_ns: self.added.sum(),
            memory,
        };
        let last = &self.last;
        let span = Sample {
            ns: u64::try_from((now - self.last_at).as_nanos()).unwrap_or(0),
            ops: total.ops.saturating_sub(last.ops),
            bytes: total.bytes.saturating_sub(last.bytes),
            added_count: total.added_count.saturating_sub(last.added_count),
            added_ns: total.added_ns.saturating_sub(last.added_ns),
            memory,
        };
        self.last = total;
        self.last_at = now;
        self.trend.push(span);
    }

    /// Reads the target's counters, and switches its timing on. May sleep.
    pub(super) fn look_at_target(&mut self) {
        let Some(table) = table::find(self.number) else {
            // Another target has taken its place, so the contents of the device may have changed.
            self.foreign_writes = true;
            self.engine = None;
            return;
        };
        let place = Arc::as_ptr(&table) as usize;
        if self.table != place {
            self.foreign_writes |= self.table != 0;
            self.table = place;
            self.counters = table.counters();
            self.last.added_count = 0;
            self.last.added_ns = 0;
            self.timed = table.set_timing(true).is_ok();
        }
        self.added.clear();
        table.added_latency(&mut self.added);
        let counters = table.counters().since(&self.counters);
        // A test that only reads writes nothing, so all writes are another user's.
        self.foreign_writes |= !self.writes && counters.writes > 0;
        self.engine = Some(Engine {
            entries: table.remapped(),
            spare_blocks: table.spare_blocks(),
            fast: counters.fast_path(),
            slow: counters.slow_path,
            reads: counters.reads,
            writes: counters.writes,
            remapped_reads: counters.remapped_reads,
            remapped_writes: counters.remapped_writes,
        });
    }
}
