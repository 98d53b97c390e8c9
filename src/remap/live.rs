// SPDX-License-Identifier: GPL-2.0

//! Remap tables in use, as the rest of the module sees them.

pub(crate) mod rewriter;

use core::sync::atomic::AtomicU64;

use kernel::{
    impl_has_work,
    new_mutex,
    new_spinlock,
    new_spinlock_irq,
    new_work,
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc,
        Mutex,
        SpinLock,
        SpinLockIrq, //
    },
    workqueue::Work, //
};
use remap_core::{
    arguments::ErrorPolicy,
    counters::Counters,
    device_number::DeviceNumber,
    geometry::{
        BlockSize,
        SectorRange, //
    },
    health::{
        Health,
        MetadataState,
        Signs, //
    },
    histogram::Histogram,
    index::Index, //
};

use super::{
    lost::LostBlocks,
    metadata::Begun,
    relocation::{
        Mover,
        State, //
    },
    remaps::Remaps,
    scrub::Scrub,
    statistics::Statistics,
    RemapTarget, //
};
use crate::linux::{
    block_device::BlockDevice,
    device_mapper::{
        Events,
        HeldBios,
        MappedDevice, //
    },
    gate::{
        Gate,
        GateCounters, //
    },
    log,
    noio::NoIo,
    registry::registry, //
};

/// Storage of the readers' index.
pub(super) struct Words(pub(super) KVVec<AtomicU64>);

impl AsRef<[AtomicU64]> for Words {
    #[inline(always)]
    fn as_ref(&self) -> &[AtomicU64] {
        &self.0
    }
}

/// The readers' index of a table.
pub(super) type ReaderIndex = Index<Words>;

/// The remap table of one target, from the loading of the table to its end.
///
/// It may outlive the target in the hands of somebody who found it by [`find`]; what needs the
/// devices fails with `ENODEV` then.
///
/// # Locks
///
/// This is the list of all of them, in the order in which they nest:
///
/// 1. `thread` of the scrub guards its thread. Held while a scrub is started, or stopped and waited for.
/// 2. `reader` of the scrub guards its buffer. Held while a chunk is read, I/O included.
/// 3. `mover` guards the state of the table, the metadata, the copy buffer, and the token that drains
///    the gate. Held for the length of a pass, I/O and waits included: whoever holds it knows that no
///    block is on its way.
/// 4. `remaps` guards the ordered table, the free slots and the pending blocks. Held shortly, without I/O.
/// 5. `lost` guards the lost sectors and the unsaved blocks. Held shortly. Taken in end_io, so with
///    interrupts off.
///
/// The following are taken inside `mover` or alone, and no other lock is taken inside them:
///
/// * `held` guards the bios that wait for a block. Process context only.
/// * `failed` and `filled` guard the bios that wait for the work queue. Taken in end_io, so with
///   interrupts off.
/// * `reset_at` guards the counters of the last reset. Process context only.
/// * The histograms of `statistics`, one for each CPU. Taken in end_io, so with interrupts off.
///
/// The registries of tables and of claimed areas have a mutex each, inside which none of these is taken.
#[pin_data]
pub(crate) struct LiveTable {
    /// Guards the index and knows the bios in flight.
    pub(super) gate: Gate<ReaderIndex>,
    /// First sector of the target, as bios have it.
    pub(super) begin: u64,
    pub(super) block: BlockSize,
    pub(super) main_start: u64,
    /// Where the slots start on the spare device.
    pub(super) slots_start: u64,
    pub(super) main: ARef<BlockDevice>,
    pub(super) spare: ARef<BlockDevice>,
    pub(super) statistics: Statistics,
    pub(super) sectors: u64,
    pub(super) slots: u32,
    pub(super) read_only: bool,
    pub(super) number: DeviceNumber,
    /// Whether the table is in use and not about to be suspended; guarded by the list of
    /// [`rewriter`].
    pub(super) resumed: Atomic<bool>,
    /// Number of the device's stay, which its tables share; guarded by the list of tables.
    stay: Atomic<u64>,
    /// Number of entries of `remaps`, of free slots and of pending blocks, for those who must not wait.
    entries: Atomic<u32>,
    free_slots: Atomic<u32>,
    pending: Atomic<u32>,
    /// What a failing write does, as a number.
    pub(super) policy: Atomic<u32>,
    /// Not 0 while main fails wholesale.
    pub(super) failing: Atomic<u32>,
    /// Not 0 where a write to main has gone well since somebody asked.
    pub(super) main_wrote: Atomic<u32>,
    /// The health as it was last told, as a number.
    told_health: Atomic<u32>,
    events: Arc<Events>,
    /// The metadata's state as a number, for those who must not wait.
    metadata_state: Atomic<u32>,
    /// How many wait for the mover and want a range to stop after the pass that is under way.
    pub(super) impatient: Atomic<u32>,
    #[pin]
    pub(super) mover: Mutex<KBox<Mover>>,
    #[pin]
    pub(super) remaps: Mutex<Remaps>,
    /// The counters at their last reset.
    #[pin]
    reset_at: Mutex<Counters>,
    #[pin]
    pub(super) held: SpinLock<HeldBios<RemapTarget>>,
    #[pin]
    pub(super) lost: SpinLockIrq<LostBlocks>,
    /// Writes that gave lost sectors contents, and are acknowledged when metadata says so.
    #[pin]
    pub(super) filled: SpinLockIrq<HeldBios<RemapTarget>>,
    /// Bios that have failed, or would.
    #[pin]
    pub(super) failed: SpinLockIrq<HeldBios<RemapTarget>>,
    #[pin]
    work: Work<LiveTable>,
    pub(super) scrub: Pin<KBox<Scrub>>,
}

