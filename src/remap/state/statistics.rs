// SPDX-License-Identifier: GPL-2.0

//! What a target counts and times, without a shared line of memory on the hot path.
//!
//! Bios as such are counted by the gate that they pass; this adds what is rarer.

use kernel::{
    alloc::flags::__GFP_NOWARN,
    new_mutex,
    new_spinlock,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Mutex,
        SetOnce,
        SpinLock, //
    }, //
};
use remap_core::{
    interface::counters::Counters,
    stress::{
        delays::{
            Delay,
            DelayFigures,
            Delays, //
        },
        histogram::Histogram, //
    }, //
};

use super::note::Note;
use crate::linux::{
    compat::{
        new_spinlock_irq,
        SpinLockIrq, //
    },
    gate::{
        Direction,
        Gate, //
    },
    percpu::{
        current_cpu,
        PerCpuCounters, //
    },
    zeroed::EmptyIsZero, //
};

/// Counters of the slow path, each with a place in the per-CPU memory.
#[derive(Clone, Copy)]
#[repr(usize)]
pub(in crate::remap) enum Count {
    /// The filter was not enough for a bio that went to main, or nowhere.
    SlowElsewhere,
    /// A read went to the spare; the write that follows is the next counter.
    RemappedRead,
    /// A write went to the spare.
    RemappedWrite,
    /// A read was held, and will be counted again when it is sent on.
    HeldRead,
    /// A write was held.
    HeldWrite,
    /// A read failed on main, or asked for lost sectors.
    ReadError,
    /// A write failed on main.
    WriteError,
    /// I/O failed on the spare.
    SpareError,
}

const COUNTS: usize = 8;

impl Count {
    pub(in crate::remap) fn remapped(direction: Direction) -> Self {
        match direction {
            Direction::Read => Count::RemappedRead,
            Direction::Write => Count::RemappedWrite,
        }
    }

    pub(in crate::remap) fn held(direction: Direction) -> Self {
        match direction {
            Direction::Read => Count::HeldRead,
            Direction::Write => Count::HeldWrite,
        }
    }

    pub(in crate::remap) fn error(direction: Direction) -> Self {
        match direction {
            Direction::Read => Count::ReadError,
            Direction::Write => Count::WriteError,
        }
    }
}

/// The added latency that one CPU has seen.
type CpuHistogram = Pin<KVBox<SpinLockIrq<Histogram>>>;

/// Histograms of delays. Process context only.
type SharedDelays = Pin<KVBox<SpinLock<Delays>>>;

/// Makes histograms without delays. May sleep.
fn new_delays() -> Result<SharedDelays> {
    let lock = new_spinlock!(Delays::in_place(), "dm_remap::delays");
    KVBox::pin_init(lock, GFP_KERNEL | __GFP_NOWARN)
}

/// The statistics of one target.
#[pin_data]
pub(in crate::remap) struct Statistics {
    counts: PerCpuCounters<COUNTS>,
    pub(in crate::remap) auto_remaps: Atomic<u64>,
    pub(in crate::remap) manual_remaps: Atomic<u64>,
    pub(in crate::remap) unremaps: Atomic<u64>,
    /// One for each CPU number, made when the first test runs.
    added: SetOnce<KVec<CpuHistogram>>,
    /// Delays since the last reset.
    delays: SharedDelays,
    /// Delays since the last test began, made when the first test runs.
    delays_of_test: SetOnce<SharedDelays>,
    /// The counters at their last reset. Process context only.
    #[pin]
    reset_at: Mutex<Counters>,
}

impl Statistics {
    /// Makes statistics of nothing. May sleep.
    pub(in crate::remap) fn new() -> Result<impl PinInit<Self>> {
        let counts = PerCpuCounters::new()?;
        let delays = new_delays()?;
        Ok(pin_init!(Self {
            counts,
            auto_remaps: Atomic::new(0),
            manual_remaps: Atomic::new(0),
            unremaps: Atomic::new(0),
            added: SetOnce::new(),
            delays,
            delays_of_test: SetOnce::new(),
            reset_at <- new_mutex!(Counters::default(), "dm_remap::reset_at"),
        }))
    }

    /// Counts an event. Any context.
    #[inline]
    pub(in crate::remap) fn count(&self, what: Count) {
        self.counts.inc(what as usize);
    }

