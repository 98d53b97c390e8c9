// SPDX-License-Identifier: GPL-2.0

//! The remap table of a target, and the registry of all tables.

use kernel::{
    impl_has_work,
    new_mutex,
    new_work,
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc,
        Mutex, //
    },
    workqueue::Work, //
};
use remap_core::{
    interface::{
        arguments::ErrorPolicy,
        counters::Counters,
        device_number::DeviceNumber, //
    },
    stress::{
        delays::DelayFigures,
        histogram::Histogram, //
    },
    table::{
        health::{
            Health,
            MetadataState,
            Signs, //
        },
        places::Places,
        settings::Settings, //
    }, //
};

use super::state::{
    deferred::Deferred,
    devices::Devices,
    health::HealthReport,
    keeper::Keeper,
    liveness::Liveness,
    loaded_area::LoadedArea,
    lost::LostBlocks,
    mover::Mover,
    policy::Policy,
    remaps::{
        new_index,
        ReaderIndex,
        SharedRemaps, //
    },
    scrub::Scrub,
    spare_cache::SpareCache,
    statistics::Statistics,
    upkeep::Clock, //
};
use crate::linux::{
    bio_pool::BioPool,
    block_device::BlockDevice,
    compat::{
        new_spinlock_irq,
        SpinLockIrq, //
    },
    device_mapper::Events,
    gate::{
        Gate,
        GateCounters, //
    },
    mapped_device::MappedDevice,
    noio::NoIo,
    registry::registry, //
};

/// Remap table of one target, from its first resume to its end.
///
/// A table may outlive its target in the hands of a caller of [`find`] or [`all`]; what needs the
/// devices fails with `ENODEV` then.
///
/// # Locks
///
/// This is the list of all locks of the target, in the order in which they nest. A lock is taken only where
/// no lock of a later line is held. The simulator reads this list and checks it.
///
/// 1. `dm_remap::scrub` guards the scrub's thread. Held while a scrub is started, or stopped and waited
///    for.
/// 2. `dm_remap::scrub_reader` guards the scrub's buffer. Held while a chunk is read.
/// 3. `dm_remap::keeper` guards what the keeper reads with. Held while it uses the devices.
/// 4. `dm_remap::mover` guards the state of the table, the metadata, the copy buffer, and the token that
///    drains the gate. Held for the length of a pass, I/O and waits included: no block is on its way
///    while another thread holds it.
/// 5. `dm_remap::remaps` guards the ordered table, the free slots and the pending blocks. Held without I/O.
/// 6. `dm_remap::lost` guards the lost sectors and the unsaved blocks. Taken in `end_io`.
/// 7. `dm_remap::held` guards the bios that wait for a block. Process context only.
/// 8. `dm_remap::parted` guards the reads that are read part by part. Process context only.
/// 9. `dm_remap::filled` guards the writes that wait for metadata. Taken in `end_io`.
/// 10. `dm_remap::failed` guards the bios that have failed. Taken in `end_io`.
/// 11. `dm_remap::suspects` guards the blocks that may be bad. Taken in `end_io`.
/// 12. `dm_remap::reset_at` guards the counters of the last reset.
/// 13. `dm_remap::added_latency` guards a histogram, of which there is one for each CPU. Taken in `end_io`.
/// 14. `dm_remap::delays` guards histograms of delays. Process context only.
/// 15. `dm_remap::upkeep` guards the times of scrubs and retries without a user. Nothing is locked under it.
/// 16. `dm_remap::events` guards the device-mapper table that events are raised for.
///
/// Locks that are taken in `end_io` are taken with interrupts off. The registries of tables, rewriters and
/// claimed areas, and the mailbox of a keeper, have a mutex each. None of the locks above is held or taken there,
/// and that of the rewriters is taken before that of the tables.
#[pin_data]
pub(crate) struct Table {
    /// Guards the readers' index, and knows the bios in flight.
    pub(super) gate: Gate<ReaderIndex>,
    pub(super) places: Places,
    pub(super) devices: Devices,
    pub(super) main_liveness: Liveness,
    pub(super) spare_liveness: Liveness,
    pub(super) spare_cache: SpareCache,
    #[pin]
    pub(super) statistics: Statistics,
    pub(super) policy: Policy,
    pub(super) health: HealthReport,
    /// Number of the mapped device.
    pub(super) number: DeviceNumber,
    /// The table is in use and not about to be suspended; guarded by the list of rewriters.
    pub(super) resumed: Atomic<bool>,
    /// Number of the device's stay, which its tables share; guarded by the registry.
    stay: Atomic<u64>,
    /// Number of threads that wait for the mover to suspend the table. A range of blocks stops for them
    /// after the pass that is under way.
    pub(super) suspend_waiters: Atomic<u32>,
    #[pin]
    pub(super) mover: Mutex<KBox<Mover>>,
    #[pin]
    pub(super) remaps: SharedRemaps,
    #[pin]
    pub(super) lost: SpinLockIrq<LostBlocks>,
    #[pin]
    pub(super) deferred: Deferred,
    /// Memory for reads that are read part by part.
    pub(super) parted_pool: Pin<KBox<BioPool>>,
    #[pin]
    work: Work<Table>,
    pub(super) keeper: Pin<KBox<Keeper>>,
    #[pin]
    pub(super) clock: Clock,
    pub(super) scrub: Pin<KBox<Scrub>>,
}