impl_has_work! {
    impl HasWork<Self> for LiveTable { self.work }
}

/// Number of blocks in `sectors` sectors, one at the end that may be cut short included.
pub(super) fn blocks(sectors: u64, block: BlockSize) -> u64 {
    SectorRange::new(0, sectors).map_or(0, |all| all.blocks(block).1)
}

/// What a new [`LiveTable`] is made of.
pub(super) struct Parts {
    pub(super) begin: u64,
    pub(super) sectors: u64,
    pub(super) main: ARef<BlockDevice>,
    pub(super) main_start: u64,
    pub(super) spare: ARef<BlockDevice>,
    pub(super) spare_start: u64,
    pub(super) read_only: bool,
    pub(super) number: DeviceNumber,
    pub(super) policy: ErrorPolicy,
    pub(super) events: Arc<Events>,
    pub(super) gate_counters: GateCounters,
    pub(super) begun: Begun,
}

impl LiveTable {
    /// A table with what it begins with. May sleep.
    #[inline(never)]
    pub(super) fn new(parts: Parts) -> Result<Arc<Self>> {
        let Begun {
            mut remaps,
            lost,
            block,
            slots,
            first_slot,
            metadata,
        } = parts.begun;
        let entries = remaps.table.entries();
        let index = Remaps::index(entries as usize, blocks(parts.sectors, block))?;
        if !remaps.table.fill(&index, |block| lost.has(block)) {
            return Err(EINVAL);
        }
        let free_slots = remaps.table.free_slots();
        let (gate, drain) = Gate::new(index, parts.gate_counters);
        let state = metadata
            .as_ref()
            .map_or(MetadataState::None, |metadata| metadata.state());
        let mover = Mover::new(&parts.main, &parts.spare, block, drain, metadata)?;
        let statistics = Statistics::new()?;
        let scrub = Scrub::new()?;
        Arc::pin_init(
            pin_init!(Self {
                gate,
                begin: parts.begin,
                block,
                main_start: parts.main_start,
                slots_start: parts.spare_start.saturating_add(first_slot),
                main: parts.main,
                spare: parts.spare,
                statistics,
                sectors: parts.sectors,
                slots,
                read_only: parts.read_only,
                number: parts.number,
                resumed: Atomic::new(false),
                stay: Atomic::new(0),
                entries: Atomic::new(entries),
                free_slots: Atomic::new(free_slots),
                pending: Atomic::new(0),
                policy: Atomic::new(parts.policy.number()),
                failing: Atomic::new(0),
                main_wrote: Atomic::new(0),
                told_health: Atomic::new(Health::Ok.number()),
                events: parts.events,
                metadata_state: Atomic::new(state.number()),
                impatient: Atomic::new(0),
                mover <- new_mutex!(mover, "dm_remap::mover"),
                remaps <- new_mutex!(remaps, "dm_remap::remaps"),
                reset_at <- new_mutex!(Counters::default(), "dm_remap::reset_at"),
                held <- new_spinlock!(HeldBios::new(), "dm_remap::held"),
                lost <- new_spinlock_irq!(lost, "dm_remap::lost"),
                filled <- new_spinlock_irq!(HeldBios::new(), "dm_remap::filled"),
                failed <- new_spinlock_irq!(HeldBios::new(), "dm_remap::failed"),
                work <- new_work!("dm_remap::work"),
                scrub,
            }),
            GFP_KERNEL,
        )
    }