    /// Returns the counters, together with what `gate` has counted.
    pub(in crate::remap) fn counters<T>(&self, gate: &Gate<T>) -> Counters {
        let sum = |what: Count| self.counts.sum(what as usize);
        // Before the entries, which are counted before: so there are never more of them.
        let held_reads = sum(Count::HeldRead);
        let held_writes = sum(Count::HeldWrite);
        let remapped_reads = sum(Count::RemappedRead);
        let remapped_writes = sum(Count::RemappedWrite);
        Counters {
            reads: gate.entered(Direction::Read).saturating_sub(held_reads),
            writes: gate.entered(Direction::Write).saturating_sub(held_writes),
            remapped_reads,
            remapped_writes,
            read_errors: sum(Count::ReadError),
            write_errors: sum(Count::WriteError),
            auto_remaps: self.auto_remaps.load(Relaxed),
            manual_remaps: self.manual_remaps.load(Relaxed),
            unremaps: self.unremaps.load(Relaxed),
            spare_errors: sum(Count::SpareError),
            // Nothing goes to the spare without an exact lookup.
            slow_path: remapped_reads
                .wrapping_add(remapped_writes)
                .wrapping_add(sum(Count::SlowElsewhere)),
        }
    }

    /// Returns what was counted since the last reset, together with what `gate` has counted. Sleeps.
    pub(in crate::remap) fn counters_since_reset<T>(&self, gate: &Gate<T>) -> Counters {
        let reset = *self.reset_at.lock();
        self.counters(gate).since(&reset)
    }

    /// Resets the counters, as far as [`Statistics::counters_since_reset`] shows, and forgets delays. Sleeps.
    pub(in crate::remap) fn reset<T>(&self, gate: &Gate<T>) {
        *self.reset_at.lock() = self.counters(gate);
        self.delays.lock().clear();
    }

    /// Counts the time that a bio with `note` has waited, as a delay of that kind. Process context.
    pub(in crate::remap) fn record_delay(&self, delay: Delay, note: Option<Note>) {
        let Some(ns) = note.and_then(|note| note.waited_ns()) else {
            return;
        };
        let all = [Some(&self.delays), self.delays_of_test.as_ref()];
        for delays in all.into_iter().flatten() {
            delays.lock().record(delay, ns);
        }
    }

    /// Returns the delays since the last reset. Process context.
    pub(in crate::remap) fn delays(&self) -> DelayFigures {
        self.delays.lock().figures()
    }

    /// Returns the delays since the last test began. Process context.
    pub(in crate::remap) fn delays_of_test(&self) -> DelayFigures {
        let delays = self.delays_of_test.as_ref();
        delays.map_or(DelayFigures::default(), |delays| delays.lock().figures())
    }

    /// Makes the histograms where there are none yet, and empties them. May sleep.
    pub(in crate::remap) fn prepare_timing(&self, on: bool) -> Result {
        if !on {
            return Ok(());
        }
        if self.added.as_ref().is_none() {
            let mut histograms = KVec::new();
            for _ in 0..kernel::cpu::nr_cpu_ids() {
                let lock = new_spinlock_irq!(Histogram::in_place(), "dm_remap::added_latency");
                histograms.push(
                    KVBox::pin_init(lock, GFP_KERNEL | __GFP_NOWARN)?,
                    GFP_KERNEL,
                )?;
            }
            self.added.populate(histograms);
        }
        if self.delays_of_test.as_ref().is_none() {
            self.delays_of_test.populate(new_delays()?);
        }
        for histogram in self.added.as_ref().into_iter().flatten() {
            histogram.lock().clear();
        }
        if let Some(delays) = self.delays_of_test.as_ref() {
            delays.lock().clear();
        }
        Ok(())
    }

    /// Records that the target has added `ns` nanoseconds to a bio. Any context but NMI.
    pub(in crate::remap) fn add_latency(&self, ns: u64) {
        // The lock is that of this CPU unless the thread moves meanwhile, so no CPU waits for it.
        if let Some(histogram) = self
            .added
            .as_ref()
            .and_then(|histograms| histograms.get(current_cpu()))
        {
            histogram.lock().record(ns);
        }
    }

    /// Adds all CPUs' histograms to `into`.
    pub(in crate::remap) fn added_latency(&self, into: &mut Histogram) {
        for histogram in self.added.as_ref().into_iter().flatten() {
            into.merge(&histogram.lock());
        }
    }
}
