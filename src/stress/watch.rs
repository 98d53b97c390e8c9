// SPDX-License-Identifier: GPL-2.0

//! What is seen of a test from outside its workers: the target, and how the figures move.

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

/// What the monitor knows.
pub(super) struct Watch {
    number: DeviceNumber,
    /// Whether the test itself writes to the device.
    writes: bool,
    pub(super) trend: KVBox<Trend>,
    /// What the target added, as last asked for.
    pub(super) added: KVBox<Histogram>,
    /// Whether it was there to be asked.
    pub(super) timed: bool,
    /// Where the table was when it was last found; only ever compared.
    table: usize,
    /// Its counters when the test first saw it.
    counters: Counters,
    pub(super) engine: Option<Engine>,
    /// Whether somebody else may have changed the device.
    pub(super) foreign_writes: bool,
    last: Sample,
    last_at: Instant<Monotonic>,
}

impl Watch {
    /// Bytes of memory that a watch takes beside itself.
    pub(super) const FOOTPRINT: usize = size_of::<Trend>() + size_of::<Histogram>();

    /// Nothing seen yet. May sleep.
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

    /// The time begins.
    pub(super) fn begin(&mut self) {
        self.last_at = Instant::now();
    }

    /// Adds a sample to the trend, when so many operations and bytes have been done in all, and the
    /// manager has so many bytes of memory.
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

    /// Looks at the target, and has it take times. May sleep.
    pub(super) fn look_at_target(&mut self) {
        let Some(table) = table::find(self.number) else {
            // Another target has taken its place: what the device holds is no longer ours to say.
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
        // A test that only reads writes nothing, so all that is written is somebody else's.
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