    /// Number of blocks, the one at the end that may be cut short included.
    pub(super) fn blocks(&self) -> u64 {
        blocks(self.sectors, self.block)
    }

    /// First sector of `block` as users count: from the start of the mapped device.
    pub(super) fn shown_sector(&self, block: u64) -> u64 {
        self.begin.wrapping_add(self.block.first_sector(block))
    }

    /// Number of the mapped device.
    pub(crate) fn device_number(&self) -> DeviceNumber {
        self.number
    }

    /// Calls `with` with the name of the mapped device, which a user may change at any time.
    /// `None` where the device is going away. May sleep.
    pub(crate) fn with_name<R>(&self, with: impl FnOnce(&[u8]) -> R) -> Option<R> {
        MappedDevice::name(self.number, with)
    }

    /// Number that tells a device from those that had its name or number before it.
    pub(crate) fn stay(&self) -> u64 {
        self.stay.load(Relaxed)
    }

    /// Size of the target in sectors.
    pub(crate) fn sectors(&self) -> u64 {
        self.sectors
    }

    /// Sectors of a block.
    pub(crate) fn block_sectors(&self) -> u32 {
        self.block.sectors()
    }

    /// Number of remapped blocks.
    pub(crate) fn remapped(&self) -> u64 {
        u64::from(self.entries.load(Relaxed))
    }

    /// Number of pending blocks.
    pub(super) fn pending(&self) -> u64 {
        u64::from(self.pending.load(Relaxed))
    }

    /// Shows what is remapped, free and pending now, to those who have not locked it.
    pub(super) fn show_remaps(&self, remaps: &Remaps) {
        self.entries.store(remaps.table.entries(), Relaxed);
        self.free_slots.store(remaps.table.free_slots(), Relaxed);
        self.pending.store(remaps.table.pending_blocks(), Relaxed);
    }

    /// How the table is. Does not wait but for the lost sectors.
    pub(super) fn health(&self) -> Health {
        Health::judge(&Signs {
            read_only: self.read_only,
            failing: self.failing.load(Relaxed) != 0,
            slots: self.spare_blocks(),
            free: u64::from(self.free_slots.load(Relaxed)),
            lost: self.lost.lock().sectors(),
            pending: self.pending(),
        })
    }

    /// Tells whoever waits for it, where the health is another than it was. May sleep.
    pub(super) fn note_health(&self) {
        let health = self.health();
        if self.told_health.xchg(health.number(), Relaxed) == health.number() {
            return;
        }
        if log::admits(log::Level::State) {
            pr_info!(
                "{}: health is {}\n",
                format_args!("{}", self.number),
                health.word()
            );
        }
        self.events.raise();
    }

    /// Tells whoever waits for it that something has happened. May sleep.
    pub(super) fn raise_event(&self) {
        self.events.raise();
    }

    /// Number of spare blocks, free or not.
    pub(crate) fn spare_blocks(&self) -> u64 {
        u64::from(self.slots)
    }

    /// How the metadata is. Does not wait.
    pub(super) fn metadata_state(&self) -> MetadataState {
        MetadataState::from_number(self.metadata_state.load(Relaxed)).unwrap_or(MetadataState::None)
    }

    /// Shows how the metadata is now, to those who have not locked the mover. A change for the worse
    /// is worth a line in the log.
    pub(super) fn show_metadata_state(&self, mover: &Mover) {
        let state = mover
            .metadata
            .as_ref()
            .map_or(MetadataState::None, |metadata| metadata.state());
        let before = self.metadata_state.load(Relaxed);
        self.metadata_state.store(state.number(), Relaxed);
        if state.number() > before {
            pr_err!(
                "{}: metadata is {}\n",
                format_args!("{}", self.number),
                state.word()
            );
        }
    }

    /// What `dmsetup` shows: what was counted since the table was loaded or the counters reset.
    pub(super) fn shown_counters(&self) -> Counters {
        let reset = *self.reset_at.lock();
        self.counters().since(&reset)
    }

    /// Counts from zero, as far as `dmsetup` shows.
    pub(super) fn reset_shown_counters(&self) {
        *self.reset_at.lock() = self.counters();
    }

    /// What was counted since the table was loaded.
    pub(crate) fn counters(&self) -> Counters {
        self.statistics.counters(&self.gate)
    }