impl_has_work! {
    impl HasWork<Self> for Table { self.work }
}

/// Parts of a new [`Table`].
pub(super) struct TableParts {
    pub(super) begin: u64,
    pub(super) sectors: u64,
    pub(super) main: ARef<BlockDevice>,
    pub(super) main_start: u64,
    pub(super) spare: ARef<BlockDevice>,
    pub(super) spare_start: u64,
    pub(super) read_only: bool,
    pub(super) number: DeviceNumber,
    pub(super) policy: ErrorPolicy,
    pub(super) settings: Settings,
    pub(super) events: Arc<Events>,
    pub(super) gate_counters: GateCounters,
    pub(super) area: LoadedArea,
}

impl Table {
    /// Makes a table of what its area holds. May sleep. `EINVAL` where the area contradicts itself, `ENOMEM`.
    #[inline(never)]
    pub(super) fn new(parts: TableParts) -> Result<Arc<Self>> {
        let LoadedArea {
            mut remaps,
            lost,
            block,
            slots,
            first_slot,
            metadata,
            grown_from: _,
        } = parts.area;
        let places = Places {
            begin: parts.begin,
            main_start: parts.main_start,
            slots_start: parts.spare_start.saturating_add(first_slot),
            sectors: parts.sectors,
            slots,
            block,
        };
        let index = new_index(remaps.entries() as usize, places.blocks(), GFP_KERNEL)?;
        if !remaps.fill(&index, |block| lost.has(block)) {
            return Err(EINVAL);
        }
        let (gate, drain) = Gate::new(index, parts.gate_counters);
        let state = metadata
            .as_ref()
            .map_or(MetadataState::None, |metadata| metadata.state());
        let mover = Mover::new(&parts.main, &parts.spare, drain, metadata)?;
        let statistics = Statistics::new()?;
        let parted_pool = BioPool::new()?;
        let keeper = Keeper::new(&parts.main, &parts.spare)?;
        let scrub = Scrub::new()?;
        let spare_cache = SpareCache::new(remaps.entries() > 0);
        Arc::pin_init(
            pin_init!(Self {
                gate,
                places,
                devices: Devices {
                    main: parts.main,
                    spare: parts.spare,
                },
                main_liveness: Liveness::new(),
                spare_liveness: Liveness::new(),
                spare_cache,
                statistics <- statistics,
                policy: Policy::new(parts.policy, parts.read_only, &parts.settings),
                health: HealthReport::new(parts.number, state, parts.events),
                number: parts.number,
                resumed: Atomic::new(false),
                stay: Atomic::new(0),
                suspend_waiters: Atomic::new(0),
                mover <- new_mutex!(mover, "dm_remap::mover"),
                remaps <- SharedRemaps::new(remaps),
                lost <- new_spinlock_irq!(lost, "dm_remap::lost"),
                deferred <- Deferred::new(),
                parted_pool,
                work <- new_work!("dm_remap::work"),
                keeper,
                clock <- Clock::new(),
                scrub,
            }),
            GFP_KERNEL,
        )
    }

    /// Returns the number of the mapped device.
    pub(crate) fn device_number(&self) -> DeviceNumber {
        self.number
    }

    /// Calls `with` with the name of the mapped device, which a user may change at any time.
    /// `None` where the device is going away. May sleep.
    pub(crate) fn with_name<R>(&self, with: impl FnOnce(&[u8]) -> R) -> Option<R> {
        MappedDevice::name(self.number, with)
    }

    /// Returns a number that tells the device from those that had its name or number before it.
    pub(crate) fn stay(&self) -> u64 {
        self.stay.load(Relaxed)
    }

    /// Returns the size of the target in sectors.
    pub(crate) fn sectors(&self) -> u64 {
        self.places.sectors
    }

    /// Returns the size of a block in sectors.
    pub(crate) fn block_sectors(&self) -> u32 {
        self.places.block.sectors()
    }

    /// Returns the number of remapped blocks. Any context.
    pub(crate) fn remapped(&self) -> u64 {
        self.remaps.entries()
    }

    /// Returns the number of spare blocks, free or not. Any context.
    pub(crate) fn spare_blocks(&self) -> u64 {
        u64::from(self.places.slots)
    }

    /// Returns whether the block of `sector` in the target is on the spare. May sleep.
    pub(crate) fn is_remapped(&self, sector: u64) -> bool {
        let block = self.places.block.block_of(sector);
        self.remaps.slot_of(block).is_some()
    }

    /// Returns the counters since the table was loaded.
    pub(crate) fn counters(&self) -> Counters {
        self.statistics.counters(&self.gate)
    }

    /// Adds the added latency of all bios timed so far to `into`.
    pub(crate) fn added_latency(&self, into: &mut Histogram) {
        self.statistics.added_latency(into);
    }

    /// Returns the delays since timing was last switched on. Process context.
    pub(crate) fn delays_of_test(&self) -> DelayFigures {
        self.statistics.delays_of_test()
    }

    /// Returns the health of the table. Waits for the lost sectors only.
    pub(super) fn health(&self) -> Health {
        let lost = self.lost.lock();
        Health::judge(&Signs {
            read_only: self.policy.read_only,
            failing: self.policy.main_fails(),
            outage: self.main_liveness.is_out(),
            spare_failing: self.spare_liveness.is_out(),
            slots: self.spare_blocks(),
            free: self.remaps.free_slots(),
            unread: lost.refused_sectors(),
            lost: lost.lost_sectors(),
            pending: self.remaps.pending(),
        })
    }

    /// Logs the health and raises an event, where it is another than was last reported. May sleep.
    pub(super) fn report_health(&self) {
        // Another report may have come between the look and this one, which would be out of date then.
        while self.health.report(self.health()) {}
    }

    /// Returns `EINTR` if a signal is pending, `EAGAIN` if a suspend is waiting.
    pub(super) fn check_interruption(&self) -> Result {
        if kernel::current!().signal_pending() {
            Err(EINTR)
        } else if self.suspend_waiters.load(Relaxed) != 0 {
            Err(EAGAIN)
        } else {
            Ok(())
        }
    }
}

registry! {
    /// The tables that are or were active and not yet destroyed, the newest last.
    mod tables: Arc<Table>
}

/// Number of the next device's stay.
static STAYS: Atomic<u64> = Atomic::new(0);

/// Prepares the registry. Called once, before the target is registered.
pub(super) fn init() {
    tables::init();
}

/// Adds a table to the registry, unless it is there. May sleep. `ENOMEM`.
pub(super) fn register(table: Arc<Table>) -> Result {
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

/// Removes a table from the registry. May sleep.
pub(super) fn unregister(table: &Table) {
    tables::with(|tables| {
        tables.retain(|other| !core::ptr::eq(&**other, table));
        if tables.is_empty() {
            *tables = KVec::new();
        }
    });
}

/// Returns every table in the registry, the newer one where one replaces another. May sleep. `ENOMEM`.
pub(crate) fn all() -> Result<KVec<Arc<Table>>> {
    let _noio = NoIo::enter();
    tables::with(|tables| {
        let mut all: KVec<Arc<Table>> = KVec::with_capacity(tables.len(), GFP_KERNEL)?;
        for table in tables.iter() {
            // While a table replaces another, both are there: the newer one counts.
            let target = |table: &Table| (table.number, table.places.begin);
            match all.iter_mut().find(|other| target(other) == target(table)) {
                Some(older) => *older = table.clone(),
                None => all.push(table.clone(), GFP_KERNEL)?,
            }
        }
        Ok(all)
    })
}

/// Returns the table of the mapped device with that number, of the first target where it has several. May
/// sleep.
pub(crate) fn find(number: DeviceNumber) -> Option<Arc<Table>> {
    tables::with(|tables| {
        tables
            .iter()
            .rev()
            .filter(|table| table.number == number)
            .min_by_key(|table| table.places.begin)
            .cloned()
    })
}