    /// Switches the timing of bios, and forgets what was timed before when it is switched on.
    ///
    /// May sleep. `ENOMEM` where there is no room for the histograms.
    pub(crate) fn set_timing(&self, on: bool) -> Result {
        // One at a time.
        let _mover = self.mover.lock();
        // A resume may wait for the mover, and the memory for the resume.
        let _noio = NoIo::enter();
        self.statistics.prepare_timing(on)?;
        self.gate.set_timed(on);
        Ok(())
    }

    /// Adds the added latency of all bios timed so far to `into`.
    pub(crate) fn added_latency(&self, into: &mut Histogram) {
        self.statistics.added_latency(into);
    }

    /// Whether the block of `sector` is on the spare. May sleep.
    pub(crate) fn is_remapped(&self, sector: u64) -> bool {
        let block = self.block.block_of(sector);
        self.remaps.lock().table.get(block).is_some()
    }

    /// Bios may flow and blocks may move from now on.
    pub(super) fn activate(&self) {
        let before = core::mem::replace(&mut self.mover.lock().state, State::Active);
        if before == State::Loaded {
            // As it is found, which is no change.
            self.told_health.store(self.health().number(), Relaxed);
        } else {
            self.note_health();
        }
    }

    /// Suspends the table: messages, the scrub and the search for suspects use the devices no more.
    /// Failed writes are rescued all the same, until device-mapper has all bios back. Sleeps until the
    /// pass and the scrub's read that are under way have ended.
    pub(super) fn suspend(&self) {
        self.impatient.fetch_add(1, Relaxed);
        self.save_before_suspend();
        self.scrub.settle();
        self.impatient.fetch_sub(1, Relaxed);
    }

    /// Ends the use of the devices. Metadata that could not be written before is tried once more: a table
    /// that replaces this one knows nothing but what is written. Sleeps.
    fn save_before_suspend(&self) {
        let mut mover = self.mover.lock();
        mover.state = State::Suspended;
        let _noio = NoIo::enter();
        // Where it still cannot be written, the next one that tries says so.
        let _ = self.revive_metadata(&mut mover);
        self.show_metadata_state(&mover);
    }

    /// The devices are about to be closed.
    pub(super) fn retire(&self) {
        self.scrub.stop();
        self.mover.lock().state = State::Gone;
    }
}

registry! {
    /// The tables that are or were active and not yet destroyed, the newest last.
    mod tables: kernel::sync::Arc<super::LiveTable>
}

/// Number of the next device's stay.
static STAYS: Atomic<u64> = Atomic::new(0);

/// Called once, before the target is registered.
pub(super) fn init() {
    tables::init();
    rewriter::init();
}

/// Makes a table known. May sleep.
pub(super) fn publish(table: Arc<LiveTable>) -> Result {
    // The device is suspended: memory must not wait for it, here or in `all`.
    let _noio = NoIo::enter();
    tables::with(|tables| {
        if tables.iter().any(|other| Arc::ptr_eq(other, &table)) {
            return Ok(());
        }
        let before = tables.iter().find(|other| other.number == table.number);
        let stay = match before {
            Some(before) => before.stay(),
            None => STAYS.fetch_add(1, Relaxed),
        };
        table.stay.store(stay, Relaxed);
        tables.push(table, GFP_KERNEL)?;
        Ok(())
    })
}

/// Makes a table unknown again. May sleep.
pub(super) fn retract(table: &LiveTable) {
    tables::with(|tables| {
        tables.retain(|other| !core::ptr::eq(&**other, table));
        if tables.is_empty() {
            *tables = KVec::new();
        }
    });
}

/// Every live table. May sleep.
pub(crate) fn all() -> Result<KVec<Arc<LiveTable>>> {
    let _noio = NoIo::enter();
    tables::with(|tables| {
        let mut all: KVec<Arc<LiveTable>> = KVec::with_capacity(tables.len(), GFP_KERNEL)?;
        for table in tables.iter() {
            // While a table replaces another, both are there: the newer one counts.
            let same = |other: &&mut Arc<LiveTable>| {
                other.number == table.number && other.begin == table.begin
            };
            match all.iter_mut().find(same) {
                Some(older) => *older = table.clone(),
                None => all.push(table.clone(), GFP_KERNEL)?,
            }
        }
        Ok(all)
    })
}

/// The live table of the mapped device with that number, the first one where it has several
/// targets. May sleep.
pub(crate) fn find(number: DeviceNumber) -> Option<Arc<LiveTable>> {
    tables::with(|tables| {
        tables
            .iter()
            .rev()
            .filter(|table| table.number == number)
            .min_by_key(|table| table.begin)
            .cloned()
    })
}
